"""Parts of the training loop."""
