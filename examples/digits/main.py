"""The main job as a program: data, model, learning, evaluation with a metric of one's own, deployment.

Run it in this folder: ``python main.py``. ``jumpml run .`` does the same and more from the four files alone.
"""

from __future__ import annotations

import os
from pathlib import Path

import torch.optim as optim
from torch import Tensor

import jumpml


def even_or_odd(predictions: Tensor, targets: Tensor) -> float:
    """The share of digits that are at least taken for even when even, and for odd when odd."""
    return (predictions % 2 == targets % 2).float().mean().item()


def main() -> None:
    """Learn the digits and deploy them."""
    dataloader = jumpml.createDataloader("digits.data.yaml")
    model = jumpml.loadModel("digits.model.yaml")
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.5)
    learner = jumpml.createLearner(dataloader, model, optimizer, "digits.learner.yaml")
    learner.ssLearn()
    for epoch in range(20):
        learner.trainEpoch()
    evalResults = jumpml.evalModel(dataloader, model, ["accuracy", even_or_odd])
    print(evalResults.summary())
    deployment = jumpml.deployModel(evalResults, model, "digits.deploy.yaml")
    print(deployment.summary())


if __name__ == "__main__":
    os.chdir(Path(__file__).parent)
    main()
