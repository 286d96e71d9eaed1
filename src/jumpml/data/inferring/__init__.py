"""What the columns of a table seem to be, so that somebody can begin with it."""
