"""The figures: one file each, pure functions from arrays and table rows to a matplotlib Figure; none reads a file."""
