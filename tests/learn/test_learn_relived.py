"""A step with a value that is not finite: where it began is named, and the step is saved and shown again."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any

import pytest
import torch
from iris_files import batch_norm, iris_data, iris_model, mlp
from typer.testing import CliRunner

import jumpml
from jumpml.cli import app
from jumpml.core import NonFiniteLossError, RunError
from jumpml.learn.steps import _culprit as culprit_module
from jumpml.learn.steps._relived import Figures

if TYPE_CHECKING:
    from pathlib import Path

    from jumpml.learn import Learner

DATA = iris_data()
MODEL = iris_model({"body": mlp(8, dropout=0.5), "norm": batch_norm("body", 8)})
OPTIONS: dict[str, Any] = {
    "optimizer": {"kind": "sgd", "lr": 0.1},
    "phases": {"supervised": {"epochs": 3}},
    "checkpoint": {"every": {"epochs": 2}},
    "log": [],
}
BATCHES = 7  # of 105 rows


def make(folder: Path, options: Any = OPTIONS) -> Learner:
    loaders = jumpml.create_dataloader(DATA)
    return jumpml.create_learner(loaders, jumpml.load_model(MODEL, loaders), None, options, run=folder)


class Break:
    """Spoils what a node gives, or the gradient that comes back to it, in one forward pass in training."""

    def __init__(self, learner: Learner, node: str, step: int, *, gradient: bool = False) -> None:
        self.learner, self.step, self.gradient = learner, step, gradient
        learner.model.node(node).register_forward_hook(self)

    def __call__(self, module: torch.nn.Module, inputs: Any, output: torch.Tensor) -> torch.Tensor | None:
        if not module.training or self.learner.progress.step != self.step - 1:
            return None
        if self.gradient:
            output.register_hook(lambda gradient: gradient * float("inf"))
            return output
        return torch.where(torch.arange(len(output))[:, None] == 3, float("nan"), output)


def told(learner: Learner) -> str:
    with pytest.raises(NonFiniteLossError) as stop:
        learner.fit()
    return str(stop.value)


@pytest.mark.parametrize("step", [1, 5, BATCHES + 1])
def test_an_output_that_is_not_finite_is_named_and_the_step_saved(tmp_path: Path, step: int) -> None:
    learner = make(tmp_path)
    Break(learner, "norm", step)
    text = told(learner)
    saved = tmp_path / "checkpoints" / "replay" / f"step-{step:08d}.safetensors"
    assert text == (
        f"the loss of objective 'species' became non-finite at step {step}; it began in node 'norm': its output is "
        "non-finite though its inputs and weights are finite. The checkpoint of step 0 is good. Lower the learning "
        f"rate, set clip_norm, or look at the rows of that batch. The step is saved: `jumpml replay {saved}`, or "
        f"learner.relive('{saved}'), shows it again."
    )
    assert saved.is_file()
    assert learner.progress.step == 0  # as the good checkpoint has it


def test_a_gradient_that_is_not_finite_is_named_with_objective_and_node(tmp_path: Path) -> None:
    learner = make(tmp_path)
    Break(learner, "body", 4, gradient=True)
    assert (
        "became non-finite at step 5; it began at step 4 in objective 'species': its gradient in node 'body' is "
        "non-finite though its loss is finite."
    ) in told(learner)


def test_a_step_is_shown_again_to_the_bit(tmp_path: Path) -> None:
    learner = make(tmp_path)
    Break(learner, "norm", 5)
    told(learner)
    path = tmp_path / "checkpoints" / "replay" / "step-00000005.safetensors"
    fresh = make(tmp_path / "other")
    torch.rand(5)
    before = torch.get_rng_state()
    seen = fresh.relive(path)  # the module itself is whole there, so that all is finite: dropout's mask is the same
    assert torch.equal(torch.get_rng_state(), before)
    assert (seen.step, seen.phase, seen.origin) == (5, "supervised", "")
    assert seen == make(tmp_path / "third").relive(path)
    Break(fresh, "norm", 5)
    fresh.progress.step = 4
    again = fresh.relive(path)
    assert again.origin == "node 'norm': its output is non-finite though its inputs and weights are finite"
    assert again.outputs["norm"].finite == 15 / 16
    assert again.fields == seen.fields
    assert again.outputs["body"] == seen.outputs["body"]
    assert again.weights == seen.weights


def test_the_table_has_nodes_objectives_and_gradients(tmp_path: Path) -> None:
    learner = make(tmp_path)
    Break(learner, "norm", 2)
    told(learner)
    lines = (
        make(tmp_path / "other").relive(tmp_path / "checkpoints/replay/step-00000002.safetensors").table().split("\n")
    )
    assert lines[0] == "step 2, phase supervised: every value is finite"
    heads = [line.split("  ")[0] for line in lines if line.endswith("norm") or line.endswith("mean")]
    assert heads == ["field", "output of", "weights of", "objective", "gradient of species in"]
    assert [line.split()[0] for line in lines[-3:]] == ["body", "norm", "out"]
    assert all(line.split()[1] == "all" for line in lines[-3:])


def test_a_folder_that_is_full_loses_nothing_of_the_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> Path:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(culprit_module, "save_step", full)
    learner = make(tmp_path)
    Break(learner, "norm", 2)
    text = told(learner)
    assert "it began in node 'norm'" in text
    assert text.endswith("The step could not be saved to be looked at again: [Errno 28] No space left on device.")


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "is damaged: its checksum is not the one that was"),
        (lambda path: path.unlink(), "cannot be read: "),
        (lambda path: path.with_suffix(".json").write_text("{"), r"step-00000002\.json is damaged: "),
    ],
)
def test_a_damaged_step_is_refused(tmp_path: Path, damage: Any, text: str) -> None:
    learner = make(tmp_path)
    Break(learner, "norm", 2)
    told(learner)
    path = tmp_path / "checkpoints" / "replay" / "step-00000002.safetensors"
    damage(path)
    with pytest.raises(RunError, match=text):
        make(tmp_path / "other").relive(path)


def test_figures_leave_out_what_is_not_finite() -> None:
    figures = Figures.of([torch.tensor([3.0, float("nan")]), torch.tensor([-4.0, float("inf")])])
    assert figures == Figures(0.5, -4.0, 3.0, 5.0)
    assert figures.cells() == ["50.0%", "-4", "3", "5"]
    assert Figures.of([torch.tensor([float("nan")])]).cells() == ["0.0%", "nan", "nan", "nan"]
    assert Figures.of([]).finite == 1


def test_replay_from_the_shell(tmp_path: Path) -> None:
    project = jumpml.Project(
        name="p",
        data=jumpml.DataSpec.model_validate(DATA),
        model=jumpml.ModelSpec.model_validate(
            {
                **MODEL,
                "nodes": {k: v for k, v in MODEL["nodes"].items() if k != "norm"}
                | {"out": {"module": "jumpml.blocks.Head", "inputs": "body"}},
            }
        ),
        learner=jumpml.LearnerSpec.model_validate({**OPTIONS, "optimizer": {"kind": "sgd", "lr": 1e30}}),
        deploy=jumpml.DeploySpec(),
    )
    with pytest.raises(NonFiniteLossError):
        project.run(tmp_path)
    (run,) = (tmp_path / "p").iterdir()
    result = CliRunner().invoke(app, ["replay", str(run)])
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("step ")
    assert "it began in " in result.stdout.splitlines()[0]
    (saved,) = (run / "checkpoints" / "replay").glob("*.safetensors")
    assert CliRunner().invoke(app, ["replay", str(saved)]).stdout == result.stdout
    saved.unlink()
    nothing = CliRunner().invoke(app, ["replay", str(run)])
    assert nothing.exit_code == 2
    assert nothing.stderr == (
        f"error: {run} holds no step to show again: one is saved where a loss, a gradient or a weight becomes NaN or "
        "infinite.\n"
    )
    assert "is no run's folder" in CliRunner().invoke(app, ["replay", str(tmp_path)]).stderr


@pytest.mark.parametrize(
    ("values", "finite"),
    [
        ([], True),
        ([torch.tensor([1, 2])], True),
        ([torch.ones(3), torch.tensor([1.0, float("nan")])], False),
        ([torch.tensor([float("inf"), float("-inf")])], False),
        ([torch.full((4,), 3e38)], True),  # whose sum runs over
        ([torch.full((4,), 3e38), torch.tensor([float("inf")])], False),
    ],
)
def test_whether_all_values_are_finite(values: list[torch.Tensor], finite: bool) -> None:
    assert culprit_module.all_finite(values) is finite
