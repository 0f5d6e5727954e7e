"""Commands for a person, one file each: `arguments(parser)` and `run(arguments)`; `python -m pipeline NAME` finds them.

They plan, compare and delete; but for `view`, which copies stored results, no job of the workflow calls them.
"""
