"""Training: features, batches, losses and the three loops."""
