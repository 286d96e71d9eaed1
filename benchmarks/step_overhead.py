"""Seconds an epoch: JumpML's learner beside a loop that is tuned by hand, in one run.

Beside them the learner with an optimizer made from options, which is fused, and with averaged weights on top.
With ``--modes`` the same under `torch.compile` and in bfloat16, each beside the hand's loop in that mode.

Two nets on scikit-learn's digits, batches of 64, one thread: a perceptron (64-128-10), whose step is so short that
every line of Python around it shows, and a small convolutional net. Each with SGD with momentum and with Adam, since
what a fused form is worth depends on the optimizer; those of the loops by hand are torch's plain ones. The loops take
turns of five epochs, and the ratio is the median over the rounds, so that whatever else the machine does falls on all
of them alike. Garbage is collected between the turns, never in one.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import time
from collections.abc import Callable
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD, Adam, Optimizer

import jumpml
from jumpml.core import Task
from jumpml.graph import Model, Node
from jumpml.learn import Learner, Phase, make_optimizer
from jumpml.objectives import CrossEntropy

if TYPE_CHECKING:
    from jumpml.data import DataLoaders

BATCH, LR = 64, 0.01
EPOCHS_A_TURN = 5  # in training epoch follows epoch, with what they need in the caches
BASE = "by hand, a gather a batch"
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
Make = Callable[..., Optimizer]
OPTIMIZERS: dict[str, tuple[Make, dict[str, Any]]] = {"sgd": (SGD, {"momentum": 0.9}), "adam": (Adam, {})}


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


Net = Callable[[], tuple[nn.Module, nn.Module]]
NETS: dict[str, Net] = {"perceptron 64-128-10": perceptron, "convolutional 32-64": convolutional}


def load_digits() -> DataLoaders:
    """The digits, standardized, without augmentation."""
    image = {"kind": "image", "column": "images", "shape": [1, 8, 8], "range": [0, 16]}
    fields = {"image": image, "label": {"kind": "category", "column": "target"}}
    dataset = {"source": {"kind": "sklearn", "name": "digits"}, "fields": fields, "split": {"stratify": "label"}}
    features = {"image": [{"standardize": {}}]}
    return jumpml.create_dataloader({"datasets": {"digits": dataset}, "features": features, "batch_size": BATCH})


def optimizer_of(model: nn.Module, kind: str = "sgd", *, fused: bool | None = None) -> Optimizer:
    """SGD with momentum or Adam, as torch makes it where nothing else is said."""
    make, arguments = OPTIMIZERS[kind]
    return make(model.parameters(), lr=LR, fused=fused, **arguments)


def by_hand(images: Tensor, labels: Tensor, net: Net, kind: str, *, fused: bool | None = None) -> Callable[[], None]:
    """Epochs of the usual fast loop: tensors in memory, one gather a field and batch, no `DataLoader`."""
    model = nn.Sequential(*net())
    optimizer = optimizer_of(model, kind, fused=fused)

    def epochs() -> None:
        for _ in range(EPOCHS_A_TURN):
            for rows in torch.randperm(len(images)).split(BATCH):
                loss = F.cross_entropy(model(images.index_select(0, rows)), labels.index_select(0, rows))
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()

    return epochs


def by_hand_stricter(images: Tensor, labels: Tensor, net: Net, kind: str) -> Callable[[], None]:
    """The same with one gather a field and epoch, and slices."""
    model = nn.Sequential(*net())
    optimizer = optimizer_of(model, kind)

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


def by_hand_in_mode(images: Tensor, labels: Tensor, net: Net, kind: str, mode: str) -> Callable[[], None]:
    """The usual loop, compiled or in bfloat16."""
    model = nn.Sequential(*net())
    optimizer = optimizer_of(model, kind)

    def loss_of(image: Tensor, label: Tensor) -> Tensor:
        return F.cross_entropy(model(image), label)

    forward: Callable[[Tensor, Tensor], Tensor] = torch.compile(loss_of) if mode == "compiled" else loss_of

    def epochs() -> None:
        for _ in range(EPOCHS_A_TURN):
            for rows in torch.randperm(len(images)).split(BATCH):
                image, label = images.index_select(0, rows), labels.index_select(0, rows)
                with torch.autocast("cpu", torch.bfloat16, enabled=mode == "bfloat16"):
                    loss = forward(image, label)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()

    return epochs


def graph_of(loaders: DataLoaders, net: Net) -> Model:
    """The net as a model of two nodes."""
    body, head = net()
    return Model(
        inputs={"image": loaders.info("image")},
        nodes={"body": Node(body, "image"), "digit": Node(head, "body")},
        tasks={"digit": Task(kind="multiclass", output="digit", target="label")},
        objectives={"digit": CrossEntropy(("digit", "label"))},
        fields=loaders.fields,
    )


def learner_of(loaders: DataLoaders, net: Net, kind: str, *, fused: bool = False, **options: Any) -> Learner:
    """JumpML's learner, with the optimizer of the loops by hand or with the one that options make."""
    model = graph_of(loaders, net)
    made = make_optimizer(model, kind, LR, arguments=OPTIMIZERS[kind][1]) if fused else optimizer_of(model, kind)
    return Learner(loaders, model, made, **{"record_examples": False, **options})


def by_jumpml(loaders: DataLoaders, net: Net, kind: str, **options: Any) -> Callable[[], object]:
    """Epochs of JumpML's learner, which also keeps the losses."""
    learner = learner_of(loaders, net, kind, **options)

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


def run(net: Net, kind: str, repeats: int, clock: Callable[[], float]) -> list[Result]:
    """Every loop on one net with one optimizer."""
    torch.manual_seed(0)
    loaders = [load_digits() for _ in range(4)]  # a loader has one learner at a time
    images, labels = in_memory(loaders[0])
    loops = {
        BASE: by_hand(images, labels, net, kind),
        "by hand, a gather an epoch": by_hand_stricter(images, labels, net, kind),
        "by hand, a gather a batch, fused": by_hand(images, labels, net, kind, fused=True),
        "JumpML": by_jumpml(loaders[0], net, kind),
        "JumpML, examples recorded": by_jumpml(loaders[1], net, kind, record_examples=True),
        "JumpML, optimizer from options": by_jumpml(loaders[2], net, kind, fused=True),
        "JumpML, optimizer from options, EMA": by_jumpml(loaders[3], net, kind, fused=True, ema=0.99),
    }
    return compare(measure(loops, repeats, clock), BASE)


def run_modes(net: Net, kind: str, repeats: int, clock: Callable[[], float]) -> list[Result]:
    """The loops compiled and in bfloat16, each beside the hand's in that mode."""
    results: list[Result] = []
    modes: dict[str, dict[str, Any]] = {"compiled": {"compile": True}, "bfloat16": {"precision": "bfloat16"}}
    for mode, options in modes.items():
        torch.manual_seed(0)
        loaders = load_digits()
        base, own = f"by hand, {mode}", f"JumpML, {mode}"
        loops = {
            base: by_hand_in_mode(*in_memory(loaders), net, kind, mode),
            own: by_jumpml(loaders, net, kind, **options),
        }
        results += compare(measure(loops, repeats, clock), base)
    return results


def run_steps(net: Net, kind: str, repeats: int) -> list[tuple[str, float, float]]:
    """Microseconds of one step on one batch, the shortest of many, which a busy machine hardly changes."""
    torch.manual_seed(0)
    image, label = (part[:BATCH] for part in in_memory(load_digits()))
    model = nn.Sequential(*net())
    steps: dict[str, Callable[[], object]] = {
        "by hand": partial(step_by_hand, model, optimizer_of(model, kind), image, label)
    }
    ways: dict[str, dict[str, Any]] = {
        "JumpML": {},
        "JumpML, optimizer from options": {"fused": True},
        "JumpML, optimizer from options, EMA": {"fused": True, "ema": 0.99},
    }
    for name, options in ways.items():
        learner = learner_of(load_digits(), net, kind, **options)
        steps[name] = partial(learner.step, {"image": image, "label": label})
    shortest = dict.fromkeys(steps, float("inf"))
    gc.disable()
    for _ in range(repeats):
        for name, step in steps.items():
            for _ in range(20):
                start = time.perf_counter()
                step()
                shortest[name] = min(shortest[name], time.perf_counter() - start)
    gc.enable()
    return [(name, 1e6 * own, own / shortest["by hand"]) for name, own in shortest.items()]


def step_by_hand(model: nn.Module, optimizer: Optimizer, image: Tensor, label: Tensor) -> None:
    """One step of the usual loop."""
    loss = F.cross_entropy(model(image), label)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()


def in_memory(loaders: DataLoaders) -> tuple[Tensor, Tensor]:
    """The train rows' images, featurised, and their labels."""
    batches = list(loaders.train.plain())
    images, labels = (torch.cat([batch[name] for batch in batches]) for name in ("image", "label"))
    return images, labels


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Seconds an epoch: JumpML's learner beside a hand-tuned loop.")
    parser.add_argument("--repeats", type=int, default=30, help="rounds (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="3 rounds: a look, no measurement")
    parser.add_argument("--modes", action="store_true", help="compiled and in bfloat16; needs a C++ compiler")
    parser.add_argument("--steps", action="store_true", help="the shortest of many steps, for a busy machine")
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="what is read (default: %(default)s)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    repeats = 3 if options.quick else options.repeats
    nets = product(NETS.items(), OPTIMIZERS)
    if options.steps:
        print(f"torch {torch.__version__}, 1 thread, the shortest of {20 * repeats} steps\n")
        print("| net | optimizer | step | microseconds | ratio |\n|---|---|---|---:|---:|")
        for (title, net), kind in nets:
            for name, micros, ratio in run_steps(net, kind, repeats):
                print(f"| {title} | {kind} | {name} | {micros:.0f} | {ratio:.3f} |")
        return
    print(f"torch {torch.__version__}, 1 thread, {repeats} rounds of {EPOCHS_A_TURN} epochs, {options.clock} time\n")
    print("| net | optimizer | loop | ms an epoch | ratio (median) | lowest | highest |")
    print("|---|---|---|---:|---:|---:|---:|")
    measured = run_modes if options.modes else run
    for (title, net), kind in nets:
        for name, seconds, *ratios in measured(net, kind, repeats, CLOCKS[options.clock]):
            figures = " | ".join(f"{ratio:.3f}" for ratio in ratios)
            print(f"| {title} | {kind} | {name} | {1000 * seconds:.2f} | {figures} |")


if __name__ == "__main__":
    main()
