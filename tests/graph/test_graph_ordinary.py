"""A model is an ordinary module: functions of its weights, copies, files, devices, types, several processes."""

from __future__ import annotations

import copy
import io
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from jumpml.core import Task, ValueInfo
from jumpml.graph import Model, Node
from jumpml.objectives import L2, CrossEntropy, VICReg

if TYPE_CHECKING:
    from collections.abc import Callable

ROWS = 8
TASKS = {"kind": Task(kind="multiclass", output="out", target="y")}


class Both(nn.Module):
    """Reads by name, gives a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(6))

    def forward(self, left: Tensor, right: Tensor) -> dict[str, Tensor]:
        return {"sum": left + right * self.scale, "left": left}


class Pair(nn.Module):
    """In a recurrent layer's place where torch's cannot go: it gives a tuple too."""

    def __init__(self, inputs: int, outputs: int, batch_first: bool) -> None:
        super().__init__()
        self.layer = nn.Linear(inputs, outputs)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.layer(x), x


def build(seed: int = 0, recurrent: Callable[..., nn.Module] = nn.GRU) -> Model:
    """A recurrent and a plain branch that join, with a normalization over the batch, and a loss of its own weights."""
    torch.manual_seed(seed)
    return Model(
        inputs={"series": ValueInfo(shape=(5, 3)), "x": ValueInfo(shape=(4,))},
        nodes={
            "gru": Node(recurrent(3, 2, batch_first=True), "series"),
            "flat": Node(nn.Sequential(nn.Flatten(), nn.LazyLinear(6)), "gru.0"),
            "code": Node(nn.Sequential(nn.Linear(4, 6), nn.LayerNorm(6)), "x"),
            "both": Node(Both(), {"right": "code", "left": "flat"}),
            "out": Node(nn.LazyLinear(3), "both.sum"),
        },
        tasks=TASKS,
        objectives={
            "kind": CrossEntropy(("out", "y")),
            "small": L2(("both.sum",), weight=0.1),
            "agree": VICReg(("code",), views=("strong",), when=("views",)),
        },
        seed=seed,
    )


def batch_of(rows: int = ROWS) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    batch = {name: torch.randn(rows, 4, generator=generator) for name in ("x", "x@strong.0", "x@strong.1")}
    return {**batch, "series": torch.randn(rows, 5, 3, generator=generator), "y": torch.arange(rows) % 3}


def make_plans(model: Model) -> None:
    batch = batch_of()
    model(batch)
    for phase in ("supervised", "views"):
        model.losses(batch, phase)


def inputs_of(batch: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: batch[name] for name in ("series", "x")}


# --- functions of its weights ----------------------------------------------------------------------------------------


def test_functional_call_takes_other_weights():
    model, batch = build(), inputs_of(batch_of())
    other = build(seed=1)
    got = functional_call(model, dict(other.named_parameters()), (batch,))["kind"]
    torch.testing.assert_close(got, other(batch)["kind"])
    assert not torch.equal(got, model(batch)["kind"])


def test_gradients_by_row_are_those_of_rows_alone():
    model, batch = build(recurrent=Pair), batch_of()  # torch has no vmap for a GRU
    weights = {name: parameter.detach() for name, parameter in model.named_parameters()}

    def loss(weights: dict[str, Tensor], row: dict[str, Tensor]) -> Tensor:
        one = {name: value[None] for name, value in row.items()}
        return functional_call(model, weights, (inputs_of(one),))["kind"].log_softmax(1)[0, 0]

    by_row = vmap(grad(loss), in_dims=(None, 0))(weights, inputs_of(batch))
    for row in (0, ROWS - 1):
        model.zero_grad()
        alone = inputs_of({name: value[row : row + 1] for name, value in batch.items()})
        model(alone)["kind"].log_softmax(1)[0, 0].backward()
        for name, parameter in model.named_parameters():
            expected = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            torch.testing.assert_close(by_row[name][row], expected, msg=name)
    assert by_row["node_out.weight"].abs().sum() > 0


# --- copies and files ------------------------------------------------------------------------------------------------


def saved(thing: Any, **how: Any) -> Any:
    file = io.BytesIO()
    torch.save(thing, file)
    file.seek(0)
    return torch.load(file, **how)


@pytest.mark.parametrize(
    "make_another",
    [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model)), lambda model: saved(model, weights_only=False)],
    ids=["deepcopy", "pickle", "torch.save"],
)
def test_another_of_it_gives_the_same_and_is_apart(make_another):
    model, batch = build(), batch_of()
    make_plans(model)  # they must not travel
    other = make_another(model)
    for phase in ("supervised", "views"):
        got, wanted = other.losses(batch, phase), model.losses(batch, phase)
        assert list(got) == list(wanted)
        assert all(torch.equal(got[name], wanted[name]) for name in wanted)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    assert not other(batch)["kind"].any()
    assert model(batch)["kind"].any()


def test_state_goes_through_a_file_that_can_run_nothing():
    model, other = build(), build(seed=1)
    batch = batch_of()
    assert not torch.equal(model(batch)["kind"], other(batch)["kind"])
    other.load_state_dict(saved(model.state_dict(), weights_only=True))
    assert torch.equal(model(batch)["kind"], other(batch)["kind"])


# --- devices and types -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_its_type_changes(dtype):
    model, batch = build(), batch_of()
    expected = model(batch)["kind"]
    batch = {name: value.to(dtype) if value.is_floating_point() else value for name, value in batch.items()}
    model.losses(batch_of())
    losses = model.to(dtype).losses(batch)
    assert {value.dtype for value in losses.values()} == {dtype}
    got = model(batch)["kind"]
    assert got.dtype == dtype
    torch.testing.assert_close(got.float(), expected, atol=0.1, rtol=0.1)


def test_it_moves_to_another_device():
    """``meta`` stands in for a device: nothing may stay behind, in plans or in objectives."""
    model, batch = build(), batch_of()
    make_plans(model)
    model = model.to("meta")
    batch = {name: value.to("meta") for name, value in batch.items()}
    values = [*model(batch).values(), *model.losses(batch).values(), *model.losses(batch, "views").values()]
    assert {value.device.type for value in values} == {"meta"}


# --- processes side by side ------------------------------------------------------------------------------------------


class Losses(nn.Module):
    """All losses of a batch as one number: what a learner hands to DDP."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        return torch.stack([value.mean() for value in self.model.losses(batch).values()]).sum()


def loss_of(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    return F.cross_entropy(model(inputs_of(batch))["kind"], batch["y"])


def work(rank: int, folder: Path) -> None:
    """One of two processes: gradients on its half of the rows, of the outputs' loss and of the objectives'."""
    from torch import distributed
    from torch.nn.parallel import DistributedDataParallel

    distributed.init_process_group("gloo", init_method=f"file://{folder / 'meet'}", rank=rank, world_size=2)
    batch = {name: value.chunk(2)[rank] for name, value in batch_of().items()}
    plain, held = build(), build()
    apart = DistributedDataParallel(plain, find_unused_parameters=True)
    loss_of(apart, batch).backward()
    apart = DistributedDataParallel(Losses(held), find_unused_parameters=True)
    apart(batch).backward()
    torch.save([gradients(plain), gradients(held)], folder / f"{rank}.pt")
    distributed.destroy_process_group()


def gradients(model: Model) -> dict[str, Tensor]:
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None and name.startswith("node_")}


def test_two_processes_have_the_gradients_of_one(tmp_path):
    batch = batch_of()
    plain, held = build(), build()
    loss_of(plain, batch).backward()
    Losses(held)(batch).backward()
    commands = [[sys.executable, __file__, str(rank), str(tmp_path)] for rank in range(2)]
    workers = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for command in commands]
    said = [worker.communicate(timeout=120)[1] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], "\n".join(said)
    for rank in range(2):
        for got, model in zip(torch.load(tmp_path / f"{rank}.pt", weights_only=True), (plain, held), strict=True):
            wanted = gradients(model)
            assert got.keys() == wanted.keys()
            for name, value in wanted.items():
                torch.testing.assert_close(got[name], value, msg=name)


if __name__ == "__main__":
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    work(int(sys.argv[1]), Path(sys.argv[2]))
