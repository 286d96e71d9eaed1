"""From a path, a dict or a spec object to a spec: endings, encodings, Python files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jumpml.core import DataSpec, DeploySpec, FileSpec, LearnerSpec, ModelSpec, SpecError, load_spec

EXAMPLES = Path(__file__).parents[2] / "examples"


def refusal(source: Any, cls: type[FileSpec] = LearnerSpec) -> str:
    with pytest.raises(SpecError) as caught:
        load_spec(cls, source)
    return str(caught.value)


def test_yaml_json_python_and_dict_say_the_same(tmp_path: Path) -> None:
    contents = {
        "a.yaml": "seed: 3\nphases: {supervised: {epochs: 2}}\n",
        "a.yml": "{seed: 3, phases: {supervised: {epochs: 2}}}",
        "a.json": '{\n\t"seed": 3, "phases": {"supervised": {"epochs": 2}}}',
        "a.py": "learner = {'seed': 3, 'phases': {'supervised': {'epochs': 1 + 1}}}",
        "b.py": "from jumpml.core import LearnerSpec\n"
        "learner = LearnerSpec(seed=3, phases={'supervised': {'epochs': 2}})",
    }
    dumps = []
    for name, text in contents.items():
        path = tmp_path / name
        path.write_text(text)
        dumps.append(load_spec(LearnerSpec, path).model_dump())
        assert load_spec(LearnerSpec, str(path)).source == str(path)
    dumps.append(load_spec(LearnerSpec, {"seed": 3, "phases": {"supervised": {"epochs": 2}}}).model_dump())
    assert all(dump == dumps[0] for dump in dumps)


def test_a_spec_object_is_returned_as_it_is() -> None:
    spec = LearnerSpec(seed=3)
    assert load_spec(LearnerSpec, spec) is spec
    assert spec.source == "the LearnerSpec"
    assert spec.folder == Path()
    assert spec.stem is None


def test_a_spec_remembers_its_file(tmp_path: Path) -> None:
    path = tmp_path / "digits.learner.yaml"
    path.write_text("seed: 3\nema:\n  decay: 0.5\n")
    spec = load_spec(LearnerSpec, path)
    assert (spec.source, spec.folder, spec.stem) == (str(path), tmp_path, "digits")
    assert str(spec.mistake(("ema", "decay"), "too low.", "Raise it.")) == (
        "line 3, column 3: ema.decay: too low. Raise it."
    )
    assert str(LearnerSpec().mistake(("ema",), "too low.")) == "ema: too low."


def test_an_empty_file_says_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("")
    assert load_spec(LearnerSpec, path).model_dump() == LearnerSpec().model_dump()
    assert refusal(path, ModelSpec) == f"{path}: 1 mistake\n  line 1, column 1: nodes: this key is missing."


@pytest.mark.parametrize(
    ("content", "seed"),
    [(b"\xef\xbb\xbfseed: 3\n", 3), (b"seed: 3\r\ndevice: cpu\r\n", 3), ("device: größe🙂\nseed: 3".encode(), 3)],
)
def test_byte_order_marks_line_ends_and_unicode_are_fine(tmp_path: Path, content: bytes, seed: int) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(content)
    assert load_spec(LearnerSpec, path).seed == seed


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("seed: 3\ndevice: café".encode("latin-1"), "line 2, column 12: the byte 0xe9 is no UTF-8."),
        ("seed: 3".encode("utf-16"), "line 1, column 1: the byte 0xff is no UTF-8."),
        (b"- a\n- b\n", "line 1, column 1: expected a mapping of keys, got a list of 2."),
        (b"hello", "line 1, column 1: expected a mapping of keys, got 'hello'."),
        (b"null", "line 1, column 1: expected a mapping of keys, got null."),
        (
            b"seed: 99999999999999999999",
            "line 1, column 1: seed: expected a whole number of at most 64 bits, got a larger one.",
        ),
        (b'device: "\\ud800"', "line 1, column 1: device: expected text, got half a character"),
    ],
)
def test_what_is_no_spec_is_refused(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(content)
    assert told in refusal(path)


def test_half_characters_that_make_a_whole_one_are_joined(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"device": "\\ud83d\\ude00"}')
    assert load_spec(LearnerSpec, path).device == "😀"


def test_a_missing_file_is_named_with_its_near_miss(tmp_path: Path) -> None:
    (tmp_path / "digits.learner.yaml").write_text("")
    (tmp_path / "notes.txt").write_text("")
    path = tmp_path / "digit.learner.yaml"
    assert refusal(path) == f"{path}: 1 mistake\n  there is no such file. Did you mean 'digits.learner.yaml'?"
    assert refusal(tmp_path / "no" / "a.yaml").endswith("1 mistake\n  there is no such file.")


def test_paths_that_are_no_readable_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "file.json").write_text("{}")
    told = {
        "folder.yaml": "expected a file, got a folder.",
        "file.json/a.yaml": "the file cannot be read: Not a directory.",
        f"{'a' * 300}.yaml": "the file cannot be read: File name too long.",
        "a\0.yaml": "the file cannot be read: embedded null byte.",
        "a.toml": "expected a file that ends in .yaml, .yml, .json, .py; got '.toml'.",
        "a": "expected a file that ends in .yaml, .yml, .json, .py; got none.",
    }
    for name, text in told.items():
        assert refusal(tmp_path / name) == f"{tmp_path / name}: 1 mistake\n  {text}"


def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "read_bytes", refuse)  # root may read everything, so a mode would prove nothing
    assert "the file cannot be read: Permission denied." in refusal(tmp_path / "a.yaml")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("x = 1\nlearner = 1 / 0", "line 2, column 1: running the file failed: ZeroDivisionError: division by zero."),
        ("def f():\n    return {}['a']\nlearner = f()", "line 2, column 1: running the file failed: KeyError: 'a'."),
        ("learner = (", "line 1, column 1: running the file failed: SyntaxError: '(' was never closed"),
        ("import sys\nsys.exit(3)", "line 2, column 1: running the file failed: SystemExit: 3."),
        ("import no_such_package", "running the file failed: ModuleNotFoundError: No module named 'no_such_package'."),
        ("leaner = {}", "the file sets no variable named 'learner'. Write learner = {...} in it."),
        ("learner = [1]", "  expected a mapping of keys, got a list of 1."),
        ("from jumpml.core import DeploySpec\nlearner = DeploySpec()", "expected a LearnerSpec, got a DeploySpec."),
        (
            "learner = {'log': {'jsonl'}, 'seed': object}",
            "log: expected text, a number, a list or a mapping, got a value of type set.\n"
            "  seed: expected text, a number, a list or a mapping, got a value of type type.",
        ),
        ("learner = {}\nlearner['a'] = learner", "a.a.a.a: nested deeper than 100 levels"),
        ("learner = {1: 2}", "  1: this key is unknown."),
    ],
)
def test_a_python_file_that_fails_is_a_mistake_of_that_file(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "a.py"
    path.write_text(text)
    found = refusal(path)
    assert found.startswith(f"{path}: ")
    assert told in found


def test_a_python_error_keeps_its_cause(tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    path.write_text("learner = 1 / 0")
    with pytest.raises(SpecError) as caught:
        load_spec(LearnerSpec, path)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_dicts_may_hold_paths_tuples_and_specs(tmp_path: Path) -> None:
    data = load_spec(DataSpec, EXAMPLES / "digits" / "digits.data.yaml")
    source = {"kind": "csv", "path": tmp_path / "a.csv"}
    fields = {"x": {"kind": "image", "shape": (1, 8, 8)}}
    spec = load_spec(DataSpec, {"datasets": {"a": {"source": source, "fields": fields}}, "about": data.about})
    assert spec.datasets["a"].source.model_dump()["path"] == str(tmp_path / "a.csv")
    assert spec.about == data.about


def test_a_dict_has_a_name_but_no_lines() -> None:
    assert refusal({"sed": 1, "device": 3}) == (
        "the learner spec: 2 mistakes\n"
        '  device: expected text, got 3. Write it in quotes: "3".\n'
        "  sed: this key is unknown. Did you mean 'seed'?"
    )
    assert "seed: expected text, a number, a list or a mapping, got a value of type int64." in refusal(
        {"seed": np.int64(3)}
    )


def test_another_kind_of_spec_is_refused() -> None:
    assert refusal(DeploySpec()) == "the DeploySpec: 1 mistake\n  expected a LearnerSpec, got a DeploySpec."


@pytest.mark.parametrize(
    ("cls", "kind"), [(DataSpec, "data"), (ModelSpec, "model"), (LearnerSpec, "learner"), (DeploySpec, "deploy")]
)
def test_what_a_spec_dumps_is_loaded_back(cls: type[FileSpec], kind: str) -> None:
    paths = sorted(EXAMPLES.rglob(f"*.{kind}.yaml"))
    assert paths
    for path in paths:
        spec = load_spec(cls, path)
        for dump in (spec.model_dump(mode="json"), spec.model_dump(), spec.model_dump(exclude_unset=True)):
            assert load_spec(cls, dump).model_dump() == spec.model_dump()
