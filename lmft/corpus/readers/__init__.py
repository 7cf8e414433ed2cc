"""One module a format: does this file look like mine, and what documents are in it?

`choose` asks them in order and takes the first that says why. Content decides; a suffix is a
hint at most. A reader yields documents as it finds them, reports a bad row with
`findings.fault(...)` and goes on, and raises `Unreadable` when the whole file is useless.
"""
