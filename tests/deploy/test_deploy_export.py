"""From PyTorch to a file: equal on batches of any size, or an error that says why not."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from jumpml.core import DeploymentError, MissingExtraError, NonFiniteLossError, Task, Training
from jumpml.deploy import Factorize, Lessons, Quantize, _extra, deploy
from jumpml.deploy._changes import Base, Unchanged
from jumpml.deploy._difference import largest_difference
from jumpml.deploy._exportable import Exportable
from jumpml.deploy._session import Session
from jumpml.evaluate import evaluate
from jumpml.graph import Model, Node

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from conftest import Deployed

    from jumpml.data import DataLoaders


class Function(nn.Module):
    """A node that is no more than its function."""

    def __init__(self, function) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def untrained(model: Model, loaders: DataLoaders, training: Training) -> None:
    raise AssertionError("nothing here trains")


def model_of(loaders: DataLoaders, module: nn.Module) -> Model:
    """The price from the signal by one node."""
    return Model(
        inputs={"signal": loaders.info("signal")},
        nodes={"guess": Node(module, "signal")},
        tasks={"cost": Task(kind="regression", output="guess", target="price", metrics=("rmse",))},
        fields=loaders.fields,
    )


def export(loaders: DataLoaders, module: nn.Module, folder: Path) -> Exportable:
    base = Base(model=model_of(loaders, module), file=folder / "none", loaders=loaders, trainer=untrained)
    return Unchanged().make("float32", base, folder / "model.onnx").module


class Bags(nn.Module):
    """A module whose export PyTorch's exporters have much to say about."""

    def __init__(self) -> None:
        super().__init__()
        self.bag = nn.EmbeddingBag(8, 1, padding_idx=0)

    def forward(self, x: Tensor) -> Tensor:
        return self.bag((x > 0).long())


def test_exporters_keep_their_troubles_to_themselves(
    table_deployed: Deployed, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    export(table_deployed.loaders, Bags(), tmp_path)
    assert [record.message for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.parametrize("rows", [1, 2, 3, 300])
def test_a_batch_may_have_any_size(digits_deployed: Deployed, rows: int) -> None:
    loaders, model, _, deployment = digits_deployed
    module = Exportable(model, loaders)
    values = loaders.train.decoded("image")[:rows]
    session = Session(deployment.bundle / "float32.onnx")
    with torch.no_grad():
        for name, expected in zip(module.output_names, module(values), strict=True):
            assert largest_difference(session.run({"image": values.numpy()})[name], expected.numpy()) <= 1e-4


def test_attention_recurrence_and_missing_values(table_deployed: Deployed, tmp_path: Path) -> None:
    class Sequence(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)
            self.recurrence = nn.LSTM(4, 3, batch_first=True)
            self.head = nn.Linear(3, 1)

        def forward(self, x: Tensor) -> Tensor:
            codes = self.attention(x.unsqueeze(-1).expand(-1, -1, 4))
            return self.head(self.recurrence(codes)[0][:, -1])

    module = export(table_deployed.loaders, Sequence(), tmp_path)  # make() itself compares all test rows
    assert module.output_names == ("cost.output", "cost.embedding")


def test_a_wide_embedding_stays_out(table_deployed: Deployed) -> None:
    nodes = {"wide": Node(nn.Linear(3, 2049), "signal"), "guess": Node(nn.Linear(2049, 1), "wide")}
    loaders = table_deployed.loaders
    model = Model(
        inputs={"signal": loaders.info("signal")},
        nodes=nodes,
        tasks={"cost": Task(kind="regression", output="guess", target="price")},
        fields=loaders.fields,
    )
    assert Exportable(model, loaders).output_names == ("cost.output",)


def test_only_what_tasks_need_is_exported_and_counted(table_deployed: Deployed) -> None:
    loaders = table_deployed.loaders
    nodes = {"guess": Node(nn.Linear(3, 1), "signal"), "aside": Node(nn.Linear(1, 7), "age")}
    model = Model(
        inputs={name: loaders.info(name) for name in ("signal", "age")},
        nodes=nodes,
        tasks={"cost": Task(kind="regression", output="guess", target="price")},
        fields=loaders.fields,
    )
    module = Exportable(model, loaders)
    assert module.fields == ("signal",)
    assert module.parameter_count() == 4


def test_a_model_without_tasks(table_deployed: Deployed) -> None:
    loaders = table_deployed.loaders
    model = Model(inputs={"signal": loaders.info("signal")}, nodes={"guess": Node(nn.Linear(3, 1), "signal")})
    with pytest.raises(DeploymentError) as error:
        Exportable(model, loaders)
    assert str(error.value) == (
        "the model has no tasks: there is no prediction to deploy. Name one under the key `tasks`."
    )


def test_a_constant_number_of_rows_is_told(table_deployed: Deployed, tmp_path: Path) -> None:
    module = Function(lambda x: x.reshape(len(x), 3)[:, :1])
    with pytest.raises(DeploymentError) as error:
        export(table_deployed.loaders, module, tmp_path)
    assert str(error.value) == (
        "the model cannot be exported to ONNX for batches of any size: a module makes the number of rows a constant. "
        "Where it says len(x) or int(x.shape[0]), x.shape[0] will do."
    )


def test_what_onnx_has_no_word_for_is_told_with_its_node(table_deployed: Deployed, tmp_path: Path) -> None:
    module = Function(lambda x: x[:, :1] if bool(x.sum() > 0) else x[:, 1:2])
    with pytest.raises(DeploymentError) as error:
        export(table_deployed.loaders, module, tmp_path)
    text = str(error.value)
    assert text.startswith("the model cannot be exported to ONNX: GuardOnDataDependentSymNode: "), text
    assert "(in node 'guess'" in text
    assert "\n" not in text


def test_a_file_that_computes_something_else_is_refused(table_deployed: Deployed, tmp_path: Path) -> None:
    module = Function(lambda x: x[:, :1] * (2.0 if torch.compiler.is_exporting() else 1.0))
    with pytest.raises(DeploymentError) as error:
        export(table_deployed.loaders, module, tmp_path)
    text = str(error.value)
    assert text.startswith("the exported file does not compute what the model computes: 'cost.output' differs by ")
    assert text.endswith(
        "Look for a module that behaves differently while it is exported, or that draws random numbers in evaluation "
        "mode."
    )


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (
            Quantize(calibration_rows=8),
            "int8_static: the model has none of Conv, ConvTranspose, MatMul, Gemm, so there is nothing to quantize.",
        ),
        (
            Factorize(rank=0.5),
            "factorize: of 0 linear layers none has fewer weights with 0.5 of its singular values. "
            "Take a smaller rank, or another change.",
        ),
    ],
)
def test_a_change_that_finds_nothing_to_change(
    table_deployed: Deployed, tmp_path: Path, change: Quantize | Factorize, problem: str
) -> None:
    loaders = table_deployed.loaders
    model = model_of(loaders, Function(lambda x: x[:, :1]))
    with pytest.raises(DeploymentError) as error:
        deploy(
            evaluate(loaders, model),
            model,
            changes={"small": change},
            gate=None,
            folder=tmp_path,
            bundle="bundle",
            trainer=untrained,
        )
    assert str(error.value) == f"variant 'small': {problem}"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("package", ["onnx", "onnxscript", "onnxruntime"])
def test_a_missing_package_is_told_with_its_extra(
    digits_deployed: Deployed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    monkeypatch.setattr(_extra, "find_spec", lambda name: None if name == package else object())
    with pytest.raises(MissingExtraError) as error:
        deploy(
            digits_deployed.results,
            digits_deployed.model,
            changes={},
            gate=None,
            folder=tmp_path,
            bundle="bundle",
            trainer=untrained,
        )
    assert str(error.value) == (
        f"exporting a model needs the package {package!r}, which is not installed: pip install 'jumpml[deploy]'"
    )


@pytest.mark.parametrize(
    ("first", "second", "apart"),
    [
        ([1.0, 2.0], [1.0, 2.5], 0.5),
        ([np.nan, np.inf], [np.nan, np.inf], 0.0),
        ([np.nan], [1.0], np.inf),
        ([np.inf], [-np.inf], np.inf),
        ([], [], 0.0),
    ],
)
def test_differences(first: list[float], second: list[float], apart: float) -> None:
    assert largest_difference(np.array(first), np.array(second)) == apart


def test_the_model_and_its_mode_are_untouched(digits_deployed: Deployed, tmp_path: Path) -> None:
    loaders, model, _, _ = digits_deployed
    before = {name: value.clone() for name, value in model.state_dict().items()}
    seen: dict[str, Training] = {}

    def trainer(model: Model, loaders: DataLoaders, training: Training) -> None:
        seen[training.purpose] = training
        assert loaders is digits_deployed.loaders
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.zero_()

    model.train()
    try:
        deploy(
            evaluate(loaders, model),
            model,
            changes={"slim": Factorize(rank=0.5, fine_tune=Lessons(epochs=3, lr=0.5))},
            gate=None,
            folder=tmp_path,
            bundle="bundle",
            trainer=trainer,
        )
        assert model.training
    finally:
        model.eval()
    after: Mapping[str, Tensor] = model.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    (purpose, training), *_ = seen.items()
    assert (purpose, training.epochs, training.lr) == ("fine-tuning slim", 3, 0.5)


def test_a_variant_that_runs_away_in_its_training_is_named(digits_deployed: Deployed, tmp_path: Path) -> None:
    def runs_away(model: Model, loaders: DataLoaders, training: Training) -> None:
        raise NonFiniteLossError("the weights became non-finite by the update of step 20.")

    slim = Factorize(rank=0.5, fine_tune=Lessons(epochs=1, lr=1e9))
    base = Base(model=digits_deployed.model, file=tmp_path / "none", loaders=digits_deployed.loaders, trainer=runs_away)
    with pytest.raises(NonFiniteLossError, match=r"^fine-tuning slim: the weights became non-finite by the update"):
        slim.make("slim", base, tmp_path / "slim.onnx")


@pytest.mark.parametrize("told", [True, False], ids=["the trainer tells it", "its last updates did it"])
def test_a_variant_that_runs_away_fails_alone(
    told: bool, digits_deployed: Deployed, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    loaders, model, _, _ = digits_deployed

    def runs_away(model: Model, loaders: DataLoaders, training: Training) -> None:
        if training.purpose.endswith("wild"):
            next(iter(model.parameters())).data[0] = float("nan")
            if told:
                raise NonFiniteLossError("the weights became non-finite by the update of step 20.")

    lessons = Lessons(epochs=1, lr=1e9)
    deployment = deploy(
        evaluate(loaders, model),
        model,
        changes={"wild": Factorize(rank=0.5, fine_tune=lessons), "slim": Factorize(rank=0.5, fine_tune=lessons)},
        gate=None,
        folder=tmp_path,
        bundle="bundle",
        trainer=runs_away,
    )
    last = "the weights became non-finite by one of its last updates. Lower its lr."
    why = "fine-tuning wild: " + ("the weights became non-finite by the update of step 20." if told else last)
    assert deployment.record.failed == {"wild": why}
    assert list(deployment.record.variants) == ["float32", "slim"]
    assert sorted(path.stem for path in deployment.bundle.glob("*.onnx")) == ["float32", "slim"]
    assert str(deployment).splitlines()[-1] == f"  wild failed: {why}"
    assert [record.getMessage() for record in caplog.records if "wild" in record.getMessage()] == [
        f"Variant 'wild' failed and is left out: {why}"
    ]
