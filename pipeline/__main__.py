"""`python -m pipeline NAME ...`: a stage of the workflow, or a command for a person."""

from __future__ import annotations

from pipeline.cli import main

if __name__ == "__main__":
    main()
