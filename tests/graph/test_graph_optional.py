"""Inputs that a batch may lack, and which rows have a value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn

import jumpml
from jumpml.core import GraphError, ModelSpec, ValueInfo, load_spec
from jumpml.graph import Model, Node, fields_read
from jumpml.graph._rows import on_rows

if TYPE_CHECKING:
    from pathlib import Path

INPUTS = {"x": ValueInfo(shape=(4,)), "depth": ValueInfo(shape=(4,))}


class Fuse(nn.Module):
    """Adds what is there; lazily as wide as the first."""

    def __init__(self, *, careless: bool = False, other: bool = False) -> None:
        super().__init__()
        self.fc, self.careless, self.other = nn.LazyLinear(3), careless, other

    def forward(self, x: Tensor, depth: Tensor | None = None) -> Tensor:
        if depth is None and not self.careless:
            return self.fc(x)[:, :2] if self.other else self.fc(x)
        return self.fc(x + depth)  # type: ignore[operator]


@pytest.mark.parametrize("inputs", [("x", "depth?"), {"x": "x", "depth": "depth?"}])
def test_what_the_batch_lacks_is_none(inputs: Any) -> None:
    model = Model(inputs=INPUTS, nodes={"fuse": Node(Fuse(), inputs)}, outputs=["fuse"])
    x, depth = torch.randn(3, 4), torch.randn(3, 4)
    fuse = model.node("fuse")
    for _ in range(2):  # one model serves both, in turn
        assert torch.equal(model({"x": x, "depth": depth})["fuse"], fuse(x, depth))
        assert torch.equal(model({"x": x})["fuse"], fuse(x))
    assert model.ancestors("fuse") == {"x", "depth"}
    with pytest.raises(GraphError, match=r"the batch lacks 'x'; it holds: depth"):
        model({"depth": depth})


def test_the_table_and_the_drawing_tell_what_is_optional() -> None:
    model = Model(inputs=INPUTS, nodes={"fuse": Node(Fuse(), ["x", "depth?"])})
    assert model.table()[0]["optional"] == ["depth"]
    assert "x, depth?" in str(model)
    assert model.draw().count('class="arrow optional"') == 1


def test_what_no_data_has_is_none() -> None:
    model = Model(inputs={"x": INPUTS["x"]}, nodes={"fuse": Node(Fuse(), ["x", "depth?"])})
    x = torch.randn(3, 4)
    assert torch.equal(model({"x": x}, outputs=["fuse"])["fuse"], model.node("fuse")(x))


def test_what_is_computed_of_a_field_that_the_batch_lacks_is_none_too() -> None:
    nodes = {"deep": Node(nn.Linear(4, 4), "depth"), "fuse": Node(Fuse(), ["x", "deep?"])}
    model = Model(inputs=INPUTS, nodes=nodes, outputs=["fuse"])
    x, depth = torch.randn(3, 4), torch.randn(3, 4)
    fuse, deep = model.node("fuse"), model.node("deep")
    assert torch.equal(model({"x": x})["fuse"], fuse(x))
    assert torch.equal(model({"x": x, "depth": depth})["fuse"], fuse(x, deep(depth)))


def test_a_node_that_cannot_do_without() -> None:
    with pytest.raises(GraphError) as caught:
        Model(inputs=INPUTS, nodes={"fuse": Node(Fuse(careless=True), ["x", "depth?"])})
    text = str(caught.value)
    assert text.startswith(
        "node 'fuse': without what is optional: test_graph_optional.Fuse fails on x [batch, 4] ".replace(
            "test_", Fuse.__module__.removesuffix("test_graph_optional") + "test_"
        )
    )
    assert "depth nothing (None)" in text


def test_a_node_that_gives_another_shape_without() -> None:
    text = (
        r"node 'fuse': gives \[batch, 3\] float32, and \[batch, 2\] float32 without 'depth', which it reads as optional"
    )
    with pytest.raises(GraphError, match=text):
        Model(inputs=INPUTS, nodes={"fuse": Node(Fuse(other=True), ["x", "depth?"])})


def test_losses_with_and_without(sum_of: Any) -> None:
    model = Model(inputs=INPUTS, nodes={"fuse": Node(Fuse(), ["x", "depth?"])}, objectives={"sum": sum_of("fuse")})
    x, depth = torch.randn(3, 4), torch.randn(3, 4)
    fuse = model.node("fuse")
    assert torch.equal(model.losses({"x": x})["sum"], fuse(x).sum(1))
    assert torch.equal(model.losses({"x": x, "depth": depth})["sum"], fuse(x, depth).sum(1))


def test_optional_inputs_compile_without_a_break() -> None:
    model = Model(inputs=INPUTS, nodes={"fuse": Node(Fuse(), ["x", "depth?"])}, outputs=["fuse"])
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    batch = {"x": torch.randn(3, 4), "depth": torch.randn(3, 4)}
    for given in (batch, {"x": batch["x"]}, batch):
        assert torch.equal(compiled(given)["fuse"], model(given)["fuse"])


# --- from files -------------------------------------------------------------------------------------------------------


def table(folder: Path, rows: str) -> Any:
    (folder / "t.csv").write_text(rows)
    fields = {"x": {"kind": "number"}, "y": {"kind": "number"}}
    return jumpml.create_dataloader(
        {"datasets": {"t": {"source": {"kind": "csv", "path": str(folder / "t.csv")}, "fields": fields}}}
    )


def test_a_file_reads_what_the_data_may_lack() -> None:
    spec = {
        "nodes": {
            "both": {"module": "jumpml.blocks.Concat", "inputs": ["x", "x.present"]},
            "maybe": {
                "module": "torch.nn.MultiheadAttention",
                "inputs": {"query": "both", "key": "both", "value": "both", "attn_mask": "mask?"},
                "args": {"embed_dim": 2, "num_heads": 1, "batch_first": True},
            },
            "out": {"module": "jumpml.blocks.Head", "inputs": "maybe.0"},
        },
        "tasks": {"y": {"kind": "regression", "output": "out", "target": "y"}},
    }
    assert fields_read(load_spec(ModelSpec, spec)) == ("mask", "x", "x.present")


@pytest.mark.parametrize("missing", [True, False])
def test_nodes_read_which_rows_have_a_value(tmp_path: Path, missing: bool) -> None:
    """From the loader and inside what is exported; also where no row lacks one."""
    rows = [f"{'' if missing and n % 3 == 0 else n},{n}" for n in range(40)]
    data = table(tmp_path, "\n".join(["x,y", *rows]))
    spec = {
        "nodes": {
            "flag": {"module": "test_graph_optional.Flag", "inputs": "x.present"},
            "both": {"module": "jumpml.blocks.Concat", "inputs": ["x", "flag"]},
            "out": {"module": "jumpml.blocks.Head", "inputs": "both"},
        },
        "tasks": {"y": {"kind": "regression", "output": "out", "target": "y"}},
    }
    spec["nodes"]["flag"]["module"] = f"{Flag.__module__}.Flag"
    model = jumpml.load_model(spec, data, seed=0, trust=[Flag.__module__.partition(".")[0], Flag.__module__])
    assert model.inputs["x.present"] == ValueInfo(shape=(), dtype="bool")
    for batch in data.val.plain():
        assert batch["x.present"].dtype == torch.bool
        assert bool((batch["x.present"] == (batch["y"].flatten() % 3 != 0)).all()) or not missing
        assert missing or bool(batch["x.present"].all())
        assert torch.equal(model(batch, outputs=["flag"])["flag"].flatten(), batch["x.present"].float())
    learner = jumpml.create_learner(
        data, model, None, {"phases": {"supervised": {"epochs": 1}}, "log": [], "checkpoint": None}
    )
    learner.fit()
    from jumpml.deploy._exportable import Exportable

    exported = Exportable(model, data)
    assert exported.fields == ("x",)
    decoded = data.val.decoded("x")
    whole = next(data.val.plain())
    torch.testing.assert_close(exported(decoded)[0], model(whole)["y"])


class Flag(nn.Module):
    """Truth as a number."""

    def forward(self, present: Tensor) -> Tensor:
        return present.float().unsqueeze(1)


# --- some rows --------------------------------------------------------------------------------------------------------


class Statistics(nn.Module):
    """Notes how many rows it sees, and gives a tuple with the batch first in one part alone."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[int] = []

    def forward(self, x: Tensor, scale: float) -> tuple[Tensor, Tensor]:
        self.seen.append(len(x))
        return x * scale, x.new_ones(7)


def test_a_module_on_some_rows() -> None:
    module = Statistics()
    x, rows = torch.arange(8.0).reshape(4, 2), torch.tensor([True, False, True, False])
    value, other = on_rows(module, module, rows, False, False, x, scale=2.0)
    assert value.tolist() == [[0, 2], [0, 0], [8, 10], [0, 0]]
    assert other.shape == (7,)
    on_rows(module, module, torch.ones(4, dtype=torch.bool), False, False, x, scale=2.0)
    module.eval()
    assert on_rows(module, module, rows, False, False, x, scale=2.0)[0].tolist() == value.tolist()
    assert module.seen == [2, 4, 4], "in evaluation the device is asked nothing"
    assert on_rows(module, module, rows, False, True, x, scale=2.0)[0].tolist() == value.tolist()
    assert module.seen == [2, 4, 4, 2], "but for losses of all that it is given"
