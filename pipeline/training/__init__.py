"""The training loop, its state, and sampling from a trained model."""
