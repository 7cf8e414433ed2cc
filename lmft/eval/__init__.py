"""Measuring: held-out loss."""
