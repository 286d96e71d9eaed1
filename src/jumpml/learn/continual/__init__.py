"""What keeps a model from forgetting."""
