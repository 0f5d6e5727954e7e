"""params.yaml, the jobs and their hashes, what is stored and what is stale."""
