"""What a person reads, and the exit code that a script reads, for each way in which a command can end."""

from __future__ import annotations

import errno
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from failing import ends_with
from typer.testing import CliRunner

import jumpml
from jumpml.cli import app, main
from jumpml.core import (
    CheckpointError,
    DataError,
    DeploymentError,
    DiagnosisError,
    EvaluationError,
    GraphError,
    JumpMLError,
    LearnerError,
    MissingExtraError,
    NonFiniteLossError,
    ObjectiveError,
    RunError,
    SpecError,
    Terminated,
    UntrustedNameError,
)

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("kind", [JumpMLError, DataError, GraphError, ObjectiveError, RunError, UntrustedNameError])
def test_a_mistake_of_the_user_is_told_plainly_and_exits_2(kind: type[Exception]) -> None:
    assert ends_with(kind("the column 'agee' is not there.")) == (2, "error: the column 'agee' is not there.\n")


def test_mistakes_in_a_file_keep_their_lines() -> None:
    error = SpecError(
        "a.yaml", [jumpml.core.Mistake(key="seed", problem="expected a whole number, got 'x'.", line=3, column=1)]
    )
    assert ends_with(error) == (
        2,
        "error: a.yaml: 1 mistake\n  line 3, column 1: seed: expected a whole number, got 'x'.\n",
    )


@pytest.mark.parametrize(
    "kind", [CheckpointError, DeploymentError, DiagnosisError, EvaluationError, LearnerError, NonFiniteLossError]
)
def test_what_fails_on_the_way_exits_1(kind: type[Exception]) -> None:
    assert ends_with(kind("the loss became NaN.")) == (1, "error: the loss became NaN.\n")


def test_a_missing_extra_says_what_to_install() -> None:
    code, text = ends_with(MissingExtraError("onnx", "deploy", "deployment"))
    assert code == 1
    assert text == (
        "error: deployment needs the package 'onnx', which is not installed: pip install 'jumpml[deploy]'\n"
    )


@pytest.mark.parametrize("text", ["[red]not markup[/red]", "[/nothing] opened", ":smile: [0, 1]", "x" * 500])
def test_a_text_is_printed_as_it_is(text: str) -> None:
    assert ends_with(DataError(text)) == (2, f"error: {text}\n")


def test_ctrl_c_exits_130_and_says_how_to_go_on() -> None:
    interrupt = KeyboardInterrupt()
    interrupt.add_note("Go on with: jumpml resume runs/digits/1")
    assert ends_with(interrupt) == (
        130,
        "interrupted: stopped by Ctrl-C.\nGo on with: jumpml resume runs/digits/1\n",
    )


def test_what_was_saved_is_told_too() -> None:
    assert ends_with(KeyboardInterrupt("stopped by Ctrl-C after step 9.")) == (
        130,
        "interrupted: stopped by Ctrl-C after step 9.\n",
    )


def test_sigterm_exits_143_and_says_how_to_go_on() -> None:
    stop = Terminated("stopped by SIGTERM after step 9.")
    stop.add_note("Go on with: jumpml resume runs/digits/1")
    assert ends_with(stop) == (143, "terminated: Go on with: jumpml resume runs/digits/1\n")


def test_what_the_machine_refuses_is_told_without_a_traceback() -> None:
    full = OSError(errno.ENOSPC, "No space left on device", "runs/digits/run.json")
    assert ends_with(full) == (1, "error: No space left on device: runs/digits/run.json\n")
    assert ends_with(OSError(errno.ENOSPC, "No space left on device")) == (1, "error: No space left on device\n")


def test_a_reader_that_went_away_is_no_error_to_tell() -> None:
    assert ends_with(OSError(errno.EPIPE, "Broken pipe")) == (1, "")


def test_an_unforeseen_exception_keeps_its_traceback_and_asks_for_a_report(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("jumpml.core.json_schema", fail)
    monkeypatch.setattr(sys, "argv", ["jumpml", "schema", "data"])
    with pytest.raises(ZeroDivisionError) as caught:
        main()
    assert caught.value.__notes__ == [
        f"jumpml {jumpml.__version__} did not foresee this. If it does not come from code of yours, please report it "
        "with the lines above."
    ]


def test_a_wrong_command_and_a_wrong_option_name_the_near_miss() -> None:
    wrong_command = CliRunner().invoke(app, ["chekc", "."], prog_name="jumpml")
    assert wrong_command.exit_code == 2
    assert "No such command 'chekc'. Did you mean 'check'?" in wrong_command.stderr
    wrong_option = CliRunner().invoke(app, ["run", ".", "--sett", "a=1"], prog_name="jumpml")
    assert wrong_option.exit_code == 2
    assert "--set" in wrong_option.stderr.partition("--sett")[2]


def test_errors_reach_the_shell_through_the_installed_command(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from jumpml.cli import main; main()", "run", str(tmp_path / "nowhere")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr == f"error: {tmp_path / 'nowhere'}: 1 mistake\n  there is no such folder.\n"
