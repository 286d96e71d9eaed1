"""Steps on numbers: scales, ranks, bounds, logarithms, and what fills the gaps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import QuantileTransformer, RobustScaler
from torch import Tensor

from jumpml.core import DataError, DataSpec, FieldInfo, SpecError, ValueInfo
from jumpml.data import (
    Clip,
    Column,
    DataLoaders,
    Feature,
    Impute,
    Log,
    Quantile,
    RobustScale,
    Standardize,
    TrainRows,
    build_dataloader,
)

if TYPE_CHECKING:
    from collections.abc import Callable

Step = TypeVar("Step", bound=Feature)
SOME = npst.arrays("float32", (9, 2), elements=st.floats(-1e4, 1e4, width=32))
HOLEY = npst.arrays("float32", (9, 1), elements=st.one_of(st.just(np.nan), st.floats(-1e4, 1e4, width=32)))


def fitted(step: Step, values: Tensor, kind: str = "tensor") -> Step:
    step.fit(TrainRows(values), FieldInfo(name="x", kind=kind, value=ValueInfo(shape=tuple(values.shape[1:]))))
    return step


def skewed(rows: int = 200) -> Tensor:
    return torch.randn(rows, 2, generator=torch.Generator().manual_seed(3)).exp()


# --- scales -----------------------------------------------------------------------------------------------------------


@given(SOME)
def test_robust_scale_is_scikit_learns(array: np.ndarray) -> None:
    values = torch.from_numpy(array)
    step = fitted(RobustScale(), values)
    theirs: Any = RobustScaler().fit(array.astype(np.float64))
    torch.testing.assert_close(step.median.double(), torch.from_numpy(theirs.center_), rtol=1e-5, atol=1e-3)
    wide = np.subtract(*np.quantile(array, [0.75, 0.25], axis=0)) > 1e-3  # they divide by 1 below some rounding
    torch.testing.assert_close(
        step.distance.double()[wide], torch.from_numpy(theirs.scale_[wide]), rtol=1e-4, atol=1e-3
    )


def test_robust_scale_by_other_quantiles_and_by_channel() -> None:
    values = torch.rand(20, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    step = fitted(RobustScale(0.1, 0.9), values, "image")
    by_channel = values.movedim(1, 0).flatten(1).numpy()
    assert step.median.shape == (3, 1, 1)
    np.testing.assert_allclose(step.median.flatten(), np.median(by_channel, axis=1), rtol=1e-6)
    low, high = np.quantile(by_channel, [0.1, 0.9], axis=1)
    np.testing.assert_allclose(step.distance.flatten(), high - low, rtol=1e-5)


def table_of(*kinds: str) -> FieldInfo:
    columns = tuple(
        FieldInfo(name=f"{kind} {at}", kind=kind, value=ValueInfo(shape=())) for at, kind in enumerate(kinds)
    )
    return FieldInfo(name="body", kind="table", value=ValueInfo(shape=(len(kinds),)), columns=columns)


def test_standardize_leaves_gaps_where_it_is_told_to() -> None:
    rows = torch.tensor([[20.0, 1.0], [60.0, torch.nan], [40.0, 3.0]])
    step, filling = Standardize(fill=False), Standardize()
    for one in (step, filling):
        one.fit(TrainRows(rows), table_of("number", "number"))
    scaled = step(rows)
    assert scaled.isnan().tolist() == rows.isnan().tolist()
    torch.testing.assert_close(step.inverse(scaled), rows, equal_nan=True)
    assert filling(rows)[1, 1] == 0
    assert (step.fills, filling.fills) == (False, True)


def test_standardize_is_for_tables_of_numbers_alone() -> None:
    step = Standardize()
    assert step.problem(table_of("number", "number"), {}) == ""
    assert step.problem(table_of("number", "category"), {}) == (
        "standardize is for tables of numbers alone, and category 1 is none. Take encode."
    )


def test_constants_keep_their_scale() -> None:
    values = torch.full((9, 1), 0.1)
    for step in (Standardize(), RobustScale()):
        assert fitted(step, values)(values + 1).tolist() == [[1.0]] * 9
    assert fitted(Quantile(), values)(values).tolist() == [[0.5]] * 9


STATISTICS = [Standardize(), RobustScale(), Quantile(), Clip(quantiles=(0.1, 0.9)), Impute(), Impute("median")]


@pytest.mark.parametrize("step", [*STATISTICS, Impute("most_frequent")], ids=lambda step: step.name)
def test_what_no_train_row_has_cannot_be_learned(step: Feature) -> None:
    holes = torch.tensor([[1.0, torch.nan], [2.0, torch.nan]])
    text = (
        rf"^field 'x': no train row has a value( for 1 of 2 elements)?, and {step.name} learns from them\. "
        r"Leave the field out, or put `impute: \{strategy: constant\}` before\.$"
    )
    with pytest.raises(DataError, match=text):
        fitted(step, holes)


# --- ranks ------------------------------------------------------------------------------------------------------------


@given(SOME)
def test_quantile_is_scikit_learns_between_the_ends(array: np.ndarray) -> None:
    theirs = QuantileTransformer(n_quantiles=9).fit(array)
    ours = fitted(Quantile(quantiles=9), torch.from_numpy(array))
    inside = (array > array.min(0)) & (array < array.max(0))  # they give 0 and 1 to ends that many rows share
    out, expected = ours(torch.from_numpy(array)).numpy(), np.asarray(theirs.transform(array))
    np.testing.assert_allclose(out[inside], expected[inside], atol=2e-3)


@given(SOME, npst.arrays("float32", (5, 2), elements=st.floats(-2e4, 2e4, width=32)))
def test_quantile_keeps_the_order_and_stays_in_its_range(array: np.ndarray, more: np.ndarray) -> None:
    values = torch.from_numpy(more).sort(dim=0).values
    for step, end in ((Quantile(quantiles=5), 1.0), (Quantile("normal", 5), 1.2816)):
        out = fitted(step, torch.from_numpy(array))(values)
        assert (out.diff(dim=0) >= -1e-6).all()
        assert (out <= end + 1e-3).all()  # of 5 levels of a normal distribution the last is that of 0.9: 1.2816
        assert (out >= (-end if end > 1 else 0) - 1e-3).all()


def test_quantile_makes_the_distribution_that_it_says() -> None:
    values = skewed(4000)
    uniform, normal = fitted(Quantile(), values)(values), fitted(Quantile("normal"), values)(values)
    torch.testing.assert_close(uniform.mean(0), torch.full((2,), 0.5), atol=1e-3, rtol=0)
    torch.testing.assert_close(uniform.var(0), torch.full((2,), 1 / 12), atol=1e-3, rtol=0)
    torch.testing.assert_close(normal.mean(0), torch.zeros(2), atol=1e-3, rtol=0)
    torch.testing.assert_close(normal.std(0), torch.ones(2), atol=1e-2, rtol=0)
    gaps = torch.tensor([[torch.nan, 1.0]])
    assert fitted(Quantile(), values)(gaps)[0, 0] == 0.5
    assert fitted(Quantile("normal"), values)(gaps)[0, 0] == 0


def test_a_sample_is_drawn_where_there_are_many_rows() -> None:
    values = torch.arange(20_000.0).unsqueeze(1)
    train = TrainRows(values)
    sample = train.sample(1000)
    assert len(sample) == 1000
    assert torch.equal(sample, TrainRows(lambda: values.split(77)).sample(1000))  # however the blocks are cut
    assert len(sample.unique()) == 1000
    assert torch.equal(train.sample(20_000), values)
    wide = TrainRows(torch.zeros(10, 1 << 22))
    assert len(wide.sample()) == 4  # of 16,777,216 elements in all


# --- bounds and logarithms --------------------------------------------------------------------------------------------


def test_clip_by_bounds_and_by_quantiles() -> None:
    values = torch.tensor([[-9.0], [0.5], [9.0], [torch.nan]])
    assert fitted(Clip(-1, 2), values)(values)[:3].flatten().tolist() == [-1, 0.5, 2]
    assert Clip(low=0)(values)[:3].flatten().tolist() == [0, 0.5, 9]
    assert Clip(high=0)(values)[3].isnan().all()
    step = fitted(Clip(quantiles=(0.25, 0.75)), skewed())
    np.testing.assert_allclose(step.lower, np.quantile(skewed(), 0.25, axis=0), rtol=1e-6)
    np.testing.assert_allclose(step.upper, np.quantile(skewed(), 0.75, axis=0), rtol=1e-6)
    assert step.inverse(skewed()).equal(skewed())


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (Clip, "clip: expected low, high or both, or else quantiles; got none."),
        (lambda: Clip(1, quantiles=(0, 1)), "clip: expected low, high or both, or else quantiles; got both."),
        (lambda: Clip(2, 1), "clip: expected the lower bound first, got 2 and 1."),
        (lambda: Clip(quantiles=(0.9, 0.1)), "clip: expected the lower bound first, got 0.9 and 0.1."),
    ],
)
def test_bounds_that_are_none(make: Callable[[], Clip], text: str) -> None:
    with pytest.raises(DataError) as error:
        make()
    assert str(error.value) == text


@given(SOME)
def test_log_takes_any_number_and_keeps_its_sign(array: np.ndarray) -> None:
    values = torch.from_numpy(array)
    out = Log()(values)
    np.testing.assert_allclose(out, np.sign(array) * np.log1p(np.abs(array)), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(Log().inverse(out), values, rtol=1e-4, atol=1e-4)


def test_log_with_an_offset() -> None:
    values = torch.tensor([[0.0], [torch.nan], [9.0]])
    step = fitted(Log(1), values, "number")
    assert step(values)[[0, 2]].flatten().tolist() == pytest.approx([0, np.log(10)])
    assert step(values)[1].isnan().all()
    assert step(torch.tensor([[-5.0]])).item() == 0  # below all train rows: as their smallest
    text = (
        r"^field 'x': log with offset 1 of -3 does not exist\. Take an offset above 3, or none: then the logarithm "
        r"keeps the sign\.$"
    )
    with pytest.raises(DataError, match=text):
        fitted(Log(1), torch.tensor([[-3.0]]))
    with pytest.raises(DataError, match="log with offset 1 of -1 does not exist"):
        fitted(Log(1 + 1e-9), torch.tensor([[-1.0]]))  # above 0, but not in float32


# --- gaps -------------------------------------------------------------------------------------------------------------


@given(HOLEY, st.sampled_from(["mean", "median", "most_frequent"]))
def test_impute_is_scikit_learns(array: np.ndarray, strategy: Any) -> None:
    values = torch.from_numpy(array)
    if np.isnan(array).all():
        return
    theirs = SimpleImputer(strategy=strategy).fit_transform(array.astype(np.float64))
    np.testing.assert_allclose(fitted(Impute(strategy), values)(values), theirs, rtol=1e-5, atol=1e-3)


def test_impute_by_channel_by_a_constant_and_with_an_indicator() -> None:
    pictures = torch.tensor([1.0, 2.0, 3.0, 3.0, torch.nan, torch.nan]).view(3, 2, 1, 1)
    assert fitted(Impute("most_frequent"), pictures, "image")(pictures)[2].flatten().tolist() == [1, 2]
    gaps = torch.tensor([[torch.nan, 1.0]])
    step = fitted(Impute("constant", value=7, indicator=True), gaps)
    assert step(gaps).tolist() == [[7, 1, 1, 0]]
    assert step.inverse(step(gaps)).tolist() == [[7, 1]]
    image = FieldInfo(name="x", kind="image", value=ValueInfo(shape=(1, 2, 3)))
    assert Impute(indicator=True).problem(image, {}) == (
        "impute has an indicator for values [batch, width]; a field of kind image has [batch, 1, 2, 3] float32."
    )
    assert not Impute().problem(image, {})


# --- nothing but train rows -------------------------------------------------------------------------------------------

ALL = [[Standardize()], [RobustScale()], [Quantile()], [Clip(quantiles=(0, 0.9)), Log()], [Log(), Impute("median")]]


@pytest.mark.parametrize("steps", ALL, ids=lambda steps: steps[0].name)
@settings(max_examples=20)
@given(array=npst.arrays("float32", (12, 1), elements=st.floats(-1e3, 1e3, width=32)), factor=st.floats(2, 100))
def test_test_rows_change_nothing_that_is_learned(steps: list[Feature], array: np.ndarray, factor: float) -> None:
    rows = torch.arange(12)
    splits = {"train": rows[:8], "val": rows[8:10], "test": rows[10:]}
    changed = torch.from_numpy(array.copy())
    changed[8:] = changed[8:] * factor + 1
    one, other = (
        DataLoaders({"x": Column(values, "number")}, splits, features={"x": steps}).features.state_dict()
        for values in (torch.from_numpy(array), changed)
    )
    assert all(torch.equal(one[key], other[key]) for key in one)
    assert one.keys() == other.keys()


def test_one_instance_serves_many_fields_and_stays_unfitted() -> None:
    step = Standardize()
    rows = torch.arange(6)
    columns = {"x": Column(rows.float()[:, None], "number"), "y": Column(rows.float()[:, None] * 9, "number")}
    loaders = DataLoaders(
        columns, {"train": rows[:4], "val": rows[4:5], "test": rows[5:]}, features={"x": [step], "y": [step]}
    )
    assert loaders.features.steps("x")[0].mean == 1.5
    assert loaders.features.steps("y")[0].mean == 13.5
    with pytest.raises(DataError, match="standardize has learned nothing yet"):
        step(torch.zeros(1, 1))


def test_a_file_says_it_with_its_lines(data_spec: Callable[[str], DataSpec]) -> None:
    spec = data_spec(
        """\
        datasets:
          d:
            source: {kind: sklearn, name: iris}
            fields:
              width: {kind: number, column: sepal width (cm)}
              kind: {kind: category, column: target}
        features:
          width:
            - clip: {low: 3, high: 1}
            - impute: {strategy: median}
          kind: [{log: {}}]
        """
    )
    with pytest.raises(SpecError) as error:
        build_dataloader(spec)
    assert str(error.value).splitlines()[1:] == [
        "  line 9, column 7: features.width[0]: clip: expected the lower bound first, got 3 and 1.",
        "  line 11, column 10: features.kind[0]: log reads numbers; a field of kind category has codes.",
    ]
