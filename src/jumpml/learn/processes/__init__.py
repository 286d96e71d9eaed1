"""Several processes that learn one model together."""
