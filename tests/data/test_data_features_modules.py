"""A user's own modules, and pretrained models whose answers are kept on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn

from jumpml.core import DataError, DataSpec, FieldInfo, SpecError, ValueInfo
from jumpml.data import (
    Column,
    DataLoaders,
    Pretrained,
    Standardize,
    TrainRows,
    build_dataloader,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

X = FieldInfo(name="x", kind="tensor", value=ValueInfo(shape=(3,)))


class Centre(nn.Module):
    """A user's step: less the train rows' mean."""

    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(3))

    def fit(self, values: Tensor) -> None:
        self.mean = values.mean(0)

    def forward(self, values: Tensor) -> Tensor:
        return values - self.mean

    def inverse(self, values: Tensor) -> Tensor:
        return values + self.mean


class Counting(nn.Module):
    """A model that tells how many rows it was asked for."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 2, bias=False)
        nn.init.normal_(self.linear.weight, generator=torch.Generator().manual_seed(seed))
        self.rows: list[int] = []

    def __deepcopy__(self, memo: dict[int, Any]) -> Counting:
        return self

    def forward(self, values: Tensor) -> dict[str, Tensor]:
        self.rows.append(len(values))
        return {"code": self.linear(values), "twice": self.linear(values) * 2}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("JUMPML_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def rows(count: int = 10) -> Tensor:
    return torch.randn(count, 3, generator=torch.Generator().manual_seed(1))


def loaders_of(*steps: nn.Module, values: Tensor | None = None) -> DataLoaders:
    order = torch.arange(10)
    splits = {"train": order[:6], "val": order[6:8], "test": order[8:]}
    column = Column(rows() if values is None else values, "tensor")
    return DataLoaders({"x": column}, splits, features={"x": list(steps)})


def served(loaders: DataLoaders) -> Tensor:
    return torch.cat([batch["x"] for split in (loaders.train, loaders.val, loaders.test) for batch in split.plain()])


# --- custom -----------------------------------------------------------------------------------------------------------


def test_any_module_is_a_step_and_learns_from_train_rows() -> None:
    loaders = loaders_of(Centre())
    torch.testing.assert_close(served(loaders), rows() - rows()[:6].mean(0))
    torch.testing.assert_close(loaders.to_raw("x", served(loaders)), rows())
    assert [step.name for step in loaders.features.steps("x")] == ["module"]
    with pytest.raises(DataError, match="module cannot be undone"):
        loaders_of(nn.Flatten()).to_raw("x", rows())


class Refusing(nn.Module):
    def forward(self, values: Tensor) -> Tensor:
        if values.isnan().any():
            raise ValueError("no")
        return values


@pytest.mark.parametrize("step", [Centre(), Refusing()])
def test_a_module_is_asked_what_it_makes_of_a_row_that_lacks_all_where_no_train_row_does(step: nn.Module) -> None:
    values = rows()
    values[-1] = torch.nan  # a test row
    with pytest.raises(DataError, match="field 'x': 1 value is missing, and module leaves them so, but a node reads"):
        loaders_of(step, values=values).bind(["x"])
    assert "missing" not in loaders_of(step).decoding()["x"]


def test_a_network_as_a_step_stays_as_it_is() -> None:
    loaders = loaders_of(nn.Dropout(0.9), nn.Linear(3, 2))
    loaders.features.train()
    assert not any(module.training for module in loaders.features.modules() if module is not loaders.features)
    assert not any(parameter.requires_grad for parameter in loaders.features.parameters())


class Clumsy(nn.Module):
    def forward(self, values: Tensor) -> Tensor:
        return values.nothing  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("step", "text"),
    [
        (Clumsy(), r"field 'x': Clumsy failed on the train rows: AttributeError: 'Tensor' object has no attribute"),
        (nn.Flatten(0), r"field 'x': module gives a tensor \[18\] for 6 rows; expected a tensor \[batch, \.\.\.\]\."),
        (nn.LSTM(3, 2), r"field 'x': module gives a tuple for 6 rows; expected a tensor \[batch, \.\.\.\]\."),
        (Standardize, r"features, 'x': expected steps that are modules, got <class .*>\. Write Standardize\(\)\."),
        ("standardize", r"features, 'x': expected steps .* got 'standardize'\. Give it a Feature or a torch\.nn"),
    ],
)
def test_what_is_no_step(step: Any, text: str) -> None:
    with pytest.raises(DataError, match=f"^{text}"):
        loaders_of(step)


def data_file(steps: str) -> str:
    return f"""\
        datasets:
          d:
            source: {{kind: sklearn, name: iris}}
            fields:
              x: {{kind: tensor, column: data, shape: [4]}}
        features:
          x: [{steps}]
        """


def test_a_file_names_a_module(data_spec: Callable[[str], DataSpec]) -> None:
    spec = data_spec(data_file("{module: {name: torch.nn.Unflatten, args: {dim: 1, unflattened_size: [2, 2]}}}"))
    assert build_dataloader(spec).info("x").shape == (2, 2)


@pytest.mark.parametrize(
    ("step", "text"),
    [
        (
            "{module: {name: os.system}}",
            "features.x[0]: 'os.system' is outside the trusted packages (torch.nn, jumpml). Python's own",
        ),
        (
            "{module: {name: torch.nn.Linear, args: {wide: 3}}}",
            "features.x[0]: torch.nn.Linear(wide=3) fails: TypeError: Linear.__init__() got an unexpected keyword",
        ),
        (
            "{pretrained: {file: none.onnx}}",
            "my.data.yaml: 1 mistake\n  line 7, column 7: features.x[0]: there is no file",
        ),
        ("{pretrained: {file: model.onnx, module: torch.nn.ReLU}}", "an ONNX file is a whole model, so that `module`"),
        ("{pretrained: {file: model.txt}}", "expected weights in .safetensors, .pt, .pth, .bin, .ckpt; got .txt."),
        ("{pretrained: {file: w.pt}}", "w.pt holds weights only. Name the class that they are of under `module`."),
        (
            "{pretrained: {file: bad.pt, module: torch.nn.ReLU}}",
            "or, if you trust where it comes from, load it yourself",
        ),
        ("{pretrained: {}}", "expected exactly one of file, transformers, sentences, timm; got none."),
        ("{pretrained: {file: a, transformers: b}}", "sentences, timm; got file and transformers."),
        (
            "{pretrained: {file: a, args: {b: 1}}}",
            "`args` are those of `module` or of a `timm` model, which are missing",
        ),
        (
            "{pretrained: {transformers: a, output: b}}",
            "gives one vector a row, so that `output` would choose nothing.",
        ),
    ],
)
def test_what_a_file_cannot_name(step: str, text: str, data_spec: Callable[[str], DataSpec], tmp_path: Path) -> None:
    for name in ("model.onnx", "model.txt", "bad.pt"):
        (tmp_path / name).write_text("no model")
    torch.save({"weight": torch.ones(1)}, tmp_path / "w.pt")
    with pytest.raises(SpecError) as error:
        build_dataloader(data_spec(data_file(step)))
    assert text in str(error.value)


# --- pretrained -------------------------------------------------------------------------------------------------------


def test_the_second_start_asks_the_model_nothing() -> None:
    first, second = Counting(), Counting()
    one = loaders_of(Pretrained(first), Standardize())
    out = served(one)
    # Each row once, since the step that follows learned from what was kept; and one row that lacks all.
    assert sum(first.rows) == 11
    assert torch.equal(served(loaders_of(Pretrained(second), Standardize())), out)
    assert second.rows == []


def test_other_rows_weights_and_outputs_are_other_answers() -> None:
    served(loaders_of(Pretrained(Counting())))
    again = (
        (Pretrained(Counting(seed=1)), None),
        (Pretrained(Counting(), output="twice"), None),
        (Pretrained(Counting()), rows() + 1),
    )
    for step, values in again:
        out = served(loaders_of(step, values=values))
        assert isinstance(step.model, Counting)
        assert sum(step.model.rows) >= 10  # a row that lacks all may be known
        expected = step(rows() if values is None else values)
        torch.testing.assert_close(out, expected)


def test_weights_that_change_in_place_are_noticed() -> None:
    step = Pretrained(Counting())
    before = step.serve(rows(), keep=True)
    with torch.no_grad():
        step.model.get_parameter("linear.weight").mul_(2)
    assert not torch.equal(step.serve(rows(), keep=True), before)


@pytest.mark.parametrize("harm", ["cut", "changed"])
def test_a_damaged_file_is_made_anew(harm: str, cache: Path) -> None:
    out = Pretrained(Counting()).serve(rows(), keep=True)
    (path,) = cache.rglob("*.safetensors")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content[:-5] if harm == "cut" else content)
    step = Pretrained(Counting())
    with pytest.warns(UserWarning, match=r"the cached features in .* are damaged \(.*\); they are computed anew\."):
        assert torch.equal(step.serve(rows(), keep=True), out)
    assert torch.equal(step.serve(rows(), keep=True), out)  # mended: no warning


def test_a_cache_that_cannot_be_written_is_told_of(cache: Path) -> None:
    cache.write_text("a file where the folder should be")
    with pytest.warns(UserWarning, match=r"the cache .* cannot be written \(.*JUMPML_CACHE"):
        out = Pretrained(Counting()).serve(rows(), keep=True)
    torch.testing.assert_close(out, Pretrained(Counting())(rows()))


def test_rows_that_do_not_come_again_leave_nothing(cache: Path) -> None:
    Pretrained(Counting()).serve(rows())
    assert not cache.exists()


def test_one_of_several_outputs() -> None:
    class Two(nn.Module):
        def forward(self, values: Tensor) -> tuple[Tensor, Tensor]:
            return values, values * 2

    assert Pretrained(Two(), output=1)(rows()).equal(rows() * 2)
    assert Pretrained(Two())(rows()).equal(rows())
    for step, text in (
        (Pretrained(Counting(), output="cod"), r"pretrained: the model has no output 'cod'\. Did you mean 'code'\?"),
        (Pretrained(Two(), output=2), r"pretrained: expected an output 2 of the model, got 2 outputs\."),
        (Pretrained(nn.ReLU(), output="a"), r"the model gives one tensor, and no output 'a'\. Leave `output` out\."),
    ):
        with pytest.raises(DataError, match=text):
            step(rows())
    with pytest.raises(DataError, match=r"^field 'x': the pretrained model cannot read the train rows: RuntimeError"):
        Pretrained(nn.Linear(5, 1)).fit(TrainRows(rows()), X)
