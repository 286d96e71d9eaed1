"""How learning rates move over a phase."""
