"""The parts of an update: how losses are computed, their gradients, what moves the weights, what is not finite."""
