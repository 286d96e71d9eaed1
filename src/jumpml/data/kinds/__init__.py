"""Kinds of field: how a raw value becomes a tensor, and back."""
