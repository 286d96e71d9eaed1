"""Seconds an epoch: JumpML's learner beside a loop that is tuned by hand, in one run.

Beside them the learner with an optimizer made from options, which is fused, and with averaged weights on top.
With ``--modes`` the same under `torch.compile` and in bfloat16, each beside the hand's loop in that mode.

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
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD, Adam

import jumpml
from jumpml.core import Task
from jumpml.graph import Model, Node
from jumpml.learn import Learner, Phase, make_optimizer
from jumpml.objectives import CrossEntropy

if TYPE_CHECKING:
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


Net = Callable[[], tuple[nn.Module, nn.Module]]
NETS: dict[str, Net] = {"perceptron 64-128-10": perceptron, "convolutional 32-64": convolutional}


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


def by_hand(images: Tensor, labels: Tensor, net: Net) -> Callable[[], None]:
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


def by_hand_stricter(images: Tensor, labels: Tensor, net: Net) -> Callable[[], None]:
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


def by_hand_in_mode(images: Tensor, labels: Tensor, net: Net, mode: str) -> Callable[[], None]:
    """The usual loop, compiled or in bfloat16."""
    model = nn.Sequential(*net())
    optimizer = optimizer_of(model)

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


def by_jumpml(loaders: DataLoaders, net: Net, *, fused: bool = False, **options: Any) -> Callable[[], object]:
    """Epochs of JumpML's learner, which also keeps the losses."""
    model = graph_of(loaders, net)
    phases = {"supervised": Phase(epochs=EPOCHS_A_TURN)}
    made = make_optimizer(model, "sgd", 0.01, arguments={"momentum": 0.9}) if fused else optimizer_of(model)
    learner = Learner(loaders, model, made, phases=phases, **{"record_examples": False, **options})

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


def run(net: Net, repeats: int, clock: Callable[[], float]) -> list[Result]:
    """Every loop on one net."""
    torch.manual_seed(0)
    loaders = [load_digits() for _ in range(4)]  # a loader has one learner at a time
    images, labels = in_memory(loaders[0])
    loops = {
        BASE: by_hand(images, labels, net),
        "by hand, a gather an epoch": by_hand_stricter(images, labels, net),
        "JumpML": by_jumpml(loaders[0], net),
        "JumpML, examples recorded": by_jumpml(loaders[1], net, record_examples=True),
        "JumpML, optimizer from options": by_jumpml(loaders[2], net, fused=True),
        "JumpML, optimizer from options, EMA": by_jumpml(loaders[3], net, fused=True, ema=0.99),
    }
    return compare(measure(loops, repeats, clock), BASE)


def run_modes(net: Net, repeats: int, clock: Callable[[], float]) -> list[Result]:
    """The loops compiled and in bfloat16, each beside the hand's in that mode."""
    results: list[Result] = []
    modes: dict[str, dict[str, Any]] = {"compiled": {"compile": True}, "bfloat16": {"precision": "bfloat16"}}
    for mode, options in modes.items():
        torch.manual_seed(0)
        loaders = load_digits()
        base, own = f"by hand, {mode}", f"JumpML, {mode}"
        loops = {
            base: by_hand_in_mode(*in_memory(loaders), net, mode),
            own: by_jumpml(loaders, net, **options),
        }
        results += compare(measure(loops, repeats, clock), base)
    return results


def run_steps(net: Net, repeats: int) -> list[tuple[str, float, float]]:
    """Microseconds of one step on one batch, the shortest of many, which a busy machine hardly changes.

    By Adam too: what an optimizer's fused form is worth depends on the optimizer.
    """
    torch.manual_seed(0)
    steps: dict[str, Callable[[], object]] = {}
    arguments: dict[str, dict[str, Any]] = {"sgd": {"momentum": 0.9}, "adam": {}}
    for kind, told in arguments.items():
        loaders = load_digits()
        image, label = (part[:BATCH] for part in in_memory(loaders))
        model = nn.Sequential(*net())
        optimizer = SGD(model.parameters(), lr=0.01, **told) if kind == "sgd" else Adam(model.parameters(), lr=0.01)
        steps[f"by hand, {kind}"] = partial(step_by_hand, model, optimizer, image, label)
        ways: list[tuple[str, bool, dict[str, Any]]] = [
            (f"JumpML, the same {kind}", False, {}),
            (f"JumpML, {kind} from options", True, {}),
            (f"JumpML, {kind} from options, EMA", True, {"ema": 0.99}),
        ]
        for name, fused, options in ways:
            own = load_digits()
            graph = graph_of(own, net)
            plain = SGD if kind == "sgd" else Adam
            made = (
                make_optimizer(graph, kind, 0.01, arguments=told) if fused else plain(graph.parameters(), 0.01, **told)
            )
            learner = Learner(own, graph, made, record_examples=False, **options)
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
    bases = {kind: shortest[f"by hand, {kind}"] for kind in ("sgd", "adam")}
    return [(name, 1e6 * own, own / bases["adam" if "adam" in name else "sgd"]) for name, own in shortest.items()]


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
    if options.steps:
        print(f"torch {torch.__version__}, 1 thread, the shortest of {20 * repeats} steps\n")
        print("| net | step | microseconds | ratio |\n|---|---|---:|---:|")
        for title, net in NETS.items():
            for name, micros, ratio in run_steps(net, repeats):
                print(f"| {title} | {name} | {micros:.0f} | {ratio:.3f} |")
        return
    print(f"torch {torch.__version__}, 1 thread, {repeats} rounds of {EPOCHS_A_TURN} epochs, {options.clock} time\n")
    print("| net | loop | ms an epoch | ratio (median) | lowest | highest |")
    print("|---|---|---:|---:|---:|---:|")
    for title, net in NETS.items():
        for name, seconds, *ratios in (run_modes if options.modes else run)(net, repeats, CLOCKS[options.clock]):
            print(f"| {title} | {name} | {1000 * seconds:.2f} | {' | '.join(f'{ratio:.3f}' for ratio in ratios)} |")


if __name__ == "__main__":
    main()
