"""Several tasks through files: the example from the shell to its card, and the ways in which tasks and data meet."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from jumpml.cli import app

FOLDER = Path(__file__).parents[2] / "examples" / "multi_task"


def test_the_example_runs_from_the_shell_and_tells_how_each_task_fared(tmp_path: Path) -> None:
    command = ["run", str(FOLDER), "--out", str(tmp_path), "--set", "learner.phases.supervised.epochs=3"]
    result = CliRunner().invoke(app, command, prog_name="jumpml")
    assert result.exit_code == 0, result.output
    (run,) = (tmp_path / "multi_task").iterdir()
    told = result.stderr[result.stderr.index("tasks  over the run") :].splitlines()
    assert told[1].split()[:5] == ["task", "epochs", "rows", "loss:", "first"]
    assert [line.split()[0] for line in told[2:5]] == ["digit", "parity", "holes"]
    tasks = json.loads((run / "run.json").read_text(encoding="utf-8"))["tasks"]
    assert [(task["task"], task["rows"]) for task in tasks] == [
        (name, 3 * 1257) for name in ("digit", "parity", "holes")
    ]
    assert all(task["last"] < task["first"] for task in tasks)
    assert (run / "card.html").exists() and [*(run / "bundles").iterdir()]
