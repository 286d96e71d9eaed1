"""The digits of scikit-learn as they mostly come: very few with a label, and many without."""

import numpy as np
from sklearn.datasets import load_digits

LABELS, HELD_OUT = 2, 600  # a class; rows to choose by and to measure on


def rows(labelled: bool) -> dict[str, np.ndarray]:
    """Two digits of each class with their labels, and the held-out rows beside them; or all others, without.

    Args:
        labelled: Which.
    """
    pixels, digit = map(np.asarray, load_digits(return_X_y=True))
    images = pixels.reshape(-1, 8, 8)
    order = np.random.default_rng(0).permutation(len(digit))
    held_out, rest = order[:HELD_OUT], order[HELD_OUT:]
    known = np.concatenate([rest[digit[rest] == one][:LABELS] for one in range(10)])
    if not labelled:
        return {"images": images[np.setdiff1d(rest, known)]}
    part = ["train"] * len(known) + ["val"] * (HELD_OUT // 4) + ["test"] * (HELD_OUT - HELD_OUT // 4)
    chosen = np.concatenate([known, held_out])
    return {"images": images[chosen], "digit": digit[chosen], "part": np.array(part)}
