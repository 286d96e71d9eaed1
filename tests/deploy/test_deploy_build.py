"""From a deploy file to a bundle; what is wrong in it is told by line before anything trains."""

from __future__ import annotations

import json
import textwrap
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from jumpml import load_model
from jumpml.core import DeploymentError, DeploySpec, SpecError, Training, load_spec
from jumpml.deploy import Predictor, build_deployment, check_deployment
from jumpml.evaluate import evaluate, metric

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Deployed

    from jumpml.core import Trainer

SMALL: dict[str, Any] = {
    "seed": 0,
    "nodes": {
        "flat": {"module": "torch.nn.Flatten", "inputs": "image"},
        "out": {"module": "jumpml.blocks.Head", "inputs": "flat"},
    },
    "tasks": {"digit": {"kind": "multiclass", "output": "out", "target": "label"}},
    "objectives": {"small_code": {"kind": "l1", "inputs": "flat"}},
}


def never(model: Any, loaders: Any, training: Training) -> None:
    raise AssertionError("a mistake must be told before anything trains")


@pytest.fixture
def deploy_file(tmp_path: Path) -> Callable[..., DeploySpec]:
    """Writes a deploy file, and a small model file beside it, and reads it."""

    def write(text: str, **changes: Any) -> DeploySpec:
        (tmp_path / "small.model.json").write_text(json.dumps(SMALL | changes), encoding="utf-8")
        path = tmp_path / "my.deploy.yaml"
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return load_spec(DeploySpec, path)

    return write


def mistakes_of(spec: DeploySpec, deployed: Deployed, folder: Path) -> list[str]:
    """What building says is wrong; checking must say the same."""
    read = partial(load_model, dataloader=deployed.loaders)
    with pytest.raises(SpecError) as built:
        build_deployment(spec, deployed.results, deployed.model, folder=folder, trainer=never, load_model=read)
    with pytest.raises(SpecError) as checked:
        check_deployment(spec, deployed.model, read)
    assert str(checked.value) == str(built.value)
    return [str(mistake) for mistake in built.value.mistakes]


def test_a_whole_file(
    deploy_file: Callable[..., DeploySpec], digits_deployed: Deployed, tmp_path: Path, trainer: Trainer
) -> None:
    loaders, model, results, _ = digits_deployed
    spec = deploy_file("""\
        variants:
          student: {distill: {into: small.model.json, epochs: 4, temperature: 2, lr: 3.0e-3}}
        gate: {metric: digit/accuracy, max_drop: 0.2, accept_undecided: true}
        bundle: out/digits
        """)
    seen: list[Training] = []

    def note(model: Any, loaders: Any, training: Training) -> None:
        seen.append(training)
        trainer(model, loaders, training)

    read = partial(load_model, dataloader=loaders)
    check_deployment(spec, model, read)
    deployment = build_deployment(spec, results, model, folder=tmp_path, trainer=note, load_model=read)
    assert [(t.purpose, t.epochs, t.lr) for t in seen] == [("distilling student", 4, 3e-3)]
    student = deployment.record.variants["student"]
    assert student.bundled
    assert student.change == "distilled into small.model.json at temperature 2 by 4 epochs of training"
    assert student.notes == (
        "In small.model.json small_code had no part: "
        "a student learns from its tasks' own objectives and from its source.",
    )
    assert student.parameters == 650  # 64 pixels and a bias to 10 digits
    assert deployment.bundle == tmp_path / "out" / "digits"
    assert Predictor(deployment.bundle, "student").check_golden() == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["digits"]


def test_all_mistakes_at_once(
    deploy_file: Callable[..., DeploySpec], digits_deployed: Deployed, tmp_path: Path
) -> None:
    spec = deploy_file("""\
        variants:
          float32: {quantize: {}}
          my int8: {quantize: {}}
          slim: {factorize: {rank: 0.95}}
          student: {distill: {into: smal.model.json, epochs: 1}}
          code: {distill: {into: run.py, epochs: 1}}
        gate: {metric: digit/acuracy}
        """)
    assert mistakes_of(spec, digits_deployed, tmp_path) == [
        "line 2, column 3: variants.float32: this is the unchanged model's name, which is always there. "
        "Call the variant something else.",
        "line 3, column 3: variants.my int8: a variant's name names its file: expected letters, digits, - and _.",
        "line 4, column 22: variants.slim.factorize.rank: factorize: of 2 linear layers none has fewer weights with "
        "0.95 of its singular values. Take a smaller rank, or another change.",
        f"line 5, column 23: variants.student.distill.into: there is no file {tmp_path / 'smal.model.json'}. "
        "Did you mean 'small.model.json'?",
        "line 6, column 20: variants.code.distill.into: expected a file that ends in .yaml, .yml, .json; got 'run.py'. "
        "Only you can run a .py file, by naming it.",
        "line 7, column 8: gate.metric: expected a figure that is measured, as task/metric; got 'digit/acuracy'. "
        "Did you mean 'digit/accuracy'?",
    ]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            {"tasks": {"digits": SMALL["tasks"]["digit"]}},
            "expected the same tasks as the model's; there is no task 'digit'. Did you mean 'digits'?",
        ),
        (
            {"tasks": {"digit": {"kind": "regression", "output": "out", "target": "image", "objective": None}}},
            "expected the same tasks as the model's; 'digit' is a regression task for 'image'; the model's is "
            "multiclass for 'label'.",
        ),
        (
            {"tasks": {**SMALL["tasks"], "again": SMALL["tasks"]["digit"]}},
            "expected the same tasks as the model's; it also has again, which the model cannot teach.",
        ),
    ],
)
def test_a_student_with_other_tasks(
    deploy_file: Callable[..., DeploySpec],
    digits_deployed: Deployed,
    tmp_path: Path,
    changes: dict[str, Any],
    problem: str,
) -> None:
    spec = deploy_file("variants: {student: {distill: {into: small.model.json, epochs: 1}}}", **changes)
    (told,) = mistakes_of(spec, digits_deployed, tmp_path)
    assert told == f"line 1, column 32: variants.student.distill.into: small.model.json: {problem}"


def test_a_student_of_other_shapes_without_the_data(
    deploy_file: Callable[..., DeploySpec], digits_deployed: Deployed
) -> None:
    nodes = {**SMALL["nodes"], "out": {"module": "torch.nn.LazyLinear", "inputs": "flat", "args": {"out_features": 7}}}
    spec = deploy_file(
        "variants: {student: {distill: {into: small.model.json, epochs: 1}}}",
        nodes=nodes,
        inputs={"image": {"shape": [1, 8, 8]}},
    )
    with pytest.raises(SpecError) as error:
        check_deployment(spec, digits_deployed.model, load_model)
    assert "7 wide, and the target 'label' has 10 classes" in str(error.value)


def test_fine_tuning_without_an_objective(
    deploy_file: Callable[..., DeploySpec], digits_deployed: Deployed, tmp_path: Path
) -> None:
    spec = deploy_file("variants: {slim: {factorize: {rank: 0.1}, fine_tune: {epochs: 1}}}")
    tasks = {"digit": {**SMALL["tasks"]["digit"], "objective": None}}
    wide = {"module": "torch.nn.LazyLinear", "inputs": "flat", "args": {"out_features": 10}}
    model = load_model(SMALL | {"tasks": tasks, "nodes": {**SMALL["nodes"], "out": wide}}, digits_deployed.loaders)
    (told,) = mistakes_of(spec, digits_deployed._replace(model=model), tmp_path)
    assert told == (
        "line 1, column 43: variants.slim.fine_tune: there is nothing to train on: no task has an objective of its own "
        "in the supervised phase."
    )


def test_a_gate_needs_a_direction(
    deploy_file: Callable[..., DeploySpec], digits_deployed: Deployed, tmp_path: Path
) -> None:
    def share_of_zeros(predictions: Any, targets: Any) -> float:
        return float((predictions == 0).double().mean())

    loaders, model, _, _ = digits_deployed
    spec = deploy_file("gate: {metric: digit/share_of_zeros}\nvariants: {int8: {quantize: {}}}")
    read = partial(load_model, dataloader=loaders)
    results = evaluate(loaders, model, [metric(share_of_zeros, resamples=40)])
    with pytest.raises(SpecError) as error:
        build_deployment(spec, results, model, folder=tmp_path, trainer=never, load_model=read)
    assert str(error.value).endswith(
        "line 1, column 8: gate.metric: nothing says whether more of 'digit/share_of_zeros' is better or worse. "
        "Gate on another figure; of your own metric say it: jumpml.evaluate.metric(f, higher_is_better=True)."
    )


def test_a_place_that_is_taken_is_told_before_anything_trains(
    deploy_file: Callable[..., DeploySpec], digits_deployed: Deployed, tmp_path: Path
) -> None:
    loaders, model, results, _ = digits_deployed
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").touch()
    spec = deploy_file("""\
        variants: {student: {distill: {into: small.model.json, epochs: 1}}}
        bundle: thesis
        """)
    read = partial(load_model, dataloader=loaders)
    with pytest.raises(DeploymentError, match=r"thesis is there already and is no bundle"):
        build_deployment(spec, results, model, folder=tmp_path, trainer=never, load_model=read)
    assert (tmp_path / "thesis" / "chapter.tex").exists()
