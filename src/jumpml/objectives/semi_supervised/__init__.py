"""Objectives that learn from rows without a target, beside those that have one."""
