"""Microseconds a node: a forward pass of a model beside the same modules called by hand, in one run.

The modules are tiny (a linear layer on a batch of 8 rows of 8 numbers), so that the graph is a good part of what is
measured. The two take turns of many passes, and the figure is the median over the rounds of what the model takes longer
by node. The losses' plan, which is what a learner calls at every step, is measured in the same way; and all once more
under `torch.compile`, beside a module written by hand that is compiled too.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn

from jumpml.core import Task, ValueInfo
from jumpml.graph import Model, Node
from jumpml.objectives import CrossEntropy

if TYPE_CHECKING:
    from collections.abc import Callable

WIDTH = 8
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
BATCH = {name: torch.randn(WIDTH, WIDTH) for name in ("x", "z")} | {"y": torch.arange(WIDTH) % 3}


class Case(NamedTuple):
    """A model and the same by hand."""

    name: str
    nodes: int
    model: Callable[[dict[str, Tensor]], object]
    by_hand: Callable[[dict[str, Tensor]], object]


class Result(NamedTuple):
    """Medians: microseconds a pass by hand and by the model, and what it takes longer a node, with the quartiles."""

    name: str
    by_hand: float
    model: float
    a_node: float
    low: float
    high: float


class Both(nn.Module):
    """Reads two values by name and gives a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(WIDTH, WIDTH)

    def forward(self, left: Tensor, right: Tensor) -> dict[str, Tensor]:
        """A dict of two."""
        return {"sum": self.layer(left) + right, "left": left}


class ByHand(nn.Module):
    """The function as a module, as one would write and compile it."""

    def __init__(self, function: Callable[[dict[str, Tensor]], object]) -> None:
        super().__init__()
        self.function = function

    def forward(self, batch: dict[str, Tensor]) -> object:
        """What the function gives."""
        return self.function(batch)


class Add(nn.Module):
    """Two branches come together."""

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        """The sum."""
        return left + right


def linear() -> nn.Module:
    """The tiny module."""
    return nn.Linear(WIDTH, WIDTH)


def model_of(nodes: dict[str, tuple[nn.Module, Any]], **rest: Any) -> Model:
    """A graph over `x` and `z`; its last node is its task's output."""
    inputs = {name: ValueInfo(shape=(WIDTH,)) for name in ("x", "z")}
    *_, last = nodes
    task = Task(kind="multiclass", output=last, target="y")
    return Model(inputs=inputs, nodes={name: Node(*node) for name, node in nodes.items()}, tasks={"out": task}, **rest)


def chain(length: int) -> Case:
    """One node after the other."""
    modules = [linear() for _ in range(length)]
    model = model_of({f"n{i}": (module, f"n{i - 1}" if i else "x") for i, module in enumerate(modules)})

    def by_hand(batch: dict[str, Tensor]) -> dict[str, Tensor]:
        x = batch["x"]
        for module in modules:
            x = module(x)
        return {"out": x}

    return Case(f"chain of {length}", length, model, by_hand)


def diamond() -> Case:
    """Two branches of one trunk that join."""
    trunk, left, right, join = linear(), linear(), linear(), Add()
    nodes = {"trunk": (trunk, "x"), "l": (left, "trunk"), "r": (right, "trunk"), "join": (join, ["l", "r"])}

    def by_hand(batch: dict[str, Tensor]) -> dict[str, Tensor]:
        x = trunk(batch["x"])
        return {"out": join(left(x), right(x))}

    return Case("diamond", len(nodes), model_of(nodes), by_hand)


def parts() -> Case:
    """Two inputs by argument name, and elements of a dict."""
    first, both, again, last = linear(), Both(), Both(), linear()
    nodes = {
        "first": (first, "x"),
        "both": (both, {"right": "z", "left": "first"}),
        "again": (again, {"left": "both.sum", "right": "both.left"}),
        "last": (last, "again.sum"),
    }

    def by_hand(batch: dict[str, Tensor]) -> dict[str, Tensor]:
        given = both(right=batch["z"], left=first(batch["x"]))
        return {"out": last(again(left=given["sum"], right=given["left"])["sum"])}

    return Case("by name, with parts", len(nodes), model_of(nodes), by_hand)


def losses() -> Case:
    """A plan of losses: two nodes and an objective, as in a learner's step."""
    body, head = linear(), linear()
    objective = CrossEntropy(("head", "y"))
    nodes = {"body": (body, "x"), "head": (head, "body")}
    model = model_of(nodes, objectives={"out": objective})

    def by_hand(batch: dict[str, Tensor]) -> object:
        coded = body(batch["x"])
        logits = head(coded)
        return {"out": objective(logits, batch["y"])}, {"body": coded, "head": logits}

    return Case("losses of 2 nodes", len(nodes) + 1, model.plan_losses("supervised", BATCH), by_hand)


CASES: dict[str, Callable[[], Case]] = {
    "chain of 4": lambda: chain(4),
    "chain of 16": lambda: chain(16),
    "chain of 64": lambda: chain(64),
    "diamond": diamond,
    "parts": parts,
    "losses": losses,
}


def compiled(case: Case) -> Case:
    """Both sides under `torch.compile`, as one graph each."""
    by_hand = ByHand(case.by_hand) if isinstance(case.model, nn.Module) else case.by_hand
    sides = [torch.compile(side, fullgraph=True) for side in (case.model, by_hand)]
    return Case(f"{case.name}, compiled", case.nodes, *sides)


def measure(case: Case, repeats: int, passes: int, clock: Callable[[], float]) -> Result:
    """Turns of many passes; every round the other side begins."""
    sides = [case.by_hand, case.model]
    times: list[list[float]] = [[], []]
    with torch.no_grad():
        for side in sides * 2:  # warm-up: plans, compilation, caches
            turn(side, passes, clock)
        gc.disable()
        for number in range(repeats):
            for which in ((0, 1), (1, 0))[number % 2]:
                times[which].append(turn(sides[which], passes, clock))
        gc.enable()
    longer = [(model - hand) / case.nodes for hand, model in zip(*times, strict=True)]
    low, _, high = statistics.quantiles(longer, n=4)
    by_hand, model, a_node = (statistics.median(values) for values in (*times, longer))
    return Result(case.name, by_hand, model, a_node, low, high)


def turn(side: Callable[[dict[str, Tensor]], object], passes: int, clock: Callable[[], float]) -> float:
    """Microseconds a pass."""
    start = clock()
    for _ in range(passes):
        side(BATCH)
    return 1e6 * (clock() - start) / passes


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Microseconds a node: a model beside the same modules by hand.")
    parser.add_argument("--repeats", type=int, default=60, help="rounds (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="6 rounds: a look, no measurement")
    parser.add_argument("--no-compile", action="store_true", help="leave torch.compile out, which takes a minute")
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="what is read (default: %(default)s)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    repeats = 6 if options.quick else options.repeats
    print(f"torch {torch.__version__}, 1 thread, {repeats} rounds of 200 passes, {options.clock} time, microseconds\n")
    print("| graph | by hand | model | longer, a node (median) | lower quartile | upper quartile |")
    print("|---|---:|---:|---:|---:|---:|")
    cases = [make() for make in CASES.values()]
    if not options.no_compile:
        cases += [compiled(CASES[name]()) for name in ("chain of 16", "parts", "losses")]
    for case in cases:
        name, by_hand, model, *longer = measure(case, repeats, 200, CLOCKS[options.clock])
        print(f"| {name} | {by_hand:.1f} | {model:.1f} | {' | '.join(f'{figure:.2f}' for figure in longer)} |")


if __name__ == "__main__":
    main()
