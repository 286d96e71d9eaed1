"""What a balancer costs: a step's time beside that of the plain sum, in one run; and TorchJD's by hand.

Tasks on scikit-learn's digits that share a trunk, batches of 64, Adam, one thread: a perceptron, whose step is so short
that each operation on as few numbers as there are objectives shows, and a convolutional net. The learners take turns of
some steps on the same batches, and a ratio is the median over the rounds. By hand stand the same net and loop in bare
PyTorch, with the sum, and with what TorchJD has of the same kind: `mtl_backward` with its aggregators, which combine on
the trunk's parameters, and its scalarizers. Those whose solvers are not installed are left out.

Labels are drawn anew for each batch and each task, so that losses stay where they begin. On one batch of true labels
they would reach 0 within a few hundred steps, at another time for each balancer; gradients are then denormal numbers,
with which a processor reckons many times as slowly, and what a ratio tells is not the balancer's work. Tasks with the
same labels would have almost the same gradients besides, which spares those that look for a compromise.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import statistics
import time
from itertools import cycle, islice
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
    from collections.abc import Callable, Iterator, Sequence

    from jumpml.data import DataLoaders

    Batch = dict[str, Tensor]
    Step = Callable[[Batch], None]

BATCH, TURN = 64, 10
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
BASE, HAND, BY_TORCHJD = "sum", "by hand, the sum", "by hand, TorchJD's "
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


def load_digits(tasks: int) -> DataLoaders:
    """The digits, standardized, with a target for each task."""
    image = {"kind": "image", "column": "images", "shape": [1, 8, 8], "range": [0, 16]}
    labels = {f"label{number}": {"kind": "category", "column": "target"} for number in range(tasks)}
    fields = {"image": image, **labels}
    dataset = {"source": {"kind": "sklearn", "name": "digits"}, "fields": fields, "split": {"stratify": "label0"}}
    features = {"image": [{"standardize": {}}]}
    return jumpml.create_dataloader({"datasets": {"digits": dataset}, "features": features, "batch_size": BATCH})


def learner_of(trunk: Callable[[], nn.Module], tasks: int, balance: dict[str, Any]) -> Learner:
    """A learner of tasks on one trunk."""
    loaders = load_digits(tasks)
    heads = [f"head{number}" for number in range(tasks)]
    model = Model(
        inputs={"image": loaders.info("image")},
        nodes={"trunk": Node(trunk(), "image")} | {head: Node(nn.Linear(128, 10), "trunk") for head in heads},
        objectives={f"task{number}": CrossEntropy((head, f"label{number}")) for number, head in enumerate(heads)},
        fields=loaders.fields,
        seed=0,
    )
    balancer = build_balancer(load_spec(LearnerSpec, {"balance": balance}).balance)
    hooks = [] if balancer is None else [Balancing(balancer)]
    return Learner(loaders, model, Adam(model.parameters(), 1e-3), record_examples=False, hooks=hooks)


def batches_of(learner: Learner, tasks: int) -> Iterator[Batch]:
    """An epoch's whole batches, again and again, with labels by chance."""
    generator = torch.Generator().manual_seed(0)
    images = [batch["image"] for batch in learner.remaining() if len(batch["image"]) == BATCH]
    for image in cycle(images):
        labels = torch.randint(10, (tasks, BATCH), generator=generator)
        yield {"image": image, **{f"label{number}": label for number, label in enumerate(labels)}}


def rivals(tasks: int) -> dict[str, Any]:
    """By kind, what TorchJD has of it and can make here."""
    from torchjd import aggregation, scalarization

    makers: dict[str, Callable[[], Any]] = {
        "uncertainty": lambda: scalarization.UW(tasks),
        "dwa": scalarization.DWA,
        "famo": lambda: scalarization.FAMO(tasks),
        "upgrad": aggregation.UPGrad,
        "pcgrad": aggregation.PCGrad,
        "cagrad": lambda: aggregation.CAGrad(0.5),
        "mgda": aggregation.MGDA,
        "nash_mtl": lambda: aggregation.NashMTL(tasks),
        "imtl_g": aggregation.IMTLG,
        "aligned_mtl": aggregation.AlignedMTL,
    }
    found = {}
    for kind, make in makers.items():
        with contextlib.suppress(ImportError):  # of a solver that TorchJD asks for
            found[kind] = make()
    return found


def by_hand(trunk: Callable[[], nn.Module], tasks: int, rival: Any = None) -> Step:
    """A step in bare PyTorch: with the sum, or with one of TorchJD's."""
    from torchjd.aggregation import Aggregator
    from torchjd.autojac import jac_to_grad, mtl_backward
    from torchjd.scalarization import FAMO

    torch.manual_seed(0)
    body, heads = trunk(), [nn.Linear(128, 10) for _ in range(tasks)]
    own = [] if rival is None else [*rival.parameters()]
    optimizer = Adam([*body.parameters(), *(p for head in heads for p in head.parameters()), *own], 1e-3)
    steps = 0

    def step(batch: Batch) -> None:
        nonlocal steps
        optimizer.zero_grad()
        features = body(batch["image"])
        losses = [F.cross_entropy(head(features), batch[f"label{number}"]) for number, head in enumerate(heads)]
        if isinstance(rival, Aggregator):
            mtl_backward(losses, features=features)
            jac_to_grad(body.parameters(), rival)
        else:
            values = torch.stack(losses)
            if steps and isinstance(rival, FAMO):
                rival.update(values.detach())  # of the step before, as ours
            (values.sum() if rival is None else rival(values)).backward()
        optimizer.step()
        steps += 1

    return step


def steps_of(trunk: Callable[[], nn.Module], tasks: int) -> dict[str, Step]:
    """By name, a step each."""
    told: dict[str, dict[str, Any]] = {BASE: {"kind": "sum"}, **{kind: {"kind": kind} for kind in LOSSES}}
    told |= {f"{kind}, at the trunk": {"kind": kind, "at": "trunk"} for kind in ("gradnorm", "feature_norm", "upgrad")}
    told["imtl_g, at the trunk"] = {"kind": "imtl_g", "at": "trunk"}
    told |= {kind: {"kind": kind} for kind in GRADIENTS}
    learners = {name: learner_of(trunk, tasks, balance) for name, balance in told.items()}
    steps = {name: _stepping(learner) for name, learner in learners.items()}
    steps[HAND] = by_hand(trunk, tasks)
    for kind, rival in rivals(tasks).items():
        steps[BY_TORCHJD + kind] = by_hand(trunk, tasks, rival)
    return steps


def _stepping(learner: Learner) -> Step:
    _ = learner.remaining()

    def step(batch: Batch) -> None:
        learner.step(batch)
        if learner._loop.unread > 40:
            learner._run.states.read()

    return step


def measure(
    steps: dict[str, Step], batches: Iterator[Batch], repeats: int, clock: Callable[[], float]
) -> dict[str, list[float]]:
    """Seconds of a step, by name and round."""
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    first = [*islice(batches, 3)]
    for step in steps.values():
        for batch in first:
            step(batch)
    for _ in range(repeats):
        turn = [*islice(batches, TURN)]
        for name, step in steps.items():
            gc.collect()
            gc.disable()
            start = clock()
            for batch in turn:
                step(batch)
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
    print("| trunk | balancer | ms a step | over the sum | lowest | highest | TorchJD by hand, over the sum by hand |")
    print("|---|---|---:|---:|---:|---:|---:|")
    for title in options.trunk or TRUNKS:
        batches = batches_of(learner_of(TRUNKS[title], options.tasks, {"kind": "sum"}), options.tasks)
        steps = steps_of(TRUNKS[title], options.tasks)
        seconds = measure(steps, batches, options.repeats, CLOCKS[options.clock])
        for name, own in seconds.items():
            if not name.startswith(BY_TORCHJD):
                least, middle, most = over(own, seconds[HAND if name == HAND else BASE])
                rival = seconds.get(BY_TORCHJD + name)
                beside = "" if rival is None else f"{over(rival, seconds[HAND])[1]:.3f}"
                told = f"{1000 * statistics.median(own):.2f} | {middle:.3f} | {least:.3f} | {most:.3f} | {beside}"
                print(f"| {title} | {name} | {told} |")


def over(own: Sequence[float], base: Sequence[float]) -> tuple[float, float, float]:
    """The lowest, the median and the highest of the rounds' ratios."""
    ratios = [one / other for one, other in zip(own, base, strict=True)]
    return min(ratios), statistics.median(ratios), max(ratios)


if __name__ == "__main__":
    main()
