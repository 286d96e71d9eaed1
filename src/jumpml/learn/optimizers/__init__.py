"""Optimizers by name, with parameters in groups, and several as one."""
