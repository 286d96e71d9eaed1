"""What the values of a data set look like, and what is suspicious in them."""
