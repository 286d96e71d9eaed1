"""What a suggested learning rate is worth, against a grid."""

from __future__ import annotations

from statistics import mean

import pytest

import jumpml
from jumpml.evaluate import score

GRID = [1e-4, 1e-3, 1e-2, 1e-1, 1.0]
DATA = {
    "datasets": {
        "digits": {
            "source": {"kind": "sklearn", "name": "digits"},
            "fields": {
                "image": {"kind": "image", "column": "images", "shape": [1, 8, 8], "range": [0, 16]},
                "label": {"kind": "category", "column": "target"},
            },
            "split": {"train": 0.66, "val": 0.17, "test": 0.17, "stratify": "label"},
        }
    },
    "batch_size": 32,
}
MODEL = {
    "nodes": {
        "flat": {"module": "torch.nn.Flatten", "inputs": "image"},
        "encoder": {"module": "jumpml.blocks.MLP", "inputs": "flat", "args": {"widths": [64, 32]}},
        "digit": {"module": "jumpml.blocks.Head", "inputs": "encoder"},
    },
    "tasks": {"digit": {"kind": "multiclass", "output": "digit", "target": "label"}},
}


def learner_of(kind: str, lr: float, seed: int) -> jumpml.Learner:
    loaders = jumpml.create_dataloader(DATA)
    options = {"optimizer": {"kind": kind, "lr": lr}, "seed": seed, "phases": {"supervised": {"epochs": 5}}}
    quiet = {"log": [], "checkpoint": None, "record_examples": False}
    return jumpml.create_learner(loaders, jumpml.load_model(MODEL, loaders, seed), None, options | quiet)


def reached(kind: str, lr: float, seed: int) -> float:
    """Accuracy on the validation rows after five epochs."""
    learner = learner_of(kind, lr, seed)
    try:
        learner.fit()
    except jumpml.JumpMLError:  # the loss became NaN
        return 0.0
    return score(learner.loaders, learner.model, ["digit/accuracy"])["digit/accuracy"]


SHORT = "one step at each rate does not see that plain SGD runs away later: seed 1 is .47 below the best of the grid"


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind", ["adam", pytest.param("sgd", marks=pytest.mark.xfail(raises=AssertionError, strict=True, reason=SHORT))]
)
def test_the_suggestion_is_about_as_good_as_the_best_of_a_grid(kind: str) -> None:
    """Stated beforehand: on average at most .03 below the best rate of a grid of decades, and never .10 below it.

    Five seeds, digits, a perceptron, five epochs; the grid is judged on the same rows, in its favour.
    """
    below = []
    for seed in range(5):
        found = learner_of(kind, 1e-3, seed).find_lr()
        assert found.suggestion is not None
        best = max(reached(kind, lr, seed) for lr in GRID)
        below.append(best - reached(kind, found.suggestion, seed))
        print(f"{kind} seed {seed}: suggested {found.suggestion:.2g}, {below[-1]:+.3f} below the best of the grid")
    assert mean(below) <= 0.03
    assert max(below) <= 0.10
