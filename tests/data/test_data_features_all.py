"""What holds for every feature: it saves and loads, it fills what it promises to fill, and it runs in ONNX Runtime."""

from __future__ import annotations

import copy
import pickle
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from jumpml.core import DataError, FieldInfo, ValueInfo
from jumpml.data import (
    MFCC,
    Bag,
    CenterCrop,
    Clip,
    Column,
    Custom,
    Cycles,
    DataLoaders,
    Difference,
    Elapsed,
    Encode,
    Feature,
    FeatureMap,
    Greyscale,
    Hash,
    Impute,
    Index,
    Lags,
    Log,
    LogMel,
    Normalize,
    OneHot,
    Pretrained,
    Quantile,
    Resize,
    RobustScale,
    Standardize,
    TargetEncode,
    TfIdf,
    TrainRows,
    ZNorm,
)
from jumpml.data.features._build import FEATURES

ROWS = 40
NO_DATE = torch.iinfo(torch.int64).min


def drawn(*shape: int) -> Tensor:
    return torch.randn(ROWS, *shape, generator=torch.Generator().manual_seed(len(shape)))


def with_holes(values: Tensor, missing: float | int) -> Tensor:
    values = values.clone()
    values[::7] = missing
    return values


def whole(high: int, *shape: int) -> Tensor:
    return torch.randint(0, high, (ROWS, *shape), generator=torch.Generator().manual_seed(high))


CLASSES = ("a", "b", "c", "d")
COLUMNS = (
    FieldInfo(name="n", kind="number", value=ValueInfo(shape=(1,))),
    FieldInfo(name="m", kind="number", value=ValueInfo(shape=(1,))),
    FieldInfo(name="c", kind="category", value=ValueInfo(shape=(), dtype="int64"), classes=CLASSES),
)
TABLE = torch.cat([with_holes(drawn(1), torch.nan), drawn(1), with_holes(whole(4).float(), torch.nan)[:, None]], dim=1)
VALUES: dict[str, tuple[str, Tensor]] = {
    "number": ("number", with_holes(drawn(1), torch.nan)),
    "positive": ("number", with_holes(drawn(1).abs(), torch.nan)),
    "tensor": ("tensor", with_holes(drawn(3), torch.nan)),
    "code": ("category", with_holes(whole(4), -1)),
    "map": ("mask", with_holes(whole(4, 3, 2), -1)),
    "date": ("date", with_holes(whole(2_000_000_000) - 500_000_000, NO_DATE)),
    "tokens": ("text", whole(9, 6)),
    "image": ("image", drawn(3, 8, 6).sigmoid()),
    "holey image": ("image", with_holes(drawn(3, 4, 4).sigmoid(), torch.nan)),
    "audio": ("audio", drawn(2, 400).tanh()),
    "series": ("series", with_holes(drawn(7, 2), torch.nan)),
    "table": ("table", TABLE),
}


@dataclass(frozen=True)
class Case:
    """A step, on some of the values above."""

    step: Feature
    on: str

    def field_info(self) -> FieldInfo:
        kind, values = VALUES[self.on]
        dtype = str(values.dtype).removeprefix("torch.")
        classes = CLASSES if kind in {"category", "mask"} else ()
        return FieldInfo(
            name="x",
            kind=kind,
            value=ValueInfo(shape=tuple(values.shape[1:]), dtype=dtype),
            classes=classes,
            columns=COLUMNS if kind == "table" else (),
            options={"rate": 8000} if kind == "audio" else {},
        )

    def fitted(self) -> Feature:
        step = copy.deepcopy(self.step)
        target = FieldInfo(name="y", kind="number", value=ValueInfo(shape=(1,)))
        train = TrainRows(VALUES[self.on][1], fields={"y": target}, other=lambda _: drawn(1))
        step.fit(train, self.field_info())
        return step


CASES = {
    "standardize": Case(Standardize(), "number"),
    "standardize, image": Case(Standardize(), "holey image"),
    "standardize, series": Case(Standardize(), "series"),
    "robust_scale": Case(RobustScale(), "tensor"),
    "robust_scale, image": Case(RobustScale(), "holey image"),
    "quantile": Case(Quantile(), "tensor"),
    "quantile, normal": Case(Quantile("normal", 7), "holey image"),
    "clip": Case(Clip(-1, 0.5), "number"),
    "clip, quantiles": Case(Clip(quantiles=(0.1, 0.9)), "tensor"),
    "log": Case(Log(), "number"),
    "log, offset": Case(Log(0.5), "positive"),
    "impute": Case(Impute("median"), "series"),
    "impute, indicator": Case(Impute("most_frequent", indicator=True), "tensor"),
    "one_hot": Case(OneHot(), "code"),
    "one_hot, map": Case(OneHot(), "map"),
    "index": Case(Index(12, "rare"), "code"),
    "hash": Case(Hash(3), "code"),
    "target_encode": Case(TargetEncode("y"), "code"),
    "cycles": Case(Cycles(), "date"),
    "elapsed": Case(Elapsed(), "date"),
    "bag": Case(Bag(), "tokens"),
    "tfidf": Case(TfIdf(sublinear=True), "tokens"),
    "resize": Case(Resize(5, 9), "image"),
    "crop": Case(CenterCrop(3, 4), "image"),
    "normalize": Case(Normalize([0.1, 0.2, 0.3], [0.5, 0.6, 0.7]), "image"),
    "greyscale": Case(Greyscale(), "image"),
    "log_mel": Case(LogMel(8, window=100, hop=40), "audio"),
    "mfcc": Case(MFCC(5, mels=8, window=100, hop=40), "audio"),
    "lags": Case(Lags([1, 3]), "series"),
    "difference": Case(Difference(2, 2), "series"),
    "z_norm": Case(ZNorm(), "series"),
    "encode": Case(Encode(), "table"),
    "encode, index": Case(Encode("index"), "table"),
    "module": Case(Custom(torch.nn.Flatten()), "image"),
    "pretrained": Case(Pretrained(torch.nn.Conv1d(2, 3, 5)), "audio"),
}


@pytest.fixture(autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUMPML_CACHE", str(tmp_path_factory.mktemp("cache")))


def test_every_feature_has_a_case() -> None:
    assert {case.step.name for case in CASES.values()} == {*FEATURES, "module", "pretrained"}


@pytest.mark.parametrize("name", CASES)
def test_saved_and_loaded_it_gives_the_same(name: str) -> None:
    case, step = CASES[name], CASES[name].fitted()
    values = VALUES[case.on][1]
    out = step(values)
    fresh = copy.deepcopy(case.step)
    fresh.load_state_dict(step.state_dict())
    for other in (fresh, pickle.loads(pickle.dumps(step)), step.eval()):
        assert torch.equal(other(values).nan_to_num(), out.nan_to_num())
    assert out.dtype == (torch.int64 if step.writes("") == "indices" else torch.float32)
    assert len(out) == ROWS
    # A row's answer is its own, whatever comes along; sums of another number of rows may round another way.
    torch.testing.assert_close(step(values[:2]), out[:2], rtol=1e-5, atol=1e-5, equal_nan=True)


@pytest.mark.parametrize("name", CASES)
def test_other_rows_than_those_to_train_on_change_nothing_that_it_learns(name: str) -> None:
    case = CASES[name]
    kind, values = VALUES[case.on]
    info, rows = case.field_info(), torch.arange(ROWS)
    splits = {"train": rows[:30], "val": rows[30:35], "test": rows[35:]}
    others = values.clone()
    others[30:] = values[:10].flip(0)  # others, and none of a class that is not there
    learned = [
        DataLoaders(
            {
                "x": Column(held, kind, classes=info.classes, columns=info.columns, options=info.options),
                "y": Column(torch.cat([drawn(1)[:30], target]), "number"),
            },
            splits,
            features={"x": [case.step]},
        ).features.state_dict()
        for held, target in ((values, drawn(1)[30:]), (others, drawn(1)[:10] + 1))
    ]
    assert learned[0].keys() == learned[1].keys()
    assert all(torch.equal(learned[0][key], learned[1][key]) for key in learned[0])


@pytest.mark.parametrize("name", CASES)
def test_what_it_promises_to_fill_it_fills(name: str) -> None:
    case, step = CASES[name], CASES[name].fitted()
    values = VALUES[case.on][1]
    if step.fills:
        assert not step(values).isnan().any()
    if not values.is_floating_point() and case.on != "tokens":
        assert step.fills  # -1 and the earliest date are no codes that a node could read


LEARNERS = [name for name, case in CASES.items() if None in case.step._buffers.values()]


@pytest.mark.parametrize("name", LEARNERS)
def test_before_it_is_fitted_it_says_so(name: str) -> None:
    case = CASES[name]
    with pytest.raises(DataError, match=f"^{case.step.name} has learned nothing yet: call its fit, or load a state"):
        case.step(VALUES[case.on][1])


class _All(torch.nn.Module):
    """All cases as one module, so that they are exported once."""

    def __init__(self, features: FeatureMap) -> None:
        super().__init__()
        self.features = features

    def forward(self, *values: Tensor) -> tuple[Tensor, ...]:
        by_input = dict(zip(VALUES, values, strict=True))
        return tuple(self.features.apply_to(name, by_input[case.on]) for name, case in CASES.items())


@pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning")  # torch.export's own, in torch 2.13
def test_all_of_them_run_in_onnx_runtime_on_another_number_of_rows() -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    module = _All(FeatureMap({name: [case.fitted()] for name, case in CASES.items()})).eval()
    inputs = [values for _, values in VALUES.values()]
    program = torch.onnx.export(
        module,
        tuple(inputs),
        dynamo=True,
        dynamic_shapes=(tuple({0: torch.export.Dim.DYNAMIC} for _ in inputs),),
        input_names=[f"in{index}" for index in range(len(inputs))],
        verbose=False,
    )
    if program is None:
        pytest.fail("torch.onnx.export returned nothing")
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString())
    more = [torch.cat([values, values[1:6]]) for values in inputs]
    out = session.run(None, {f"in{index}": values.numpy() for index, values in enumerate(more)})
    for name, left, right in zip(CASES, out, module(*more), strict=True):
        torch.testing.assert_close(
            torch.from_numpy(left), right, rtol=1e-5, atol=1e-5, equal_nan=True, msg=lambda text, name=name: name + text
        )


# --- there and back -------------------------------------------------------------------------------------------------

BACK = ["standardize", "standardize, image", "robust_scale", "quantile", "log", "log, offset", "normalize", "elapsed"]


@pytest.mark.parametrize("name", BACK)
def test_what_can_be_undone_comes_back(name: str) -> None:
    case, step = CASES[name], CASES[name].fitted()
    values = VALUES[case.on][1]
    present = values != NO_DATE if case.on == "date" else ~values.isnan()
    back = step.inverse(step(values))
    # Seconds of 60 years in float32 are exact to two minutes.
    torch.testing.assert_close(back[present], values[present], rtol=1e-4, atol=120 if case.on == "date" else 1e-4)


@pytest.mark.parametrize("name", ["hash", "target_encode", "cycles", "tfidf", "resize", "mfcc", "lags", "encode"])
def test_what_cannot_be_undone_says_so(name: str) -> None:
    step = CASES[name].fitted()
    text = f"^{step.name} cannot be undone, so that there is no way back to raw units"
    with pytest.raises(DataError, match=text):
        step.inverse(step(VALUES[CASES[name].on][1]))
