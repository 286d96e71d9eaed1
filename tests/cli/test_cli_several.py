"""What each of several processes says that a launcher has started with a command, and how it ends."""

from __future__ import annotations

import logging
import warnings
from typing import TYPE_CHECKING, Any

import pytest
import typer
from failing import ends_with
from typer.testing import CliRunner

from jumpml._together import refuse_several, together, told_of
from jumpml.cli import app
from jumpml.cli._errors import Shell
from jumpml.cli._several import PATIENCE, begin
from jumpml.core import (
    DataError,
    JumpMLError,
    Launched,
    NonFiniteLossError,
    RunError,
    Terminated,
    leave_to_first,
)
from jumpml.learn import Processes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TWO = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
FIRST, SECOND = TWO | {"RANK": "0", "LOCAL_RANK": "0"}, TWO | {"RANK": "1", "LOCAL_RANK": "1"}
ELSEWHERE = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "1", "RANK": "1", "LOCAL_RANK": "0"}  # on a machine of its own


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long processes waited for one another; nobody does here."""
    waited: list[float] = []
    monkeypatch.setattr("time.sleep", waited.append)
    return waited


def test_before_they_are_joined_one_a_machine_tells_and_others_let_it(waits: list[float]) -> None:
    assert ends_with(DataError("no file."), FIRST) == (2, "error: no file.\n")
    assert ends_with(DataError("no file."), ELSEWHERE) == (2, "error: process 1 of 2: no file.\n")
    assert waits == []
    assert ends_with(DataError("no file."), SECOND) == (2, "error: process 1 of 2: no file.\n")  # nobody stopped it
    assert waits == [PATIENCE]


def test_what_one_has_met_while_they_learn_it_tells_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jumpml.cli._several._joined", lambda: True)
    assert ends_with(DataError("no file."), SECOND) == (2, "error: process 1 of 2: no file.\n")
    assert ends_with(DataError("no file."), FIRST) == (2, "error: no file.\n")


@pytest.mark.parametrize(
    ("error", "code"),
    [(KeyboardInterrupt("stopped."), 130), (Terminated("stopped."), 143), (NonFiniteLossError("the loss is NaN."), 1)],
    ids=["Ctrl-C", "SIGTERM", "NaN"],
)
def test_what_all_have_met_the_first_tells(
    error: BaseException, code: int, monkeypatch: pytest.MonkeyPatch, waits: list[float]
) -> None:
    monkeypatch.setattr("jumpml.cli._several._joined", lambda: True)
    assert ends_with(error, SECOND) == (code, "")
    assert waits == ([PATIENCE] if code == 1 else [])  # whom a signal stops ends at once
    waits.clear()
    assert ends_with(error, FIRST)[0] == code
    assert ends_with(error, FIRST)[1].endswith(".\n" if code != 143 else "terminated: \n")
    left = DataError("no file.")
    assert waits == []
    leave_to_first(left)
    assert ends_with(left, SECOND) == (2, "")
    assert waits == [PATIENCE]


@pytest.mark.parametrize("command", [["compare", "."], ["show", "model", "x"], ["tune", ".", "--search", "a=1,2"]])
def test_what_one_process_does_is_refused(command: list[str], waits: list[float]) -> None:
    text = (
        f"`jumpml {command[0]}` runs in one process, and 2 were started: start it without torchrun. "
        "Several learn together by `jumpml run`, `jumpml resume` and `jumpml check`.\n"
    )
    result = CliRunner().invoke(app, command, prog_name="jumpml", env=FIRST)
    assert (result.exit_code, result.stdout, result.stderr, waits) == (2, "", f"error: {text}", [])
    other = CliRunner().invoke(app, command, prog_name="jumpml", env=SECOND)
    assert (other.exit_code, other.stdout, other.stderr) == (2, "", f"error: process 1 of 2: {text}")
    assert waits == [PATIENCE]


def test_the_others_are_quiet_until_the_command_ends() -> None:
    shown: list[Any] = []
    log = logging.getLogger("jumpml")
    before, filters = log.level, [*warnings.filters]
    talking = typer.Typer(cls=Shell)

    @talking.command("run")
    def run() -> None:
        typer.echo("done")
        shown.extend((log.level, warnings.filters[0][0]))

    @talking.callback()
    def group(context: typer.Context) -> None:
        begin(context, context.invoked_subcommand)

    assert CliRunner().invoke(talking, ["run"], env=FIRST).stdout == "done\n"
    shown.clear()
    assert CliRunner().invoke(talking, ["run"], env=SECOND).output == ""
    assert shown == [logging.CRITICAL, "ignore"]
    assert (log.level, [*warnings.filters]) == (before, filters)


@pytest.mark.parametrize("environment", [FIRST, SECOND])
def test_a_project_that_says_nothing_of_several_is_refused(
    environment: dict[str, str], tmp_path: Path, waits: list[float]
) -> None:
    assert CliRunner().invoke(app, ["new", str(tmp_path / "p")], prog_name="jumpml").exit_code == 0
    for command in ("run", "check"):
        waits.clear()
        result = CliRunner().invoke(app, [command, str(tmp_path / "p")], prog_name="jumpml", env=environment)
        assert result.exit_code == 2
        assert result.stderr.endswith(
            "distribute: 2 processes were started, and each would learn the whole run by itself. Say `distribute: "
            "ddp`, and they share every batch; or start one, without torchrun.\n"
        )
        assert waits == ([] if environment is FIRST else [PATIENCE])


def test_check_tells_of_batches_that_cannot_be_shared_out_with_the_line(tmp_path: Path) -> None:
    folder = tmp_path / "p"
    assert CliRunner().invoke(app, ["new", str(folder)], prog_name="jumpml").exit_code == 0
    (data,) = folder.glob("*.data.yaml")
    told = data.read_text(encoding="utf-8").replace("batch_size: 64", "batch_size: 157")
    data.write_text(told, encoding="utf-8")
    line = 1 + [text.startswith("batch_size: 157") for text in told.splitlines()].index(True)
    together_by_key = ["check", str(folder), "--set", "learner.distribute=ddp"]
    result = CliRunner().invoke(app, together_by_key, prog_name="jumpml", env=FIRST)
    assert (result.exit_code, result.stderr) == (
        2,
        f"error: {data}: 1 mistake\n  line {line}, column 1: batch_size: 1,257 train rows in batches of 157 leave a "
        "last batch of one row, too few for 2 processes. Take another batch_size, such as 156, or start fewer "
        "processes.\n",
    )


def test_a_command_is_told_as_it_was_started(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Launched.here().command("jumpml run .") == "jumpml run ."
    for name, value in FIRST.items():
        monkeypatch.setenv(name, value)
    assert Launched.here().command("jumpml run .") == "torchrun --nproc-per-node 2 -m jumpml run ."
    monkeypatch.setenv("WORLD_SIZE", "8")
    assert Launched.here().command("jumpml run .") == "torchrun --nproc-per-node 2 --nnodes 4 -m jumpml run ."
    monkeypatch.setenv("RANK", "none")
    assert Launched.here() == Launched()


def test_one_after_the_other_is_refused_in_several(monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_several("A search learns")
    for name, value in FIRST.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(RunError) as caught:
        refuse_several("A search learns")
    assert str(caught.value) == "A search learns in one process, and 2 were started. Start it without torchrun."


def test_who_learns_is_told() -> None:
    assert told_of(Processes()) == (
        "one; several learn as one with `distribute: ddp` where `torchrun --nproc-per-node 2 -m jumpml run ...` starts "
        "them"
    )
    assert told_of(Processes(1, 3)) == "3 learn as one, each from its share of every batch"


class Two(Processes):
    """One of two, with what the other one gathers."""

    def __init__(self, rank: int, other: str | None) -> None:
        super().__init__(rank, 2)
        self._other = other

    def gather(self, value: Any) -> list[Any]:
        if self._other is None:
            raise JumpMLError("another process ended")
        return [value, self._other] if self.first else [self._other, value]


def failing(text: str = "") -> Callable[[], str]:
    def call() -> str:
        if text:
            raise DataError(text)
        return "loaders"

    return call


def test_what_fails_in_one_fails_in_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jumpml.cli._several._joined", lambda: True)
    assert together(Processes(), failing()) == together(Two(1, ""), failing()) == "loaders"
    cases = [  # rank, its own failure, the other's; what the shell is told
        (0, "no file", "no file", "error: no file\n"),
        (1, "no file", "no file", ""),
        (1, "no disk", "", "error: process 1 of 2: no disk\n"),
        (0, "", "no disk", "error: process 1 of 2 failed, and said why.\n"),
        (1, "no disk", None, "error: process 1 of 2: no disk\n"),
    ]
    for rank, own, other, said in cases:
        with pytest.raises(JumpMLError) as caught:
            together(Two(rank, other), failing(own))
        assert ends_with(caught.value, SECOND if rank else FIRST) == (2, said)
    with pytest.raises(JumpMLError, match="another process ended"):
        together(Two(1, None), failing())
