"""Ours beside public peers, a textbook loop and the machine's limit, measured alternately in one run: `make bench`.

What each row means stands in docs/speed.md. Every kind of row is a module with a `tasks` function.
"""
