"""Nodes that learn from the data how many codes there are to embed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn

import jumpml
from jumpml.blocks import Embedding, FTTransformer, Head, TabularEmbedding
from jumpml.core import GraphError, Task, ValueInfo
from jumpml.data import Column, DataLoaders, Encode, Hash, Index
from jumpml.graph import Model, Node

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TOKENS = ValueInfo(shape=(6,), dtype="int64", classes=50)


class Noting(nn.Module):
    """Keeps what it is told."""

    def connect(self, first: ValueInfo, second: ValueInfo | None = None) -> None:
        self.told = (first, second)

    def forward(self, first: Tensor, second: Tensor | None = None) -> Tensor:
        return first if second is None else first + second


@pytest.mark.parametrize(
    ("inputs", "expected"), [(["x", "y"], ((4,), (1,))), ({"second": "x", "first": "y"}, ((1,), (4,)))]
)
def test_values_come_as_the_forward_gets_them(inputs: Any, expected: Any, make: Callable[..., Model]) -> None:
    values = {"x": ValueInfo(shape=(4,)), "y": ValueInfo(shape=(1,))}
    module = Noting()
    make({"a": (module, inputs)}, inputs=values)
    assert tuple(value.shape for value in module.told if value) == expected


def test_the_first_module_of_a_sequence_is_told_and_so_are_nodes_behind_others(make: Callable[..., Model]) -> None:
    first, second = Noting(), Noting()
    make({"a": (nn.Sequential(nn.Sequential(first), nn.Linear(4, 3)), "x"), "b": (second, "a")})
    assert first.told == (ValueInfo(shape=(4,)), None)
    assert second.told == (ValueInfo(shape=(3,)), None)


def test_one_table_may_read_both_ways(make: Callable[..., Model]) -> None:
    words = Embedding(8)
    model = make({"words": (words, "text"), "next": (words, "words")}, inputs={"text": TOKENS}, seed=0)
    assert model.values["next"] == ValueInfo(shape=(6, 50))
    assert sum(parameter.numel() for parameter in model.parameters()) == 50 * 8


def test_a_seed_gives_the_same_tables_and_leaves_torchs_generator_alone(make: Callable[..., Model]) -> None:
    before = torch.get_rng_state()
    first, second, other = (make({"w": (Embedding(8), "text")}, inputs={"text": TOKENS}, seed=s) for s in (3, 3, 4))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first.node("w").weight, second.node("w").weight)  # type: ignore[arg-type]
    assert not torch.equal(first.node("w").weight, other.node("w").weight)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("module", "value", "text"),
    [
        (
            Embedding(4, num_codes=10),
            TOKENS,
            "node 'n': jumpml.blocks.Embedding cannot read [batch, 6] int64. They hold 50 codes, and num_codes is 10.",
        ),
        (
            Embedding(4),
            ValueInfo(shape=(6,), dtype="int64"),
            "Embedding does not know how many codes there are. Give num_codes; or give the data, and let it read a ",
        ),
        (
            TabularEmbedding(4, cardinalities=[0, 3]),
            ValueInfo(shape=(2,), cardinalities=(0, 5)),
            "TabularEmbedding cannot read [batch, 2] float32. Their elements hold [0, 5] codes, and cardinalities is "
            "(0, 3).",
        ),
        (
            TabularEmbedding(4),
            ValueInfo(shape=(6,), dtype="int64"),
            "cannot read [batch, 6] int64. Expected float32 [batch, elements], or codes int64 [batch] of a known "
            "number: a table, or a category with the feature index or hash.",
        ),
        (
            Noting(),
            None,
            "Its forward takes (first, second=None).",
        ),
    ],
)
def test_what_does_not_fit_is_told_by_node(
    module: nn.Module, value: ValueInfo | None, text: str, make: Callable[..., Model]
) -> None:
    inputs = {"x": value or ValueInfo(shape=(4,))}
    with pytest.raises(GraphError) as caught:
        make({"n": (module, "x" if value else ["x", "x", "x"])}, inputs=inputs)
    assert text in str(caught.value)


def test_a_block_alone_says_what_it_lacks() -> None:
    with pytest.raises(
        ValueError, match=r"^Embedding does not know how many codes there are\. Give num_codes; or give"
    ):
        Embedding(4)(torch.tensor([1]))
    with pytest.raises(
        ValueError, match=r"^TabularEmbedding does not know what the elements are\. Give cardinalities,"
    ):
        TabularEmbedding(4)(torch.zeros(1, 2))


# --- what the data tells ----------------------------------------------------------------------------------------------


def columns() -> dict[str, Column]:
    towns = ("Bonn", "Kiel", "Ulm")
    number = Column(torch.rand(12, 1), "number").info("age")
    category = Column(torch.arange(12) % 3, "category", classes=towns).info("town")
    cells = torch.stack([torch.rand(12), torch.arange(12) % 3], 1)
    cells[3] = torch.nan
    return {
        "person": Column(cells, "table", columns=(number, category)),
        "town": Column(torch.arange(12) % 3, "category", classes=towns),
        "sort": Column(torch.arange(12) % 2, "category", classes=("a", "b")),
    }


def loaders(**features: Any) -> DataLoaders:
    splits = {"train": torch.arange(8), "val": torch.arange(8, 10), "test": torch.arange(10, 12)}
    return DataLoaders(columns(), splits, features=features)


@pytest.mark.parametrize(
    ("step", "classes"), [(Index(), 4), (Index(min_count=3), 5), (Index(unknown="rare"), 5), (Hash(7), 8)]
)
def test_a_category_says_how_many_rows_its_embedding_needs(step: Any, classes: int) -> None:
    data = loaders(town=[step])
    assert data.info("town").classes == classes
    batches = [batch["town"] for loader in (data.train, data.test) for batch in loader.plain()]
    assert max(int(codes.max()) for codes in batches) < classes
    assert data.info("sort").classes == 2


def test_a_table_says_which_elements_are_codes() -> None:
    assert loaders(person=[Encode("index")]).info("person").cardinalities == (0, 0, 4)  # the second: age is missing
    assert loaders(person=[Encode()]).info("person").cardinalities == ()


def test_a_model_from_data_in_python() -> None:
    data = loaders(person=[Encode("index")], town=[Index()])
    data.bind(["person", "town"])
    model = Model(
        inputs={name: data.info(name) for name in ("person", "town")},
        nodes={"body": Node(FTTransformer(8, depth=1, heads=2), ["person", "town"]), "out": Node(Head(1), "body")},
        tasks={"sort": Task(kind="binary", output="out", target="sort")},
        fields=data.fields,
        seed=0,
    )
    assert model.node("body").embedding.cardinalities == (0, 0, 4, 4)  # type: ignore[union-attr]
    assert model(next(data.test.plain()))["sort"].shape == (2, 1)


def test_a_text_tells_its_vocabulary_from_files(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("said,sort\n" + "ab,x\nba b,y\n" * 10)
    said = {"kind": "text", "length": 4, "tokenizer": {"kind": "characters"}}
    data = jumpml.create_dataloader(
        {
            "root": str(tmp_path),
            "datasets": {
                "t": {
                    "source": {"kind": "csv", "path": "t.csv"},
                    "fields": {"said": said, "sort": {"kind": "category"}},
                    "split": {"duplicates": "allow"},
                }
            },
        }
    )
    nodes = {
        "words": {"module": "jumpml.blocks.Embedding", "inputs": "said", "args": {"width": 4}},
        "read": {
            "module": "jumpml.blocks.TransformerEncoder",
            "inputs": ["words", "said.mask"],
            "args": {"depth": 1, "heads": 2},
        },
        "mean": {"module": "jumpml.blocks.Pool", "inputs": ["read", "said.mask"]},
        "out": {"module": "jumpml.blocks.Head", "inputs": "mean"},
    }
    tasks = {"sort": {"kind": "binary", "output": "out", "target": "sort"}}
    model = jumpml.load_model({"nodes": nodes, "tasks": tasks, "seed": 0}, data)
    assert model.node("words").weight.shape == (5, 4)  # type: ignore[union-attr]  # padding, unknown, a, b and a space
    assert all(part.training for part in model.modules())
