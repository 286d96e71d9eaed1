"""The digits of scikit-learn as they mostly come: very few with a label, and many without."""

import numpy as np
from sklearn.datasets import load_digits

LABELS, HELD_OUT = 2, 600  # a class; rows to choose by and to measure on


def rows(labelled: bool) -> dict[str, np.ndarray]:
    """Two digits of each class with their labels, and the held-out rows beside them; or all others, without.

    Args:
        labelled: Which.
    """
    digits = load_digits()
    order = np.random.default_rng(0).permutation(len(digits.target))
    held_out, rest = order[:HELD_OUT], order[HELD_OUT:]
    known = np.concatenate([rest[digits.target[rest] == digit][:LABELS] for digit in range(10)])
    if not labelled:
        others = np.setdiff1d(rest, known)
        return {"images": digits.images[others]}
    part = ["train"] * len(known) + ["val"] * (HELD_OUT // 4) + ["test"] * (HELD_OUT - HELD_OUT // 4)
    chosen = np.concatenate([known, held_out])
    return {"images": digits.images[chosen], "digit": digits.target[chosen], "part": np.array(part)}
