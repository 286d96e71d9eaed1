"""Random changes on whole batches, for training only."""
