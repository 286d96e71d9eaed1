"""Seconds an epoch: JumpML's learner beside a loop that is tuned by hand, in one run.

Two nets on scikit-learn's digits, batches of 64, SGD with momentum, one thread: a perceptron (64-128-10), whose step is
so short that every line of Python around it shows, and a small convolutional net. The loops take turns of five epochs,
and the ratio is the median over the rounds, so that whatever else the machine does falls on all of them alike. Garbage
is collected between the turns, never in one.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import time
from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD

import jumpml
from jumpml.core import Task
from jumpml.graph import Model, Node
from jumpml.learn import Learner, Phase
from jumpml.objectives import CrossEntropy

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch.optim import Optimizer

    from jumpml.data import DataLoaders

BATCH = 64
EPOCHS_A_TURN = 5  # in training epoch follows epoch, with what they need in the caches
BASE = "by hand, a gather a batch"
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


class Result(NamedTuple):
    """One loop's times, and their ratios to the base of the same round."""

    name: str
    seconds: float
    ratio: float
    lowest: float
    highest: float


def perceptron() -> tuple[nn.Module, nn.Module]:
    """Body and head of 64-128-10."""
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 128), nn.ReLU()), nn.Linear(128, 10)


def convolutional() -> tuple[nn.Module, nn.Module]:
    """Body and head of two convolutions of 32 and 64 channels."""
    first = (nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
    second = (nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
    return nn.Sequential(*first, *second, nn.Flatten()), nn.Linear(256, 10)


NETS = {"perceptron 64-128-10": perceptron, "convolutional 32-64": convolutional}


def load_digits() -> DataLoaders:
    """The digits, standardized, without augmentation."""
    image = {"kind": "image", "column": "images", "shape": [1, 8, 8], "range": [0, 16]}
    fields = {"image": image, "label": {"kind": "category", "column": "target"}}
    dataset = {"source": {"kind": "sklearn", "name": "digits"}, "fields": fields, "split": {"stratify": "label"}}
    features = {"image": [{"standardize": {}}]}
    return jumpml.create_dataloader({"datasets": {"digits": dataset}, "features": features, "batch_size": BATCH})


def optimizer_of(model: nn.Module) -> Optimizer:
    """SGD with momentum."""
    return SGD(model.parameters(), lr=0.01, momentum=0.9)


def by_hand(images: Tensor, labels: Tensor, net: Callable[[], tuple[nn.Module, nn.Module]]) -> Callable[[], None]:
    """Epochs of the usual fast loop: tensors in memory, one gather a field and batch, no `DataLoader`."""
    model = nn.Sequential(*net())
    optimizer = optimizer_of(model)

    def epochs() -> None:
        for _ in range(EPOCHS_A_TURN):
            for rows in torch.randperm(len(images)).split(BATCH):
                loss = F.cross_entropy(model(images.index_select(0, rows)), labels.index_select(0, rows))
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()

    return epochs


def by_hand_stricter(
    images: Tensor, labels: Tensor, net: Callable[[], tuple[nn.Module, nn.Module]]
) -> Callable[[], None]:
    """The same with one gather a field and epoch, and slices."""
    model = nn.Sequential(*net())
    optimizer = optimizer_of(model)

    def epochs() -> None:
        for _ in range(EPOCHS_A_TURN):
            order = torch.randperm(len(images))
            image_batches, label_batches = (x.index_select(0, order).split(BATCH) for x in (images, labels))
            for image, label in zip(image_batches, label_batches, strict=True):
                loss = F.cross_entropy(model(image), label)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()

    return epochs


def by_jumpml(
    loaders: DataLoaders, net: Callable[[], tuple[nn.Module, nn.Module]], record_examples: bool
) -> Callable[[], object]:
    """Epochs of JumpML's learner, which also keeps the losses."""
    body, head = net()
    model = Model(
        inputs={"image": loaders.info("image")},
        nodes={"body": Node(body, "image"), "digit": Node(head, "body")},
        tasks={"digit": Task(kind="multiclass", output="digit", target="label")},
        objectives={"digit": CrossEntropy(("digit", "label"))},
        fields=loaders.fields,
    )
    phases = {"supervised": Phase(epochs=EPOCHS_A_TURN)}
    learner = Learner(loaders, model, optimizer_of(model), phases=phases, record_examples=record_examples)

    def epochs() -> None:
        learner.phases["supervised"] = Phase(epochs=learner.progress.closed("supervised") + EPOCHS_A_TURN)
        learner.fit()

    return epochs


def measure(loops: dict[str, Callable[[], object]], repeats: int, clock: Callable[[], float]) -> dict[str, list[float]]:
    """Seconds an epoch, by loop and round; every round starts with another loop."""
    names = list(loops)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for name in names * 2:  # warm-up: allocators, caches, the processor's clock
        loops[name]()
    gc.disable()
    for turn in range(repeats):
        shift = turn % len(names)
        for name in names[shift:] + names[:shift]:
            gc.collect()
            start = clock()
            loops[name]()
            seconds[name].append((clock() - start) / EPOCHS_A_TURN)
    gc.enable()
    return seconds


def compare(seconds: dict[str, list[float]], base: str) -> list[Result]:
    """Medians, and ratios within each round."""
    results = []
    for name, times in seconds.items():
        ratios = [own / other for own, other in zip(times, seconds[base], strict=True)]
        results.append(Result(name, statistics.median(times), statistics.median(ratios), min(ratios), max(ratios)))
    return results


def run(net: Callable[[], tuple[nn.Module, nn.Module]], repeats: int, clock: Callable[[], float]) -> list[Result]:
    """Every loop on one net."""
    torch.manual_seed(0)
    loaders = [load_digits() for _ in range(2)]  # a loader has one learner at a time
    batches = list(loaders[0].train.plain())
    images, labels = (torch.cat([batch[name] for batch in batches]) for name in ("image", "label"))
    loops = {
        BASE: by_hand(images, labels, net),
        "by hand, a gather an epoch": by_hand_stricter(images, labels, net),
        "JumpML": by_jumpml(loaders[0], net, record_examples=False),
        "JumpML, examples recorded": by_jumpml(loaders[1], net, record_examples=True),
    }
    return compare(measure(loops, repeats, clock), BASE)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Seconds an epoch: JumpML's learner beside a hand-tuned loop.")
    parser.add_argument("--repeats", type=int, default=30, help="rounds (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="3 rounds: a look, no measurement")
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="what is read (default: %(default)s)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    repeats = 3 if options.quick else options.repeats
    print(f"torch {torch.__version__}, 1 thread, {repeats} rounds of {EPOCHS_A_TURN} epochs, {options.clock} time\n")
    print("| net | loop | ms an epoch | ratio (median) | lowest | highest |")
    print("|---|---|---:|---:|---:|---:|")
    for title, net in NETS.items():
        for name, seconds, *ratios in run(net, repeats, CLOCKS[options.clock]):
            print(f"| {title} | {name} | {1000 * seconds:.2f} | {' | '.join(f'{ratio:.3f}' for ratio in ratios)} |")


if __name__ == "__main__":
    main()
