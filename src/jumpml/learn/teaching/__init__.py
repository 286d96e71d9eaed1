"""A teacher in the loop: what it chooses from, what it is rewarded by, and what it says is served."""
