"""Objectives that need no target."""
