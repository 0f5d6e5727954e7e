"""What is to be done, worked out before anything runs: params.yaml, every job and its identity, the estimate."""
