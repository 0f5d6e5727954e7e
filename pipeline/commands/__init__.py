"""Commands for a person, one file each: `arguments(parser)` and `run(arguments)`; `python -m pipeline NAME` finds them.

They plan, compare and tidy; no job of the workflow calls them, and they stamp nothing.
"""
