"""Features are fitted on train rows, fill what is missing, can be undone, and can be exported."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, TypeVar

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from jumpml.data import Column, DataLoaders, Feature, FeatureMap, Index, OneHot, Standardize, TrainRows

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np


Step = TypeVar("Step", bound=Feature)


def fitted(step: Step, values: torch.Tensor, kind: str, classes: tuple[str, ...] = ()) -> Step:
    column = Column(values, kind, classes=classes)
    step.fit(TrainRows(values), column.info("x"))
    return step


def test_standardize_an_image_by_channel() -> None:
    values = torch.rand(40, 3, 2, 5, generator=torch.Generator().manual_seed(0))
    step = fitted(Standardize(), values, "image")
    assert step.mean.shape == (3, 1, 1)
    # torch's own reductions over rows, height and width, in float64
    torch.testing.assert_close(step.mean.flatten(), values.double().mean((0, 2, 3)).float())
    torch.testing.assert_close(step.std.flatten(), values.double().std((0, 2, 3), correction=0).float())
    out = step(values)
    torch.testing.assert_close(out.mean((0, 2, 3)), torch.zeros(3), atol=1e-6, rtol=0)
    torch.testing.assert_close(step.inverse(out), values)


def test_standardize_leaves_out_what_is_missing_and_fills_it() -> None:
    values = torch.tensor([[1.0], [torch.nan], [3.0], [torch.nan]])
    step = fitted(Standardize(), values, "number")
    assert (step.mean.item(), step.std.item()) == (2, 1)
    assert step(values).tolist() == [[-1], [0], [1], [0]]


@given(npst.arrays("float32", (7, 2), elements=st.floats(-1e3, 1e3, width=32)))
def test_a_constant_element_keeps_its_scale(array: np.ndarray) -> None:
    values = torch.from_numpy(array)
    values[:, 0] = 0.1  # no sum of float32 tenths is exact
    step = fitted(Standardize(), values, "tensor")
    assert step.std[0] == 1
    assert (step.std > 0).all()
    assert step(values).isfinite().all()
    torch.testing.assert_close(step.inverse(step(values)), values, atol=1e-2, rtol=1e-4)


def test_one_hot_and_index_know_only_train_classes() -> None:
    train = torch.tensor([0, 2, -1, 2])
    classes = ("a", "b", "c")
    seen = torch.tensor([0, 1, 2, -1])
    one_hot, index = (fitted(step, train, "category", classes) for step in (OneHot(), Index()))
    assert one_hot(seen).tolist() == [[1, 0, 0], [0, 0, 0], [0, 0, 1], [0, 0, 0]]
    assert one_hot(seen).dtype == torch.float32
    assert index(seen).tolist() == [1, 0, 3, 0]
    assert one_hot.inverse(one_hot(seen)).tolist() == [0, -1, 2, -1]
    assert index.inverse(index(seen)).tolist() == [0, -1, 2, -1]


def test_fitted_statistics_do_not_depend_on_test_rows(fresh: Callable[..., DataLoaders]) -> None:
    one, other = fresh(), fresh(changed_test=True)
    for loaders in (one, other):
        loaders.bind(["age", "sex", "image"])
    assert not torch.equal(one.test.decoded("age").nan_to_num(), other.test.decoded("age").nan_to_num())
    left, right = one.features.state_dict(), other.features.state_dict()
    assert list(left) == ["field_image.0.mean", "field_image.0.std", *list(left)[2:]]
    assert list(left) == list(right)
    assert all(torch.equal(left[key], right[key]) for key in left)


def odd_map() -> tuple[FeatureMap, dict[str, torch.Tensor]]:
    """Features under names that no attribute could have, and a batch for them."""
    codes, classes = torch.tensor([0, 1, -1]), ("a", "b", "c")
    one_hot = fitted(OneHot(), codes, "category", classes)
    steps = {
        "type": [fitted(Standardize(), torch.tensor([[-2.0], [6.0]]), "number")],  # mean 2, deviation 4
        # mean 0.5 and deviation 0.5 of two columns; the third is constant
        "a field": [one_hot, fitted(Standardize(), one_hot(codes[:2]), "tensor")],
        "forward": [fitted(Index(), torch.tensor([0, 2]), "category", classes)],
    }
    batch = {
        "type": torch.tensor([[1.0], [torch.nan], [3.0]]),
        "a field": torch.tensor([-1, 1, 2]),
        "forward": torch.tensor([2, 1, -1]),
        "left alone": torch.ones(3, 2),
    }
    return FeatureMap(steps), batch


def test_a_feature_map_takes_any_name_and_passes_the_rest() -> None:
    features, batch = odd_map()
    out = features({**batch, "type@strong.0": batch["type"], "type.present": torch.tensor([True, False, True])})
    assert out["type"].tolist() == [[-0.25], [0], [0.25]]
    assert torch.equal(out["type@strong.0"], out["type"])
    assert out["type.present"].dtype == torch.bool
    assert out["a field"].tolist() == [[-1, -1, 0], [-1, 1, 0], [-1, -1, 0]]
    assert out["forward"].tolist() == [3, 0, 0]
    assert out["left alone"] is batch["left alone"]
    assert not any(parameter.requires_grad for parameter in features.parameters())
    assert features.inverse("type", out["type"]).tolist() == [[1], [2], [3]]


def test_features_load_what_they_saved() -> None:
    features, batch = odd_map()
    fresh = FeatureMap({"type": [Standardize()], "a field": [OneHot(), Standardize()], "forward": [Index()]})
    fresh.load_state_dict(features.state_dict())
    copied = pickle.loads(pickle.dumps(features))
    for other in (fresh, copied):
        out = other(batch)
        assert all(torch.equal(values, out[name]) for name, values in features(batch).items())


class _Positional(torch.nn.Module):
    def __init__(self, features: FeatureMap, names: list[str]) -> None:
        super().__init__()
        self.features, self.names = features, names

    def forward(self, *values: torch.Tensor) -> tuple[torch.Tensor, ...]:
        out = self.features(dict(zip(self.names, values, strict=True)))
        return tuple(out[name] for name in self.names)


def test_features_export_with_a_dynamic_batch() -> None:
    features, batch = odd_map()
    names = list(batch)
    rows = torch.export.Dim("rows")
    shapes = (tuple({0: rows} for _ in names),)
    exported = torch.export.export(_Positional(features, names), tuple(batch.values()), dynamic_shapes=shapes)
    more = {name: torch.cat([values, values[:2]]) for name, values in batch.items()}
    for left, right in zip(exported.module()(*more.values()), features(more).values(), strict=True):
        assert torch.equal(left, right)


@pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning")  # torch.export's own, in torch 2.13
def test_features_run_in_onnx_runtime() -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    features, batch = odd_map()
    names = list(batch)
    program = torch.onnx.export(
        _Positional(features, names).eval(),
        tuple(batch.values()),
        dynamo=True,
        dynamic_shapes=(tuple({0: torch.export.Dim.DYNAMIC} for _ in names),),
        input_names=[f"in{index}" for index in range(4)],
        verbose=False,
    )
    if program is None:
        pytest.fail("torch.onnx.export returned nothing")
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString())
    more = {name: torch.cat([values, values[:2]]) for name, values in batch.items()}
    out = session.run(None, {f"in{index}": values.numpy() for index, values in enumerate(more.values())})
    for left, right in zip(out, features(more).values(), strict=True):
        torch.testing.assert_close(torch.from_numpy(left), right, rtol=0, atol=1e-7)
