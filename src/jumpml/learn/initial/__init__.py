"""The weights that learning starts from."""
