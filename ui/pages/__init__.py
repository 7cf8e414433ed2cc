"""One module a page: its layout, and what its buttons do."""
