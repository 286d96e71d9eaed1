"""Which rows are for training, validation and the test."""
