"""Strangers, how a score tells them, and where embeddings come from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn

from jumpml.core import DiagnosisError, Task, ValueInfo
from jumpml.data import Column, DataLoaders, random_split
from jumpml.diagnose import embedding_node
from jumpml.diagnose._elements import Elements
from jumpml.diagnose._out_of_domain import out_of_domain
from jumpml.diagnose._rows import train_moments
from jumpml.diagnose._strangers import auroc, make_strangers
from jumpml.evaluate import embedding_width, flatten_embedding, wilson
from jumpml.graph import Model, Node

if TYPE_CHECKING:
    from conftest import Trained

IMAGE = Elements(field="image", kind="image", shape=(3, 4, 4))
NUMBERS = [Elements(field=name, kind="number", shape=(1,)) for name in ("a", "b")]


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _moments(values: Tensor) -> tuple[Tensor, Tensor]:
    return values.mean(0), values.std(0)


def test_shuffled_pictures_keep_their_pixels_with_all_channels() -> None:
    image = torch.rand(5, 3, 4, 4, generator=_generator())
    shuffled = make_strangers({"image": image}, [IMAGE], {"image": _moments(image)}, _generator())["shuffled"]["image"]
    assert not torch.equal(shuffled, image)
    for before, after in zip(image.flatten(2), shuffled.flatten(2), strict=True):
        assert sorted(map(tuple, before.T.tolist())) == sorted(map(tuple, after.T.tolist()))
    numbered = torch.arange(48.0).reshape(1, 3, 4, 4).repeat(5, 1, 1, 1)
    kinds = make_strangers({"image": numbered}, [IMAGE], {"image": _moments(numbered)}, _generator())
    assert not torch.equal(kinds["shuffled"]["image"][0], kinds["shuffled"]["image"][1])  # each row its own order


def test_noise_has_the_train_rows_moments() -> None:
    image = 3 + 2 * torch.randn(4000, 1, 2, 2, generator=_generator())
    part = Elements(field="image", kind="image", shape=(1, 2, 2))
    noise = make_strangers({"image": image}, [part], {"image": _moments(image)}, _generator(1))["noise"]["image"]
    torch.testing.assert_close(noise.mean(0), image.mean(0), atol=0.15, rtol=0)  # five standard errors
    torch.testing.assert_close(noise.std(0), image.std(0), atol=0.15, rtol=0)


def test_permuted_columns_keep_each_column_and_break_the_rows() -> None:
    a = torch.arange(50.0).unsqueeze(1)
    batch = {"a": a, "b": a.clone()}
    moments = {name: _moments(a) for name in batch}
    permuted = make_strangers(batch, NUMBERS, moments, _generator())["permuted columns"]
    assert all(torch.equal(permuted[name].sort(0).values, a) for name in batch)
    assert not torch.equal(permuted["a"], permuted["b"])


def test_a_text_takes_its_mask_along_where_columns_are_permuted() -> None:
    tokens = torch.arange(50).unsqueeze(1).remainder(torch.tensor([2, 3, 5]))
    batch = {"text": tokens, "text.mask": tokens != 0, "a": torch.arange(50.0).unsqueeze(1)}
    columns = [Elements(field="text", kind="text", shape=(3,)), NUMBERS[0]]
    permuted = make_strangers(batch, columns, {}, _generator())["permuted columns"]
    assert not permuted["text"].equal(tokens)
    assert permuted["text.mask"].equal(permuted["text"] != 0)


def test_each_kind_touches_its_own_fields() -> None:
    image, a = torch.rand(5, 3, 4, 4), torch.rand(5, 1)
    batch = {"image": image, "a": a, "b": a + 1}
    moments = {name: _moments(values) for name, values in batch.items()}
    kinds = make_strangers(batch, [IMAGE, *NUMBERS], moments, _generator())
    assert list(kinds) == ["shuffled", "noise", "permuted columns"]
    assert kinds["noise"]["a"] is a
    assert kinds["permuted columns"]["image"] is image
    assert make_strangers({"a": a}, NUMBERS[:1], moments, _generator()) == {}


def test_train_moments_are_those_of_the_train_rows(table: Trained) -> None:
    loaders = table.loaders
    for name in ("serum", "progression"):  # the one standardized, the other as it is
        train = torch.cat([batch[name] for batch in loaders.train.plain()])
        mean, std = train_moments(loaders, name)
        torch.testing.assert_close(mean, train.mean(0), atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(std, train.std(0, correction=0), atol=1e-5, rtol=1e-4)
    mean, _ = train_moments(loaders, "sex")  # a one-hot: the classes' shares
    assert float(mean.sum()) == pytest.approx(1)


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=30),
    st.lists(st.integers(0, 9), min_size=1, max_size=30),
)
def test_auroc_equals_scikit_learn(familiar: list[int], foreign: list[int]) -> None:
    figure = auroc(torch.tensor(familiar).float(), torch.tensor(foreign).float())
    expected = roc_auc_score([0] * len(familiar) + [1] * len(foreign), familiar + foreign)
    assert figure.value == pytest.approx(expected)
    assert 0 <= figure.low <= figure.value <= figure.high <= 1
    assert figure.high > figure.low  # even where all are told apart
    assert figure.n == len(familiar) + len(foreign)


def test_the_interval_of_auroc_holds_its_level() -> None:
    # Two unit Gaussians 2.326 apart have an AUROC of .95; 50 rows each, where the normal interval is poor.
    draws, truth, hits = np.random.default_rng(0), 0.95, 0
    for _ in range(300):
        figure = auroc(torch.tensor(draws.normal(0, 1, 50)), torch.tensor(draws.normal(2.326, 1, 50)))
        hits += figure.low <= truth <= figure.high
    assert hits / 300 >= 0.92  # .95 less more than two standard errors of 300 draws


def test_scores_tell_digits_from_strangers(digits: Trained) -> None:
    digits.model.eval()
    records, notes = out_of_domain(digits.loaders, digits.model, "encoder", 0)
    assert notes == []
    assert [(r.method, r.node) for r in records] == [("mahalanobis", "encoder"), ("knn", "encoder")]
    for record in records:
        assert list(record.auroc) == ["shuffled", "noise"]
        assert all(figure.low > 0.7 for figure in record.auroc.values())
        above, n = record.test_above, len(digits.loaders.test.rows)
        assert above.n == n
        assert (above.low, above.high) == wilson(round(above.value * n), n)
        assert above.low < 0.1  # the threshold leaves 5% of the validation rows above it


def test_the_threshold_leaves_a_twentieth_of_the_validation_rows_above(digits: Trained) -> None:
    digits.model.eval()
    loaders = digits.loaders
    twin = DataLoaders(  # the validation rows as test rows
        {
            "image": Column(torch.cat([loaders.train.decoded("image"), loaders.val.decoded("image")] * 2), "image"),
        },
        _twice(len(loaders.train.rows), len(loaders.val.rows)),
    )
    for record in out_of_domain(twin, digits.model, "encoder", 0)[0]:
        assert record.test_above.value == pytest.approx(0.05, abs=1 / len(loaders.val.rows))


def _twice(train: int, val: int) -> dict[str, Tensor]:
    rows = torch.arange(2 * (train + val))
    return {"train": rows[:train], "val": rows[train : train + val], "test": rows[-val:]}


def test_a_table_gets_permuted_columns(table: Trained) -> None:
    table.model.eval()
    records, notes = out_of_domain(table.loaders, table.model, "body", 0)
    assert notes == []
    for record in records:
        assert list(record.auroc) == ["shuffled", "noise", "permuted columns"]


def test_a_single_number_has_no_strangers() -> None:
    loaders = DataLoaders({"x": Column(torch.randn(60, 1), "number")}, random_split(60))
    model = Model(inputs={"x": ValueInfo(shape=(1,))}, nodes={"out": Node(nn.Linear(1, 4), "x")})
    records, notes = out_of_domain(loaders, model, "out", 0)
    assert [record.auroc for record in records] == [{}, {}]
    assert notes == ["out: no strangers were made, since its only input is a number, a category or a text."]


def test_a_wide_embedding_is_left_out() -> None:
    loaders = DataLoaders({"x": Column(torch.randn(60, 1), "number")}, random_split(60))
    model = Model(inputs={"x": ValueInfo(shape=(1,))}, nodes={"out": Node(nn.Linear(1, 2049), "x")})
    records, notes = out_of_domain(loaders, model, "out", 0)
    assert records == []
    assert notes == [
        "out-of-domain scores of 'out' are left out: it gives 2049 numbers a row. A narrower node before the output "
        "would allow them."
    ]


def test_the_embedding_is_what_feeds_the_output(digits: Trained, table: Trained) -> None:
    assert embedding_node(digits.model, "digit") == "encoder"
    assert embedding_node(table.model, "risk") == "body"
    assert embedding_width(digits.model, "encoder") == 128
    alone = Model(
        inputs={"x": ValueInfo(shape=(2,))},
        nodes={"out": Node(nn.Linear(2, 3), "x")},
        tasks={"y": Task(kind="multiclass", output="out", target="y")},
    )
    assert embedding_node(alone, "y") == "out"
    with pytest.raises(DiagnosisError, match=r"the model has no task 'digits'. Did you mean 'digit'\?"):
        embedding_node(digits.model, "digits")


def test_the_embedding_of_a_part_and_of_many_inputs() -> None:
    class Two(nn.Module):
        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            return x[:, :3], x[:, 3:]

    model = Model(
        inputs={"x": ValueInfo(shape=(5,))},
        nodes={"two": Node(Two(), "x"), "out": Node(nn.Bilinear(5, 2, 3), ["x", "two.1"])},
        tasks={
            "part": Task(kind="multiclass", output="two.0", target="y"),
            "last": Task(kind="multiclass", output="out", target="y"),
        },
    )
    assert embedding_node(model, "part") == "two.0"
    assert embedding_node(model, "last") == "two.1"
    assert embedding_width(model, "two.1") == 2


@pytest.mark.parametrize(
    ("shape", "width"), [((2,), 1), ((2, 7), 7), ((2, 7, 3), 21), ((2, 7, 3, 3), 7), ((2, 7, 3, 3, 3), 7)]
)
def test_embeddings_are_vectors(shape: tuple[int, ...], width: int) -> None:
    value = torch.ones(shape)
    assert torch.equal(flatten_embedding(value), torch.ones(2, width))
