"""The digits of scikit-learn with their pixels in other orders: as many tasks as there are orders, all equally hard."""

import numpy as np
from sklearn.datasets import load_digits


def task(number: int) -> dict[str, np.ndarray]:
    """The digits of a task: those of task 0 as they are, those of any other with their pixels in one random order.

    Args:
        number: The task.
    """
    pixels, digit = load_digits(return_X_y=True)
    order = np.random.default_rng(number).permutation(64) if number else np.arange(64)
    return {"pixels": np.asarray(pixels)[:, order].astype("float32") / 16, "digit": np.asarray(digit)}
