"""The commands on a real project: what `jumpml new` makes, shortened."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from sklearn.datasets import load_digits
from typer.testing import CliRunner

from jumpml.cli import app

if TYPE_CHECKING:
    from pathlib import Path

    from typer.testing import Result

SHORT = {"learner.phases.supervised.epochs": "3", "learner.ema": "null", "deploy.variants": "{}", "deploy.gate": "null"}


def _jumpml(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), prog_name="jumpml")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("work") / "digits"
    assert _jumpml("new", str(folder)).exit_code == 0
    return folder


@pytest.fixture(scope="module")
def finished(project: Path) -> Path:
    """The folder of a finished run, as `jumpml run` printed it."""
    out = project.parent / "runs"
    result = _jumpml("run", str(project), "--out", str(out), *(f"--set={key}={value}" for key, value in SHORT.items()))
    assert result.exit_code == 0, result.output
    folder = out / "digits" / result.stdout.strip().rpartition("/")[2]
    assert result.stdout == f"{folder}\n"
    return folder


def test_check_says_that_nothing_is_wrong_and_what_there_is(project: Path) -> None:
    result = _jumpml("check", str(project))
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("digits: no mistakes found\n\n")
    assert all(name in result.stdout for name in ["image", "label", "encoder"])


def test_check_names_file_line_key_and_near_miss(project: Path, tmp_path: Path) -> None:
    for path in project.glob("digits.*.yaml"):
        (tmp_path / path.name).write_text(path.read_text())
    model = tmp_path / "digits.model.yaml"
    model.write_text(
        model.read_text().replace("{module: jumpml.blocks.ConvEncoder", "{modul: jumpml.blocks.ConvEncoder")
    )
    result = _jumpml("check", str(tmp_path))
    assert result.exit_code == 2
    assert result.stdout == ""
    line = next(n for n, text in enumerate(model.read_text().splitlines(), start=1) if "modul:" in text)
    assert result.stderr.startswith(f"error: {model}: 1 mistake\n")
    assert (
        f"  line {line}, column 13: nodes.encoder.modul: this key is unknown. Did you mean 'module'?\n" in result.stderr
    )


@pytest.mark.parametrize(
    ("override", "told"),
    [
        (
            "seed",
            "error: --set: 1 mistake\n  expected key=value, such as learner.phases.supervised.epochs=3; got 'seed'.",
        ),
        ("seed=1", "expected a key that begins with data., model., learner. or deploy., got 'seed'."),
        ("learner.sead=1", "sead: this key is unknown. Did you mean 'seed'?"),
        ("learner.seed=[1", "error: --set learner.seed: 1 mistake\n  line 1, column 3: this is not YAML"),
        ("model.nodes.digit.module=timm.layers.Mlp", "say so: trust=['timm'] in Python, --trust timm in a shell."),
    ],
)
def test_a_wrong_override_is_told(override: str, told: str, project: Path) -> None:
    result = _jumpml("check", str(project), "--set", override)
    assert result.exit_code == 2
    assert told in result.stderr


def test_run_leaves_everything_in_the_folder_that_it_prints(finished: Path) -> None:
    there = {path.name for path in finished.iterdir()}
    assert there >= {
        "run.json",
        "specs",
        "history.jsonl",
        "checkpoints",
        "evaluation.json",
        "diagnosis.json",
        "deployment.json",
        "card.html",
        "README.md",
        "card.json",
        "bundles",
    }
    assert len((finished / "history.jsonl").read_text().splitlines()) == 3


def test_a_run_whose_variant_runs_away_ends_with_a_card_that_says_so(project: Path, tmp_path: Path) -> None:
    wild = {"factorize": {"rank": 0.5}, "fine_tune": {"epochs": 1, "lr": 1e30}}
    short = SHORT | {"learner.phases.supervised.epochs": "1", "deploy.variants": json.dumps({"wild": wild})}
    result = _jumpml(
        "run", str(project), "--out", str(tmp_path), *(f"--set={key}={value}" for key, value in short.items())
    )
    assert result.exit_code == 0, result.output
    (folder,) = (tmp_path / "digits").iterdir()
    record = json.loads((folder / "deployment.json").read_text())
    assert list(record["variants"]) == ["float32"]
    assert "fine-tuning wild: the loss of objective 'digit' became non-finite at step" in record["failed"]["wild"]
    assert "wild failed: fine-tuning wild" in (folder / "README.md").read_text()


def test_report_writes_the_same_card_from_the_records_alone(finished: Path) -> None:
    before = {name: (finished / name).read_bytes() for name in ["card.html", "README.md", "card.json"]}
    for name in before:
        (finished / name).unlink()
    result = _jumpml("report", str(finished))
    assert result.exit_code == 0, result.output
    assert result.stdout == f"wrote {finished / 'card.html'}, README.md and card.json\n"
    assert {name: (finished / name).read_bytes() for name in before} == before


def test_predict_answers_raw_rows_in_their_order(finished: Path, tmp_path: Path) -> None:
    digits: Any = load_digits()
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(json.dumps({"image": image.tolist()}) + "\n" for image in digits.images[:100]))
    bundle = finished / "bundles" / "digits"
    result = _jumpml("predict", str(bundle), str(rows))
    assert result.exit_code == 0, result.output
    answers = [json.loads(line)["digit"] for line in result.stdout.splitlines()]
    right = sum(
        answer["prediction"] == str(target) for answer, target in zip(answers, digits.target[:100], strict=True)
    )
    assert right >= 50  # ten would be chance; three epochs reach far more, most of these rows being train rows
    written = tmp_path / "answers.jsonl"
    again = _jumpml("predict", str(bundle), str(rows), "--variant", "float32", "--output", str(written))
    assert again.stdout == f"wrote {written}\n"
    assert written.read_text() == result.stdout
    with rows.open("a") as file:
        file.write("{}\n")
    late = _jumpml("predict", str(bundle), str(rows), "--output", str(written))
    assert late.exit_code == 2
    assert "row 100: the field 'image' is not there" in late.stderr
    assert written.read_text() == result.stdout, "what stood there stays"


def test_predict_tells_what_is_wrong_with_a_row_a_variant_and_a_bundle(finished: Path, tmp_path: Path) -> None:
    bundle = finished / "bundles" / "digits"
    rows = tmp_path / "rows.json"
    rows.write_text(json.dumps({"picture": [1, 2]}))
    wrong_row = _jumpml("predict", str(bundle), str(rows))
    assert (wrong_row.exit_code, wrong_row.stdout) == (2, "")
    assert wrong_row.stderr == (
        "error: row 0: the field 'image' is not there (null stands for missing). There is: picture.\n"
    )
    wrong_variant = _jumpml("predict", str(bundle), str(rows), "--variant", "int4")
    assert wrong_variant.exit_code == 2
    assert wrong_variant.stderr == f"error: {bundle}: there is no variant 'int4'. There is: float32.\n"
    no_bundle = _jumpml("predict", str(tmp_path), str(rows))
    assert no_bundle.exit_code == 2
    assert no_bundle.stderr.startswith(f"error: {tmp_path}: 'SHA256SUMS' cannot be read: No such file or directory.")


def test_resume_of_a_finished_run_ends_in_the_same_folder(finished: Path) -> None:
    weights = {path: path.read_bytes() for path in (finished / "checkpoints").rglob("model.safetensors")}
    assert weights
    result = _jumpml("resume", str(finished))
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{finished}\n"
    assert {path: path.read_bytes() for path in weights} == weights


@pytest.mark.parametrize("command", ["resume", "report"])
def test_a_folder_that_is_no_run_is_told(command: str, tmp_path: Path) -> None:
    result = _jumpml(command, str(tmp_path))
    assert result.exit_code == 2
    assert result.stderr.startswith(f"error: {tmp_path}")
    assert "run" in result.stderr


@pytest.mark.parametrize(
    ("number", "code", "last"),
    [(signal.SIGINT, 130, "interrupted: stopped by Ctrl-C after step "), (signal.SIGTERM, 143, "terminated: ")],
)
def test_a_signal_ends_a_run_saved_with_the_command_that_goes_on(
    project: Path, tmp_path: Path, number: signal.Signals, code: int, last: str
) -> None:
    command = [sys.executable, "-c", "from jumpml.cli import main; main()", "run", str(project), "--out", str(tmp_path)]
    longer = ["--set", "learner.phases.supervised.epochs=100000", "--trust", "sklearn"]
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores Ctrl-C
    with subprocess.Popen([*command, *longer], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while not list(tmp_path.glob("digits/*/history.jsonl")) and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(number)
        said, told = process.communicate()
    signal.signal(signal.SIGINT, before)
    (run,) = tmp_path.glob("digits/*")
    assert process.returncode == code, told
    assert said == ""
    assert f"stopped by {'Ctrl-C' if code == 130 else 'SIGTERM'} after step " in told
    step = int(told.rpartition("after step ")[2].partition(". Its checkpoint is in ")[0])
    assert (run / "checkpoints" / f"step-{step:08d}").is_dir()
    assert last in told
    assert told.endswith(f"Go on with: jumpml resume {run} --trust sklearn\n")
    assert "Traceback" not in told


def test_a_run_with_changed_files_is_refused_with_the_list_and_goes_on_where_it_is_allowed(
    finished: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    longer = ["--set", "learner.phases.supervised.epochs=4", "--set", "learner.optimizer.lr=0.002"]
    refused = _jumpml("resume", str(run), *longer)
    assert refused.exit_code == 1
    assert "belongs to another run:\n  learner.optimizer.lr: " in refused.stderr
    assert "  learner.phases.supervised.epochs: 3 then, 4 now\n" in refused.stderr
    assert f"jumpml resume {run} --allow-changes, or learner.resume(" in refused.stderr
    assert _jumpml("resume", str(run), *longer, "--allow-changes").exit_code == 0
    *_, last = (run / "history.jsonl").read_text().splitlines()
    assert "learner.phases.supervised.epochs: 3 then, 4 now" in json.loads(last)["notes"][0]
    assert "epochs: 4" in (run / "specs" / "digits.learner.yaml").read_text()  # from now on these are the run's files
    before, now = (json.loads((folder / "run.json").read_text()) for folder in (finished, run))
    assert (now["specs"]["learner"]["optimizer"]["lr"], now["created"]) == (0.002, before["created"])
    compared = _jumpml("compare", str(finished), str(run)).stdout
    assert "learner.phases.supervised.epochs  3 " in compared


def test_a_run_without_a_checkpoint_is_never_begun_anew(finished: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished / "specs", run / "specs")
    result = _jumpml("resume", str(run))
    assert result.exit_code == 2
    assert result.stderr == (
        f"error: {run} holds no checkpoint to go on from: the run was stopped before its first one, or its learner "
        "file says `checkpoint: null`. Start it anew with `jumpml run`.\n"
    )
    assert [path.name for path in run.iterdir()] == ["specs"]
