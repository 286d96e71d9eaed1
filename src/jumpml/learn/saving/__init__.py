"""Checkpoints that are whole or not there, written beside the training, and what stops it."""
