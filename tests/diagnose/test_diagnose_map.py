"""Maps of nodes' values: where rows stand, what is said of them, and what cannot be mapped."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from torch import nn

from jumpml.core import DiagnosisError, MissingExtraError, Task
from jumpml.data import Column, DataLoaders, random_split
from jumpml.diagnose import MappedNode, diagnose
from jumpml.diagnose._map import draw_map, mapped_nodes
from jumpml.graph import Model, Node

ROWS = 120


def made(known: torch.Tensor | None = None, width: int = 5) -> tuple[DataLoaders, Model]:
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(ROWS) % 3
    x = torch.randn(ROWS, 4, generator=generator) + 4 * torch.randn(3, 4, generator=generator)[y]
    codes = y if known is None else torch.where(known, y, -1)
    columns = {"x": Column(x, "tensor"), "y": Column(codes, "category", ("<b>", "_hidden", "c"))}
    columns["age"] = Column(torch.rand(ROWS, 1, generator=generator), "number")
    loaders = DataLoaders(columns, random_split(ROWS))
    torch.manual_seed(0)
    nodes = {"body": Node(nn.Linear(4, width), "x"), "out": Node(nn.Linear(width, 3), "body")}
    tasks = {"kind": Task(kind="multiclass", output="out", target="y")}
    return loaders, Model(inputs={"x": loaders.info("x")}, nodes=nodes, tasks=tasks, fields=loaders.fields)


def test_rows_stand_where_principal_components_put_them() -> None:
    loaders, model = made()
    drawn, _ = draw_map(loaders, model.eval(), MappedNode(node="body", label="y"), 0)
    assert drawn is not None
    with torch.no_grad():
        values = model.node("body")(loaders.test.decoded("x")).double().numpy()
    pca = PCA(2).fit(values)
    mine, theirs = np.array([drawn.x, drawn.y]).T, pca.transform(values)
    order = [int(np.abs(np.abs(theirs) - np.abs(row)).sum(1).argmin()) for row in mine]  # rows are in random order
    assert sorted(order) == list(range(len(values)))
    assert np.abs(np.abs(theirs[order]) - np.abs(mine)).max() < 1e-2
    assert drawn.share == pytest.approx(pca.explained_variance_ratio_.sum())
    assert list(drawn.codes) == loaders.test.decoded("y")[order].tolist()
    assert drawn.classes == ("<b>", "_hidden", "c")
    assert drawn.alike is not None and drawn.alike > 0.9
    again, _ = draw_map(loaders, model, MappedNode(node="body", label="y"), 0)
    assert again == drawn


def test_a_diagnosis_maps_what_tasks_read_and_what_is_named() -> None:
    loaders, model = made()
    record = diagnose(loaders, model, maps=[MappedNode(node="out")]).record
    assert [(drawn.node, drawn.label) for drawn in record.maps] == [("out", ""), ("body", "y")]
    assert record.maps[0].alike is None and set(record.maps[0].codes) == {-1}
    named = [MappedNode(node="body")]
    assert mapped_nodes(loaders, model, named) == named  # what is named wins
    assert "body, 18 test rows by pca, " in str(diagnose(loaders, model))
    assert type(record).model_validate_json(record.model_dump_json()) == record


def test_rows_whose_class_is_not_known_are_on_the_map() -> None:
    loaders, model = made(torch.arange(ROWS) % 2 == 0)
    drawn, _ = draw_map(loaders, model.eval(), MappedNode(node="body", label="y"), 0)
    assert drawn is not None and -1 in drawn.codes and len(drawn.x) == len(loaders.test.rows)


def test_what_is_too_wide_or_too_narrow_is_left_out_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    loaders, model = made(width=1)
    assert diagnose(loaders, model).record.maps == ()
    text = "the map of 'body' is left out: it needs three test rows and two numbers a row."
    assert text in diagnose(loaders, model).record.notes
    monkeypatch.setattr("jumpml.diagnose._map.MOST_WIDTH", 4)
    loaders, model = made(width=5)
    drawn, note = draw_map(loaders, model, MappedNode(node="body"), 0)
    assert drawn is None
    assert note == "the map of 'body' is left out: it gives 5 numbers a row. Pool them in a node."


@pytest.mark.parametrize(
    ("mapped", "text"),
    [
        (MappedNode(node="bodi"), r"there is no node 'bodi' to map. Did you mean 'body'\?"),
        (MappedNode(node="body", label="z"), "the map of 'body': there is no field 'z'"),
        (
            MappedNode(node="body", label="age"),
            "the field 'age' is of kind number: name one with classes, which colour",
        ),
    ],
)
def test_what_cannot_be_mapped_is_said(mapped: MappedNode, text: str) -> None:
    with pytest.raises(DiagnosisError, match=text):
        diagnose(*made(), maps=[mapped])


def test_umap_is_optional_and_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    loaders, model = made()
    mapped = MappedNode(node="body", label="y", layout="umap")
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(MissingExtraError, match=r"a map by UMAP needs the package 'umap-learn'.*jumpml\[umap\]"):
        draw_map(loaders, model, mapped, 0)
    package: Any = ModuleType("umap")

    class UMAP:  # what JumpML asks of the package
        def __init__(self, *, n_components: int, random_state: int) -> None:
            assert n_components == 2 and 0 <= random_state < 2**32

        def fit_transform(self, rows: np.ndarray) -> np.ndarray:
            return rows[:, :2] + 1

    package.UMAP = UMAP
    monkeypatch.setitem(sys.modules, "umap", package)
    drawn, _ = draw_map(loaders, model.eval(), mapped, 0)
    assert drawn is not None and drawn.layout == "umap" and drawn.share is None
