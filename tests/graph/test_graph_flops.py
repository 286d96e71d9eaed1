"""What a node computes a row, counted without computing anything."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from jumpml.core import FieldInfo, GraphRecord, Task, ValueInfo
from jumpml.graph._ghost import ghost


def flops(model) -> dict[str, int | None]:
    return {row["node"]: row["flops"] for row in model.table()}


def counted_by_torch(module: nn.Module, *shape: int) -> int:
    """The same module on the meta device, where torch runs recurrent layers step by step."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        copy.deepcopy(module).to("meta").eval()(torch.empty(1, *shape, device="meta"))
    return counter.get_total_flops()


@pytest.mark.parametrize(
    ("module", "shape", "expected"),
    [
        (nn.Linear(4, 8), (4,), 2 * 4 * 8),
        (nn.Conv2d(2, 3, 3), (2, 6, 5), 2 * (2 * 3 * 3) * 3 * (4 * 3)),
        (nn.ReLU(), (4,), 0),
    ],
)
def test_flops_by_hand(make, module, shape, expected):
    model = make({"n": (module, "x")}, inputs={"x": ValueInfo(shape=shape)})
    assert flops(model) == {"n": expected}


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported")
@pytest.mark.parametrize(
    "module",
    [
        nn.LSTM(7, 6, 2, batch_first=True, bidirectional=True),
        nn.LSTM(7, 6, 2, batch_first=True, proj_size=3),
        nn.GRU(7, 6, batch_first=True),
        nn.RNN(7, 6, 3, batch_first=True),
    ],
)
def test_recurrent_layers_count_as_torch_counts_them_step_by_step(make, module):
    model = make({"n": (module, "x")}, inputs={"x": ValueInfo(shape=(5, 7))})
    assert flops(model) == {"n": counted_by_torch(module, 5, 7)}
    assert flops(model)["n"]


def test_attention_counts(make):
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    model = make({"n": (layer, "x")}, inputs={"x": ValueInfo(shape=(5, 8))})
    # by row: 4 projections of 8 by 8, two layers of 8 by 16, and the products of queries, keys and values
    by_hand = 2 * 5 * (4 * 8 * 8 + 2 * 8 * 16) + 2 * 2 * 5 * 5 * 8
    assert flops(model) == {"n": by_hand}


class Branch(nn.Module):
    """Asks for a value, which nothing on the meta device has."""

    def forward(self, x: Tensor) -> Tensor:
        return x if float(x.sum()) > 0 else -x


class Pair(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x, x


class First(nn.Module):
    def forward(self, pair: tuple[Tensor, Tensor]) -> Tensor:
        return pair[0]


def test_what_cannot_be_counted_is_a_question_and_what_follows_is_counted(make):
    model = make({"free": (Branch(), "x"), "out": (nn.Linear(4, 2), "free")})
    assert flops(model) == {"free": None, "out": 16}
    assert str(model).splitlines()[0] == "Model with 10 parameters, at least 16 FLOPs a row"
    assert str(model).splitlines()[3].split() == [
        "free",
        f"{__name__}.Branch",
        "x",
        "[batch,",
        "4]",
        "float32",
        "0",
        "?",
    ]


def test_whole_tuples_and_parts_flow(make):
    nodes = {"pair": (Pair(), "x"), "first": (First(), "pair"), "out": (nn.Linear(4, 2), "pair.1")}
    assert flops(make(nodes)) == {"pair": 0, "first": 0, "out": 16}


def test_a_replaced_module_is_counted_anew(make):
    model = make({"out": (nn.Linear(4, 2), "x")})
    assert flops(model) == {"out": 16}
    model.node_out = nn.Linear(4, 3)
    assert flops(model) == {"out": 24}


def test_shared_weights_are_told_and_counted_once_in_the_total(make):
    shared = nn.Linear(4, 4)
    model = make({"a": (shared, "x"), "b": (shared, "a")})
    assert [(row["shares"], row["parameters"]) for row in model.table()] == [(None, 20), ("a", 20)]
    assert str(model).splitlines()[0] == "Model with 20 parameters, 64 FLOPs a row"
    assert "torch.nn.Linear of a" in str(model)


class Remembers(nn.Module):
    """Keeps what it made for a size, and counts its calls."""

    def __init__(self) -> None:
        super().__init__()
        self.made = torch.zeros(0, 1)
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        if len(self.made) != len(x):
            self.made = torch.ones(len(x), 1, device=x.device)
        return x + self.made


def test_nothing_is_run_and_what_a_module_keeps_is_left_alone(make):
    module = Remembers()
    model = make({"n": (module, "x")})
    model({"x": torch.zeros(5, 4)}, ["n"])
    calls = module.calls
    assert flops(model) == {"n": 0}
    assert (module.calls, len(module.made), module.made.device.type) == (calls, 5, "cpu")


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (nn.LSTM(4, 3, batch_first=True, num_layers=2, bidirectional=True), (5, 4)),
        (nn.LSTM(4, 3, batch_first=True, proj_size=2), (5, 4)),
        (nn.GRU(4, 3, batch_first=True), (5, 4)),
        (nn.utils.parametrizations.weight_norm(nn.Linear(4, 3)), (4,)),
        (nn.utils.spectral_norm(nn.Linear(4, 3)), (4,)),
        (nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3)), (1, 8, 8)),
    ],
)
def test_a_ghost_gives_the_shapes_of_its_module_and_holds_no_memory(module, shape):
    x = torch.rand(3, *shape)
    copied = ghost(module)
    got, wanted = shapes(copied(x.to("meta"))), shapes(module.eval()(x))
    assert got == wanted
    assert {value.device.type for value in [*copied.parameters(), *copied.buffers()]} == {"meta"}
    assert {value.device.type for value in [*module.parameters(), *module.buffers()]} == {"cpu"}


def shapes(value: Tensor | tuple) -> list[torch.Size]:
    return [value.shape] if isinstance(value, Tensor) else [shape for part in value for shape in shapes(part)]


def test_weights_that_are_tied_stay_tied_in_a_ghost():
    module = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    module[1].weight = module[0].weight
    first, second = ghost(module).children()
    assert second.weight is first.weight
    assert first.weight is not module[0].weight


def test_the_record_goes_through_json(make, sum_of):
    tasks = {"kind": Task(kind="multiclass", output="out", target="y")}
    nodes = {
        "lstm": (nn.LSTM(4, 3, batch_first=True), "x"),
        "flat": (nn.Flatten(), "lstm.0"),
        "out": (nn.LazyLinear(3), "flat"),
    }
    objectives = {"far": sum_of("lstm.0", views=("strong",), when=("warm",)), "hold": sum_of(parameters_of=("all",))}
    model = make(nodes, inputs={"x": ValueInfo(shape=(5, 4))}, tasks=tasks, objectives=objectives)
    record = model.record()
    assert GraphRecord.model_validate_json(record.model_dump_json()) == record
    assert record.sources == {"lstm.0": "lstm"}
    assert record.objectives["far"].views == ("strong",)
    assert record.objectives["hold"].parameters == ("all",)
    assert record.nodes[0]["node"] == "lstm"


def test_a_check_against_data_counts_nothing(make, monkeypatch):
    """Counting imports the compiler's parts of torch, for a second of every start."""
    model = make({"n": (nn.Linear(4, 8), "x")}, inputs={"x": ValueInfo(shape=(4,))})
    monkeypatch.delattr("jumpml.graph._structure.count_flops")
    model.check_fields({"x": FieldInfo(name="x", kind="vector", value=ValueInfo(shape=(4,)))})
