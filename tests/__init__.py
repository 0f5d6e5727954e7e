"""The tests: they hold what the README and the docstrings promise."""
