"""A step in two processes: JumpML's `distribute: ddp` beside torch's DistributedDataParallel by hand.

Two processes, joined by gloo and with one thread each, learn scikit-learn's digits in batches of 64, of which each has
32 rows in memory. The loops take turns of some steps on the same rows, the same loop in both processes, and a ratio is
the median over the rounds. The wall's time has in it what the processes wait for each other, and so on a machine with
fewer free cores than processes mostly chance: there the processor's time says more.
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
import torch.nn.functional as F
from step_overhead import BATCH, NETS, graph_of, in_memory, load_digits, optimizer_of
from torch import Tensor, distributed, multiprocessing, nn
from torch.nn.parallel import DistributedDataParallel

from jumpml.balance import UPGrad
from jumpml.core import Task
from jumpml.graph import Model, Node
from jumpml.learn import Balancing, Learner, make_optimizer
from jumpml.objectives import CrossEntropy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Batch = dict[str, Tensor]
    Step = Callable[[Batch], None]
    Times = dict[str, list[tuple[float, float]]]  # by loop and round, wall and processor, seconds a step

COUNT, TURN = 2, 20
BASE = "by hand, DistributedDataParallel"


def by_hand(net: str) -> Step:
    """A step of torch's own."""
    torch.manual_seed(0)
    model = DistributedDataParallel(nn.Sequential(*NETS[net]()))
    optimizer = optimizer_of(model)

    def step(batch: Batch) -> None:
        loss = F.cross_entropy(model(batch["image"]), batch["label"])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    return step


def by_jumpml(net: str, *, fused: bool = False, tasks: int = 1, balanced: bool = False) -> Step:
    """A learner's step.

    Args:
        net: Which.
        fused: Whether the optimizer is made from options.
        tasks: How many heads there are, all of the same target.
        balanced: Whether their gradients are combined by UPGrad.
    """
    torch.manual_seed(0)
    loaders = load_digits()
    model = graph_of(loaders, NETS[net]) if tasks == 1 else _with_heads(loaders, net, tasks)
    optimizer = make_optimizer(model, "sgd", 0.01, arguments={"momentum": 0.9}) if fused else optimizer_of(model)
    hooks = [Balancing(UPGrad())] if balanced else []
    learner = Learner(loaders, model, optimizer, record_examples=False, hooks=hooks, distribute="ddp")
    return learner.step


def _with_heads(loaders: Any, net: str, tasks: int) -> Model:
    body, _ = NETS[net]()
    width = body(next(iter(loaders.train.plain()))["image"][:1]).shape[1]
    names = [f"digit{number}" for number in range(tasks)]
    return Model(
        inputs={"image": loaders.info("image")},
        nodes={"body": Node(body, "image"), **{name: Node(nn.Linear(width, 10), "body") for name in names}},
        tasks={name: Task(kind="multiclass", output=name, target="label") for name in names},
        objectives={name: CrossEntropy((name, "label")) for name in names},
        fields=loaders.fields,
    )


def measure(steps: Mapping[str, Step], batches: list[Batch], rounds: int) -> Times:
    """Seconds a step, by loop and round; every round starts with another loop."""
    names = list(steps)
    times: Times = {name: [] for name in names}
    for name in names:
        for batch in batches:
            steps[name](batch)
    gc.disable()
    for turn in range(rounds):
        shift = turn % len(names)
        for name in names[shift:] + names[:shift]:
            gc.collect()
            distributed.barrier()
            wall, own = time.perf_counter(), time.process_time()
            for place in range(TURN):
                steps[name](batches[place % len(batches)])
            times[name].append(((time.perf_counter() - wall) / TURN, (time.process_time() - own) / TURN))
    gc.enable()
    return times


def work(rank: int, meet: str, rounds: int) -> None:
    """All nets in one process; the first prints."""
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{meet}", rank=rank, world_size=COUNT)
    images, labels = in_memory(load_digits())
    whole = [slice(start, start + BATCH) for start in range(0, len(images) - BATCH + 1, BATCH)]
    batches = [{"image": images[rows][rank::COUNT], "label": labels[rows][rank::COUNT]} for rows in whole]
    for net in NETS:
        steps = {
            BASE: by_hand(net),
            "JumpML": by_jumpml(net),
            "JumpML, optimizer from options": by_jumpml(net, fused=True),
            "JumpML, three tasks": by_jumpml(net, tasks=3),
            "JumpML, three tasks by UPGrad": by_jumpml(net, tasks=3, balanced=True),
        }
        times = measure(steps, batches, rounds)
        if rank == 0:
            report(net, times)
    distributed.destroy_process_group()


def report(net: str, times: Times) -> None:
    """A table's lines."""
    for name, rounds in times.items():
        cells = []
        for clock in range(2):
            own = [1e6 * seconds[clock] for seconds in rounds]
            ratios = [one[clock] / other[clock] for one, other in zip(rounds, times[BASE], strict=True)]
            cells += [f"{statistics.median(own):.0f}", f"{statistics.median(ratios):.2f}"]
        print(f"| {net} | {name} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Microseconds a step in two processes, beside torch's own by hand.")
    parser.add_argument("--rounds", type=int, default=30, help="(default: %(default)s)")
    rounds = parser.parse_args().rounds
    print(f"torch {torch.__version__}, {COUNT} processes of 1 thread by gloo, {rounds} rounds of {TURN} steps\n")
    print("| net | loop | wall, µs a step | ratio | processor, µs a step | ratio |\n|---|---|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as folder:
        multiprocessing.start_processes(work, (str(Path(folder) / "meet"), rounds), nprocs=COUNT, start_method="spawn")


if __name__ == "__main__":
    main()
