"""What does not fit together in a model, its data and what a learner is told, found before the first batch."""
