"""What tests of several processes share: a function that runs in each of some, and learners for it."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Any

import torch
from taught import two_tasks
from torch import distributed, multiprocessing, nn

from jumpml.data import Column, DataLoaders
from jumpml.learn import Learner, Phase
from jumpml.objectives import L2

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import Tensor


def in_processes(count: int, work: Callable[..., Any], folder: Path, *args: Any, **options: Any) -> list[Any]:
    """What a function of a test module gives in each of several processes that have been joined, by rank.

    Args:
        count: How many.
        work: The function; what it raises is raised here.
        folder: Where they meet.
        args: Its arguments.
        options: Likewise.
    """
    multiprocessing.start_processes(_run, (count, work, folder, (args, options)), nprocs=count, start_method="spawn")
    found = [torch.load(folder / f"{rank}.pt", weights_only=False) for rank in range(count)]
    (folder / "meet").unlink(missing_ok=True)
    return found


def _run(rank: int, count: int, work: Any, folder: Path, given: tuple[Any, Any]) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder / 'meet'}", rank=rank, world_size=count)
    try:
        args, options = given
        torch.save(work(*args, **options), folder / f"{rank}.pt")
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        distributed.destroy_process_group()


def make_loaders() -> DataLoaders:
    """Four numbers, a class of three, and a number that every third row lacks; the last batch is short, and odd."""
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(84, 4, generator=generator)
    size = x.sum(1, keepdim=True)
    size[::3] = torch.nan
    rows = torch.arange(84)
    return DataLoaders(
        {
            "x": Column(x, "tensor"),
            "kind": Column(x[:, :3].argmax(1), "category", classes=("red", "green", "blue")),
            "size": Column(size, "number"),
        },
        {"train": rows[:65], "val": rows[65:79], "test": rows[79:]},
        batch_size=10,
    )


def make_learner(*hooks: Any, dropout: float = 0.0, **options: Any) -> Learner:
    loaders = make_loaders()
    model = two_tasks(
        loaders,
        lambda: nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Dropout(dropout)),
        {"small": L2(parameters_of="trunk", weight=0.01)},
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    options = {"phases": {"supervised": Phase(epochs=3)}, "distribute": "ddp", **options}
    return Learner(loaders, model, optimizer, hooks=hooks, **options)


def weights_of(learner: Learner) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in learner.model.state_dict().items()}


def fitted(*hooks: Any, **options: Any) -> dict[str, Any]:
    """What a run ends with."""
    learner = make_learner(*hooks, **options)
    learner.fit()
    return {"weights": weights_of(learner), "losses": [epoch.losses for epoch in learner.history.epochs]}
