"""What checkpointing each epoch costs where an epoch takes about a second.

Epochs with a checkpoint at their end take turns with epochs without one; whatever else the machine does falls on both
alike. A net's size is chosen so that an epoch takes about a second: a convolutional one whose state is small, or a
perceptron with a large one. The state that is saved is its weights, their average and Adam's moments. The wall clock
counts, since a step must not wait for the disk; and each turn ends when its last checkpoint is on its way, as in
training, while the next epoch begins.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

import jumpml
from jumpml.learn import Checkpoints, Learner, Phase, Saving
from jumpml.learn._loop_state import state_of
from jumpml.learn.saving._writer import Writer

if TYPE_CHECKING:
    from jumpml.data import DataLoaders

FIELDS = {
    "image": {"kind": "image", "column": "images", "shape": [1, 8, 8], "range": [0, 16]},
    "label": {"kind": "category", "column": "target"},
}
DATA = {
    "datasets": {
        "digits": {"source": {"kind": "sklearn", "name": "digits"}, "fields": FIELDS, "split": {"stratify": "label"}}
    },
    "features": {"image": [{"standardize": {}}]},
}

# The training thread's processor time leaves out what else keeps the machine busy, the thread that writes among it.
CLOCKS = {"wall": time.perf_counter, "training thread": time.thread_time}


NETS = {  # by name: the body at a width, the width, and rows a batch
    "convolutional": (
        lambda width: {"module": "jumpml.blocks.ConvEncoder", "args": {"widths": [width // 2, width]}},
        160,
        64,
    ),
    "perceptron": (lambda width: {"module": "jumpml.blocks.MLP", "args": {"widths": [width, width]}}, 1550, 16),
}


def make(loaders: DataLoaders, body: dict[str, Any], saving: Saving | None) -> Learner:
    """A learner of digits."""
    nodes = {"body": {**body, "inputs": "image"}, "digit": {"module": "jumpml.blocks.Head", "inputs": "body"}}
    tasks = {"digit": {"kind": "multiclass", "output": "digit", "target": "label"}}
    model = jumpml.load_model({"nodes": nodes, "tasks": tasks}, loaders, seed=0)
    optimizer = torch.optim.Adam(model.parameters(), fused=True)
    return Learner(loaders, model, optimizer, phases={"supervised": Phase(epochs=10_000)}, ema=0.99, saving=saving)


def seconds_of(learner: Learner, epochs: int) -> dict[str, float]:
    """Of an epoch, one after the other, by clock."""
    gc.collect()
    starts = {name: clock() for name, clock in CLOCKS.items()}
    for _ in range(epochs):
        learner.train_epoch()
    return {name: (clock() - starts[name]) / epochs for name, clock in CLOCKS.items()}


def blocked_by(learner: Learner) -> float:
    """Seconds that a step waits for a checkpoint: as long as the state is copied."""
    with tempfile.TemporaryDirectory() as folder:
        writer = Writer(Checkpoints(Path(folder)))
        state = state_of(learner._loop)
        writer.submit(0, state)  # its memory is used again
        writer.wait()
        start = time.perf_counter()
        writer.submit(1, state)
        seconds = time.perf_counter() - start
        writer.wait()
    return seconds


def main() -> None:
    """Print the seconds of an epoch with and without checkpoints, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--net", choices=NETS, default="convolutional")
    parser.add_argument("--width", type=int, help="another than the net's own")
    parser.add_argument("--epochs", type=int, default=3, help="of a turn")
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    torch.set_num_threads(1)
    body, width, batch_size = NETS[options.net]
    loaders = jumpml.create_dataloader({**DATA, "batch_size": batch_size})
    with tempfile.TemporaryDirectory() as folder:
        learners = {
            "without": make(loaders, body(options.width or width), None),
            "with": make(loaders, body(options.width or width), Saving(folder=Path(folder), epochs=1)),
        }
        seconds: dict[str, list[dict[str, float]]] = {name: [] for name in learners}
        for learner in learners.values():  # the phase's first checkpoint, caches
            learner.train_epoch()
        gc.disable()
        for turn in range(options.rounds):
            for name in sorted(learners, reverse=turn % 2 == 0):
                seconds[name].append(seconds_of(learners[name], options.epochs))
        blocked = min(blocked_by(learners["with"]) for _ in range(10))
        learners["with"].save()
        newest = sorted(Path(folder).glob("step-*"))[-1]
        size = sum(path.stat().st_size for path in newest.iterdir())
    print(f"a checkpoint: {size / 1e6:.1f} MB; a step waits {blocked * 1e3:.1f} ms for it")
    for clock in CLOCKS:
        with_, without = ([turn[clock] for turn in seconds[name]] for name in ("with", "without"))
        ratios = [one / other for one, other in zip(with_, without, strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        print(f"{clock}: {statistics.median(without):.3f} s an epoch without, {statistics.median(with_):.3f} s with")
        print(f"  ratio: median {middle:.3f}, quartiles {low:.3f} to {high:.3f}")


if __name__ == "__main__":
    main()
