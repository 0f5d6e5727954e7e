"""Around a running stage: its job, locks, signals, progress, GPU slots."""
