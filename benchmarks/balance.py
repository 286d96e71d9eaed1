"""What a balancer costs: a step's time beside that of the plain sum, in one run; and TorchJD's by hand.

Tasks on scikit-learn's digits that share a trunk, batches of 64, Adam, one thread: a perceptron, whose step is so short
that each operation on as few numbers as there are objectives shows, and a convolutional net. The learners take turns of
some steps on the same batch, and a ratio is the median over the rounds. By hand stand the same net and loop in bare
PyTorch, with the sum, and with TorchJD's `mtl_backward` at the trunk's output.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import time
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Adam

import jumpml
from jumpml.balance import build_balancer
from jumpml.core import LearnerSpec, load_spec
from jumpml.graph import Model, Node
from jumpml.learn import Balancing, Learner
from jumpml.objectives import CrossEntropy

if TYPE_CHECKING:
    from collections.abc import Callable

    from jumpml.data import DataLoaders

BATCH, TURN = 64, 10
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
BASE, HAND = "sum", "by hand, the sum"
LOSSES = ("uncertainty", "dwa", "famo")
GRADIENTS = ("upgrad", "pcgrad", "cagrad", "mgda", "nash_mtl", "imtl_g", "aligned_mtl")


def perceptron() -> nn.Module:
    """A trunk of 64-256-128."""
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU())


def convolutional() -> nn.Module:
    """A trunk of convolutions of 32, 64 and 64 channels, and a linear layer."""
    layers: list[nn.Module] = []
    for before, after in ((1, 32), (32, 64), (64, 64)):
        layers += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*layers, nn.MaxPool2d(2), nn.Flatten(), nn.Linear(1024, 128), nn.ReLU())


TRUNKS = {"perceptron": perceptron, "convolutional": convolutional}


def load_digits() -> DataLoaders:
    """The digits, standardized."""
    image = {"kind": "image", "column": "images", "shape": [1, 8, 8], "range": [0, 16]}
    fields = {"image": image, "label": {"kind": "category", "column": "target"}}
    dataset = {"source": {"kind": "sklearn", "name": "digits"}, "fields": fields, "split": {"stratify": "label"}}
    features = {"image": [{"standardize": {}}]}
    return jumpml.create_dataloader({"datasets": {"digits": dataset}, "features": features, "batch_size": BATCH})


def learner_of(trunk: Callable[[], nn.Module], tasks: int, balance: dict[str, Any]) -> Learner:
    """A learner of tasks on one trunk."""
    loaders = load_digits()
    heads = [f"head{number}" for number in range(tasks)]
    model = Model(
        inputs={"image": loaders.info("image")},
        nodes={"trunk": Node(trunk(), "image")} | {head: Node(nn.Linear(128, 10), "trunk") for head in heads},
        objectives={f"task{number}": CrossEntropy((head, "label")) for number, head in enumerate(heads)},
        fields=loaders.fields,
        seed=0,
    )
    balancer = build_balancer(load_spec(LearnerSpec, {"balance": balance}).balance)
    hooks = [] if balancer is None else [Balancing(balancer)]
    return Learner(loaders, model, Adam(model.parameters(), 1e-3), record_examples=False, hooks=hooks)


def by_hand(trunk: Callable[[], nn.Module], tasks: int, image: Tensor, label: Tensor, way: str) -> Callable[[], None]:
    """A step in bare PyTorch: with the sum, or with TorchJD."""
    from torchjd.aggregation import IMTLG
    from torchjd.autojac import jac_to_grad, mtl_backward

    torch.manual_seed(0)
    body, heads = trunk(), [nn.Linear(128, 10) for _ in range(tasks)]
    optimizer = Adam([*body.parameters(), *(p for head in heads for p in head.parameters())], 1e-3)
    aggregator = IMTLG()

    def step() -> None:
        optimizer.zero_grad()
        features = body(image)
        losses = [F.cross_entropy(head(features), label) for head in heads]
        if way == HAND:
            torch.stack(losses).sum().backward()
        else:
            mtl_backward(losses, features=features)
            jac_to_grad(body.parameters(), aggregator)
        optimizer.step()

    return step


def steps_of(trunk: Callable[[], nn.Module], tasks: int) -> dict[str, Callable[[], None]]:
    """By name, a step each."""
    told: dict[str, dict[str, Any]] = {BASE: {"kind": "sum"}, **{kind: {"kind": kind} for kind in LOSSES}}
    told |= {f"{kind}, at the trunk": {"kind": kind, "at": "trunk"} for kind in ("gradnorm", "feature_norm", "upgrad")}
    told["imtl_g, at the trunk"] = {"kind": "imtl_g", "at": "trunk"}
    told |= {kind: {"kind": kind} for kind in GRADIENTS}
    learners = {name: learner_of(trunk, tasks, balance) for name, balance in told.items()}
    batch = next(iter(learners[BASE].remaining()))
    steps = {name: _stepping(learner, batch) for name, learner in learners.items()}
    for way in (HAND, "by hand, TorchJD's IMTLG at the trunk"):
        steps[way] = by_hand(trunk, tasks, batch["image"], batch["label"], way)
    return steps


def _stepping(learner: Learner, batch: dict[str, Tensor]) -> Callable[[], None]:
    _ = learner.remaining()

    def step() -> None:
        learner.step(batch)
        if learner._loop.unread > 40:
            learner._run.states.read()

    return step


def measure(steps: dict[str, Callable[[], None]], repeats: int, clock: Callable[[], float]) -> dict[str, list[float]]:
    """Seconds of a turn, by name and round."""
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for step in steps.values():
        for _ in range(3):
            step()
    for _ in range(repeats):
        for name, step in steps.items():
            gc.collect()
            gc.disable()
            start = clock()
            for _ in range(TURN):
                step()
            seconds[name].append((clock() - start) / TURN)
            gc.enable()
    return seconds


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="A step's time by balancer, beside the plain sum.")
    parser.add_argument("--repeats", type=int, default=30, help="rounds (default: %(default)s)")
    parser.add_argument("--tasks", type=int, default=3, help="objectives (default: %(default)s)")
    parser.add_argument("--trunk", choices=TRUNKS, action="append", help="which; both where nothing is said")
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="what is read (default: %(default)s)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(
        f"torch {torch.__version__}, 1 thread, {options.tasks} tasks, {options.repeats} rounds, {options.clock} time\n"
    )
    print("| trunk | balancer | ms a step | ratio (median) | lowest | highest |\n|---|---|---:|---:|---:|---:|")
    for title in options.trunk or TRUNKS:
        trunk = TRUNKS[title]
        seconds = measure(steps_of(trunk, options.tasks), options.repeats, CLOCKS[options.clock])
        for name, own in seconds.items():
            base = seconds[HAND if name.startswith("by hand") else BASE]
            ratios = [one / other for one, other in zip(own, base, strict=True)]
            told = f"{statistics.median(ratios):.3f} | {min(ratios):.3f} | {max(ratios):.3f}"
            print(f"| {title} | {name} | {1000 * statistics.median(own):.2f} | {told} |")


if __name__ == "__main__":
    main()
