"""Steps on codes, dates and tokens: indices, buckets, means of the target, cycles, counts."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfTransformer
from torch import Tensor

from jumpml.core import DataError, FieldInfo, ValueInfo
from jumpml.data import (
    Bag,
    Column,
    Cycles,
    DataLoaders,
    Elapsed,
    Feature,
    Hash,
    Index,
    OneHot,
    Standardize,
    TargetEncode,
    TfIdf,
    TrainRows,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Step = TypeVar("Step", bound=Feature)
NO_DATE = torch.iinfo(torch.int64).min


def fitted(step: Step, codes: Tensor, kind: str = "category", classes: tuple[str, ...] = ("a", "b", "c")) -> Step:
    value = ValueInfo(shape=tuple(codes.shape[1:]), dtype="int64")
    step.fit(TrainRows(codes), FieldInfo(name="x", kind=kind, value=value, classes=classes))
    return step


# --- indices ----------------------------------------------------------------------------------------------------------


def test_rare_classes_share_an_index() -> None:
    train, every = torch.tensor([0, 0, 1, -1]), torch.tensor([-1, 0, 1, 2])  # no train row has "c"
    assert fitted(Index(), train)(every).tolist() == [0, 1, 2, 0]
    assert fitted(Index(2), train)(every).tolist() == [0, 1, 4, 0]
    assert fitted(Index(unknown="rare"), train)(every).tolist() == [0, 1, 2, 4]
    both = fitted(Index(2, "rare"), train)
    assert both(every).tolist() == [0, 1, 4, 4]
    assert both.inverse(both(every)).tolist() == [-1, 0, -1, -1]


def test_a_mask_becomes_a_plane_a_class() -> None:
    masks = torch.tensor([[[0, 2], [-1, 2]]])
    step = fitted(OneHot(), masks, "mask")
    assert step(masks).tolist() == [[[[1, 0], [0, 0]], [[0, 0], [0, 0]], [[0, 1], [0, 1]]]]
    assert step.inverse(step(masks)).tolist() == masks.tolist()


@given(st.lists(st.text(), min_size=1, max_size=20, unique=True), st.integers(1, 9), st.randoms())
def test_a_name_has_its_bucket_in_every_data_set(names: list[str], buckets: int, random: Any) -> None:
    shuffled = random.sample(names, len(names))
    one, other = (fitted(Hash(buckets), torch.zeros(1).long(), classes=tuple(order)) for order in (names, shuffled))
    for code, name in enumerate(names):
        bucket = one(torch.tensor([code]))
        assert 1 <= bucket <= buckets
        assert other(torch.tensor([shuffled.index(name)])) == bucket
    assert one(torch.tensor([-1])) == 0


def test_another_seed_shuffles_the_buckets() -> None:
    names = tuple(map(str, range(50)))
    one, other = (fitted(Hash(8, seed), torch.zeros(1).long(), classes=names) for seed in (0, 1))
    assert set(one.indices.tolist()) == set(range(9))  # 50 names leave none of 8 buckets empty here
    assert not torch.equal(one.indices, other.indices)


# --- means of the target ----------------------------------------------------------------------------------------------


def people(target: Column, rows: int = 60) -> tuple[dict[str, Column], dict[str, Tensor]]:
    town = torch.randint(-1, 3, (rows,), generator=torch.Generator().manual_seed(5))
    order = torch.arange(rows)
    columns = {"town": Column(town, "category", classes=("a", "b", "c")), "y": target}
    return columns, {"train": order[:40], "val": order[40:50], "test": order[50:]}


def numbers(rows: int = 60) -> Column:
    return Column(torch.randn(rows, 1, generator=torch.Generator().manual_seed(6)), "number")


def by_hand(codes: Sequence[int], targets: Sequence[float], code: int, smoothing: float) -> float:
    """The smoothed mean, written out."""
    overall = sum(targets) / len(targets)
    own = [target for known, target in zip(codes, targets, strict=True) if known == code and code >= 0]
    return (sum(own) + smoothing * overall) / (len(own) + smoothing) if own else overall


def test_target_means_are_those_of_the_other_folds_rows() -> None:
    columns, splits = people(numbers())
    loaders = DataLoaders(columns, splits, features={"town": [TargetEncode("y", smoothing=2, folds=4)]})
    codes, targets = columns["town"].values[:40].tolist(), columns["y"].values[:40, 0].tolist()
    step: Any = loaders.features.steps("town")[0]
    test = torch.cat([batch["town"] for batch in loaders.test])
    for row, value in zip(range(50, 60), test[:, 0].tolist(), strict=True):
        assert value == pytest.approx(by_hand(codes, targets, int(columns["town"].values[row]), 2), abs=1e-6)
    folds = step._fold(torch.arange(40)).tolist()
    assert min(folds.count(fold) for fold in range(4)) >= 5  # even shares would be 10
    order = loaders.train.order(0).tolist()
    train = torch.cat([batch["town"] for batch in loaders.train])
    for row, value in zip(order, train[:, 0].tolist(), strict=True):
        others = [at for at in range(40) if folds[at] != folds[row]]
        expected = by_hand([codes[at] for at in others], [targets[at] for at in others], codes[row], 2)
        assert value == pytest.approx(expected, abs=1e-6)


@settings(max_examples=20)
@given(st.floats(-100, 100), st.integers(0, 39))
def test_no_row_sees_its_own_target_and_none_a_test_rows(change: float, row: int) -> None:
    target, other = numbers(), numbers()
    other.values[row] += change
    other.values[40:] *= change
    made = []
    for column in (target, other):
        columns, splits = people(column)
        loaders = DataLoaders(columns, splits, features={"town": [TargetEncode("y")]})
        made.append({int(at): value for at, value in zip(loaders.train.order(0), _served(loaders), strict=True)})
    assert torch.equal(made[0][row], made[1][row])


def _served(loaders: DataLoaders) -> Tensor:
    return torch.cat([batch["town"] for batch in loaders.train])


def test_a_step_after_target_means_learns_from_what_train_rows_get() -> None:
    columns, splits = people(numbers())
    loaders = DataLoaders(columns, splits, features={"town": [TargetEncode("y"), Standardize()]})
    torch.testing.assert_close(_served(loaders).mean(), torch.tensor(0.0), atol=1e-6, rtol=0)
    torch.testing.assert_close(_served(loaders).std(correction=0), torch.tensor(1.0))


def test_shares_of_classes() -> None:
    binary = Column(torch.randint(-1, 2, (60,), generator=torch.Generator().manual_seed(1)), "category", ("no", "yes"))
    many = Column(torch.arange(60) % 3, "category", ("k", "l", "m"))
    for column, width in ((binary, 1), (many, 3)):
        columns, splits = people(column)
        loaders = DataLoaders(columns, splits, features={"town": [TargetEncode("y", smoothing=0)]})
        out = torch.cat([batch["town"] for batch in loaders.test])
        assert out.shape == (10, width)
        town, y = columns["town"].values, column.values
        for row, got in zip(range(50, 60), out, strict=True):
            of_town = (town[:40] == town[row]) if town[row] >= 0 else torch.ones(40, dtype=torch.bool)
            known = y[:40][of_town & (y[:40] >= 0)]
            shares = torch.bincount(known, minlength=len(column.classes)) / len(known)
            torch.testing.assert_close(got, shares[1:] if width == 1 else shares)


@pytest.mark.parametrize(
    ("target", "text"),
    [
        ("yy", "features, 'town': target_encode: there is no field 'yy'. Did you mean 'y'?"),
        ("town", "features, 'town': target_encode: 'town' cannot be its own target."),
        ("y", "target_encode: expected a number or a category as target, got 'y', which is a tensor."),
    ],
)
def test_what_is_no_target(target: str, text: str) -> None:
    columns, splits = people(Column(torch.zeros(60, 2), "tensor"))
    with pytest.raises(DataError) as error:
        DataLoaders(columns, splits, features={"town": [TargetEncode(target)]})
    assert text in str(error.value)


def test_targets_that_nobody_knows() -> None:
    columns, splits = people(Column(torch.full((60, 1), torch.nan), "number"))
    text = r"^field 'y': no train row has a value for 5 of 5 elements, and target_encode learns from them\."
    with pytest.raises(DataError, match=text):
        DataLoaders(columns, splits, features={"town": [TargetEncode("y")]})
    alone = TrainRows(torch.zeros(3).long(), fields={"y": columns["y"].info("y")})
    with pytest.raises(DataError, match=r"^these rows come without the other fields, and a step needs 'y'\.$"):
        TargetEncode("y").fit(alone, columns["town"].info("town"))
    with pytest.raises(DataError, match=r"^there is no field 'z'\. There is: y\.$"):
        alone.other("z")


# --- dates ------------------------------------------------------------------------------------------------------------


@given(st.datetimes(datetime(1600, 1, 1), datetime(2400, 1, 1)))
def test_cycles_are_the_calendars(moment: datetime) -> None:
    moment = moment.replace(microsecond=0, tzinfo=UTC)
    day = moment.timetuple().tm_yday - 1
    length = 366 if moment.year % 4 == 0 and (moment.year % 100 != 0 or moment.year % 400 == 0) else 365
    hour = (moment.hour * 3600 + moment.minute * 60 + moment.second) / 86_400
    shares = {
        "hour": hour,
        "weekday": moment.weekday() / 7,
        "day_of_year": day / length,
        "month": (moment.month - 1) / 12,
    }
    expected = [wave(2 * math.pi * share) for share in shares.values() for wave in (math.sin, math.cos)]
    out = Cycles()(torch.tensor([round(moment.timestamp()), NO_DATE]))
    np.testing.assert_allclose(out[0], expected, atol=1e-5)
    assert out[1].tolist() == [0] * 8
    torch.testing.assert_close(Cycles(["month"])(torch.tensor([round(moment.timestamp())]))[0], out[0, 6:])


def test_elapsed_is_standardized_and_fills() -> None:
    day = 86_400
    dates = torch.tensor([1_700_000_000 + day * step for step in range(5)] + [NO_DATE])
    step = fitted(Elapsed(), dates, "date", ())
    # 0 to 4 days: mean 2, deviation the root of 2
    np.testing.assert_allclose(step(dates)[:, 0], [*((np.arange(5) - 2) / 2**0.5), 0], rtol=1e-6)
    assert step.inverse(step(dates))[:5].tolist() == dates[:5].tolist()
    with pytest.raises(DataError, match=r"^field 'x': no train row has a value, and elapsed learns from them\."):
        fitted(Elapsed(), torch.tensor([NO_DATE]), "date", ())


# --- tokens -----------------------------------------------------------------------------------------------------------


def texts(rows: int = 30) -> Tensor:
    return torch.randint(0, 8, (rows, 6), generator=torch.Generator().manual_seed(2))


def counted(ids: Tensor, vocabulary: int) -> np.ndarray:
    """How often each id stands in each row, padding left out, one by one."""
    counts = np.zeros((len(ids), vocabulary))
    for row, listed in enumerate(ids.tolist()):
        for token in listed:
            if 0 < token < vocabulary:
                counts[row, token] += 1
    return counts


def test_tfidf_is_scikit_learns() -> None:
    train, test = texts(), torch.randint(0, 12, (9, 6), generator=torch.Generator().manual_seed(4))
    for sublinear in (False, True):
        theirs: Any = TfidfTransformer(sublinear_tf=sublinear).fit(counted(train, 8))
        ours = fitted(TfIdf(sublinear=sublinear), train, "text", ())
        for ids in (train, test):  # test rows hold tokens that no train row has
            np.testing.assert_allclose(ours(ids), theirs.transform(counted(ids, 8)).toarray(), atol=1e-6)
    assert fitted(TfIdf(), train, "text", ())(torch.zeros(1, 6).long()).tolist() == [[0] * 8]


def test_a_bag_counts() -> None:
    train = texts()
    np.testing.assert_array_equal(fitted(Bag(), train, "text", ())(train), counted(train, 8))
    np.testing.assert_array_equal(fitted(Bag(binary=True), train, "text", ())(train), counted(train, 8) > 0)
    assert fitted(Bag(), train, "text", ()).document_counts.tolist() == (counted(train, 8) > 0).sum(0).tolist()


def test_padding_is_what_the_tokenizer_says() -> None:
    ids = torch.tensor([[0, 2, 2, 1, 1], [0, 3, 1, 1, 1]])  # 1 is padding, as RoBERTa's is
    value = ValueInfo(shape=(5,), dtype="int64")
    info = FieldInfo(name="x", kind="text", value=value, options={"tokenizer": {"padding": 1}})
    for step, expected in ((Bag(), [[1, 0, 2, 0], [1, 0, 0, 1]]), (TfIdf(), [[1, 0, 1, 0], [1, 0, 0, 1]])):
        step.fit(TrainRows(ids), info)
        out = step(ids)
        np.testing.assert_array_equal(out if isinstance(step, Bag) else out > 0, expected)


def test_every_kind_of_date_and_text_reads_only_its_own() -> None:
    columns: Mapping[str, Column] = {"n": Column(torch.zeros(6, 1), "number")}
    rows = torch.arange(6)
    splits = {"train": rows[:4], "val": rows[4:5], "test": rows[5:]}
    for step, needed in ((Cycles(), "dates"), (TfIdf(), "tokens")):
        with pytest.raises(DataError, match=f"{step.name} reads {needed}; a field of kind number has numbers"):
            DataLoaders(columns, splits, features={"n": [step]})
