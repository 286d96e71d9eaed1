"""The runtime that lies in every bundle: decoding, answers, and what it refuses."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from jumpml.data import Column, DataLoaders
from jumpml.deploy import BundleError, Predictor, _runtime, read_rows, stream_rows
from jumpml.deploy._runtime import decide, decoder_of
from jumpml.deploy._runtime import decode as decode_by
from jumpml.graph import decide as decide_in_torch
from jumpml.graph import probabilities

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from conftest import Deployed

FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)
ROWS = 6
SPLITS = {"train": torch.arange(2), "val": torch.arange(2, 4), "test": torch.arange(4, ROWS)}


def decode(field: str, how: dict[str, Any], values: list[Any]) -> np.ndarray:
    return decode_by(field, decoder_of(how), values)


def round_trip(column: Column) -> None:
    """What a user would send of a column decodes to the very same bits."""
    loaders = DataLoaders({"x": column}, SPLITS)
    for split in SPLITS:
        raw = loaders.raw(split, [0, 1])
        sent = json.loads(json.dumps([row["x"] for row in raw]))
        decoded = decode("x", loaders.decoding()["x"], sent)
        expected = getattr(loaders, split).decoded("x").numpy()
        assert decoded.dtype == expected.dtype
        np.testing.assert_array_equal(decoded, expected)


@settings(max_examples=30)
@given(st.lists(FLOATS | st.just(float("nan")), min_size=ROWS, max_size=ROWS))
def test_numbers_decode_as_the_data_layer_decodes(values: list[float]) -> None:
    round_trip(Column(torch.tensor(values).reshape(ROWS, 1), "number"))


@settings(max_examples=30)
@given(
    codes=st.lists(st.integers(-1, 2), min_size=ROWS, max_size=ROWS),
    names=st.lists(st.text(), min_size=3, max_size=3, unique=True),
)
def test_categories_decode_as_the_data_layer_decodes(codes: list[int], names: list[str]) -> None:
    round_trip(Column(torch.tensor(codes), "category", classes=tuple(names)))


@settings(max_examples=30)
@given(
    values=st.lists(st.floats(0, 1, width=32), min_size=4 * ROWS, max_size=4 * ROWS),
    low=st.integers(-300, 300),
    width=st.integers(1, 70000),
)
def test_images_decode_as_the_data_layer_decodes(values: list[float], low: int, width: int) -> None:
    levels = torch.tensor(values).mul(width).round().double().div(width).float()  # a picture's whole numbers
    round_trip(Column(levels.reshape(ROWS, 1, 2, 2), "image", range=(float(low), float(low + width))))


@settings(max_examples=30)
@given(st.lists(FLOATS, min_size=3 * ROWS, max_size=3 * ROWS))
def test_tensors_decode_as_the_data_layer_decodes(values: list[float]) -> None:
    round_trip(Column(torch.tensor(values).reshape(ROWS, 3), "tensor"))


def test_the_round_trip_can_fail() -> None:
    with pytest.raises(AssertionError):
        np.testing.assert_array_equal(decode("x", {"kind": "number"}, [1.0]), np.array([[2.0]], np.float32))


IMAGE = {"kind": "image", "shape": [1, 2, 2], "range": [0, 16]}
TENSOR = {"kind": "tensor", "shape": [2]}
NUMBER = {"kind": "number", "shape": [1]}


@pytest.mark.parametrize("value", [[[[0, 4], [8, 16]]], [[0, 4], [8, 16]], [0, 4, 8, 16], "[0, 4, 8, 16]"])
def test_a_picture_may_come_in_any_of_its_shapes(value: Any) -> None:
    np.testing.assert_array_equal(decode("x", IMAGE, [value])[0], [[[0, 0.25], [0.5, 1]]])


@pytest.mark.parametrize(
    ("how", "value", "problem"),
    [
        (NUMBER, "many", "expected a number, got 'many'."),
        (NUMBER, [1, 2], "expected a number, got shape [2]."),
        (NUMBER, "nan", "expected numbers that are finite, got nan."),
        (NUMBER, float("inf"), "expected numbers that are finite, got inf."),
        (NUMBER, 1e39, "expected numbers that are finite, got 1e+39."),
        (NUMBER, {"a": 1}, "expected a number, got {'a': 1}."),
        (TENSOR, [1, None], "expected numbers that are finite, got nan."),
        (TENSOR, [[1, 2, 3]], "expected numbers of shape [2], got shape [1, 3]."),
        (TENSOR, [[1], [2, 3]], "expected numbers of shape [2], got [[1], [2, 3]]."),
        (TENSOR, None, "expected a value; this model cannot do without."),
        (TENSOR, "1 2", "expected a list of numbers as JSON, got '1 2'."),
        (IMAGE, [0, 1, 2, 17], "expected numbers in [0, 16], got 17."),
        (IMAGE, [0, 1, 2, float("nan")], "expected numbers in [0, 16], got nan."),
    ],
)
def test_a_value_that_cannot_be_is_told_with_its_row(how: dict[str, Any], value: Any, problem: str) -> None:
    good = {"number": 1, "tensor": [1, 2], "image": [0, 0, 0, 0]}[how["kind"]]
    with pytest.raises(BundleError) as error:
        decode("x", how, [good, value])
    assert str(error.value) == f"row 1, field 'x': {problem}"


@given(kind=st.sampled_from(["multiclass", "binary"]), seed=st.integers(0, 1000))
def test_answers_are_torch_s(kind: str, seed: int) -> None:
    output = torch.randn(5, 3 if kind == "multiclass" else 1, generator=torch.Generator().manual_seed(seed)) * 5
    names = ["a", "b", "c"] if kind == "multiclass" else ["no", "yes"]
    answers = decide({"kind": kind, "classes": names}, output.numpy())
    assert [answer["prediction"] for answer in answers] == [
        names[code] for code in decide_in_torch(kind, output).tolist()
    ]
    chances = probabilities(kind, output)
    last = [answer["probability"][names[-1]] for answer in answers]
    np.testing.assert_allclose(last, chances[:, -1] if kind == "multiclass" else chances, rtol=1e-5, atol=1e-7)


def test_regression_answers_in_the_output_s_shape() -> None:
    assert decide({"kind": "regression"}, np.array([[1.5]], np.float32)) == [{"prediction": 1.5}]
    assert decide({"kind": "regression"}, np.array([[1.5, 2]], np.float32)) == [{"prediction": [1.5, 2.0]}]


@settings(max_examples=30)
@given(st.lists(st.floats(-30, 30, width=32), min_size=6, max_size=6))
def test_classes_in_an_order_are_answered_as_in_torch(values: list[float]) -> None:
    logits = np.array(values, np.float32).reshape(2, 3)
    answers = decide({"kind": "ordinal", "classes": list("abcd")}, logits)
    output = torch.from_numpy(logits)
    chances = probabilities("ordinal", output.double())
    assume(bool(((chances.cumsum(1) - 0.5).abs() > 1e-6).all()))  # at a tie rounding decides
    assert [answer["prediction"] for answer in answers] == ["abcd"[code] for code in decide_in_torch("ordinal", output)]
    stated = np.array([list(answer["probability"].values()) for answer in answers])
    np.testing.assert_allclose(stated, chances, rtol=1e-6, atol=1e-12)


def test_numbers_are_answered_by_name_with_their_interval_and_in_raw_units() -> None:
    body = {"kind": "regression", "shape": [2], "columns": ["height", "mass"], "quantiles": [0.1, 0.5, 0.9]}
    crossed = np.array([[[3.0, 1.0, 2.0], [40.0, 60.0, 50.0]]], np.float32)
    assert decide(body, crossed) == [
        {
            "prediction": {"height": 2.0, "mass": 50.0},
            "low": {"height": 1.0, "mass": 40.0},
            "high": {"height": 3.0, "mass": 60.0},
        }
    ]
    one = {"kind": "regression", "shape": [1], "quantiles": [0.1, 0.5, 0.9]}
    assert decide(one, crossed[:, :1]) == [{"prediction": 2.0, "low": 1.0, "high": 3.0}]
    picture = {"kind": "reconstruction", "shape": [1, 1, 2], "range": [0, 16]}
    assert decide(picture, np.array([[[[0.5, 1.0]]]], np.float32)) == [{"prediction": [[[8.0, 16.0]]]}]


def test_a_number_is_no_text() -> None:
    how = {"kind": "text", "shape": [3], "dtype": "int64"}
    with pytest.raises(BundleError) as error:
        decode("message", how, [[1, 2, 3], 5])
    assert str(error.value) == "row 1, field 'message': expected a text, or its 3 token ids, got 5."


def test_an_output_that_is_not_finite_is_refused() -> None:
    with pytest.raises(BundleError) as error:
        decide({"kind": "regression"}, np.array([[1.0], [np.nan]], np.float32))
    assert str(error.value) == "row 1: the model's output is not finite; its input may be far too large."


# --- a whole bundle ---------------------------------------------------------------------------------------------------


def test_rows_that_cannot_be(digits_deployed: Deployed) -> None:
    predictor = Predictor(digits_deployed.deployment.bundle)
    for rows, text in [
        ([{"picture": []}], "row 0: the field 'image' is not there (null stands for missing). There is: picture."),
        ([{}], "row 0: the field 'image' is not there (null stands for missing). There is: nothing."),
        (["image"], "row 0: expected an object with the model's fields, got 'image'."),
    ]:
        with pytest.raises(BundleError) as error:
            predictor.predict(rows)  # type: ignore[arg-type]
        assert str(error.value) == text
    assert predictor.predict([]) == []


def test_an_unknown_variant_is_told_with_those_that_there_are(digits_deployed: Deployed) -> None:
    bundle = digits_deployed.deployment.bundle
    with pytest.raises(BundleError) as error:
        Predictor(bundle, "int4")
    assert str(error.value) == f"{bundle}: there is no variant 'int4'. There is: float32, int8, slim."


def test_missing_and_unknown_values_predict(table_deployed: Deployed) -> None:
    predictor = Predictor(table_deployed.deployment.bundle)
    row = {"age": None, "sex": None, "signal": [0.0, 1.0, 2.0]}
    known, unknown = predictor.predict([row, {**row, "sex": "femal"}])
    assert unknown.pop("@unknown") == {"sex": "femal"}
    assert known == unknown, "an unknown category counts as missing"
    assert set(known) == {"cost", "ill", "class"}
    assert set(known["class"]["probability"]) == {"a", "b", "c"}
    assert isinstance(known["cost"]["prediction"], float)
    assert known["cost"]["prediction"] > 500, "in the target's own units, about 1200, and not standardized"


def test_a_foreign_row_is_told(digits_deployed: Deployed) -> None:
    predictor = Predictor(digits_deployed.deployment.bundle)
    loaders = digits_deployed.loaders
    familiar = predictor.predict(loaders.raw("test", range(len(loaders.test.rows))))
    share = sum(answer["digit"]["out_of_domain"] for answer in familiar) / len(familiar)
    assert 0.01 < share < 0.15, "about .05 by construction: 95% of the validation rows lie below the threshold"
    checkers = (np.indices((8, 8)).sum(0) % 2 * 16).tolist()
    assert predictor.predict([{"image": checkers}])[0]["digit"]["out_of_domain"]


@pytest.mark.parametrize(
    ("name", "text", "rows"),
    [
        ("r.json", '[{"a": 1}]', [{"a": 1}]),
        ("r.json", '{"a": 1}', [{"a": 1}]),
        ("r.jsonl", '{"a": 1}\n\n{"a": null}\n', [{"a": 1}, {"a": None}]),
        ("r.csv", "\ufeffa, b\n1 , x\n\n,NA\n", [{"a": "1", "b": "x"}, {"a": None, "b": None}]),
    ],
)
def test_rows_from_a_file(tmp_path: Path, name: str, text: str, rows: list[dict[str, Any]]) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert read_rows(tmp_path / name) == rows


@pytest.mark.parametrize(
    ("name", "lines", "problem"),
    [
        ("r.csv", ["a", *map(str, range(10_000)), "1,2"], "row 10000: expected 1 values as in the header, got 2."),
        (
            "r.jsonl",
            [*(json.dumps({"a": str(row)}) for row in range(10_000)), "{"],
            "this is no jsonl file of UTF-8 text: ",
        ),
    ],
)
def test_rows_are_read_as_they_are_asked_for(tmp_path: Path, name: str, lines: list[str], problem: str) -> None:
    (tmp_path / name).write_text("\n".join(lines))
    rows = stream_rows(tmp_path / name)
    assert [next(rows)["a"] for _ in range(3)] == ["0", "1", "2"]
    with pytest.raises(BundleError) as error:
        list(rows)
    assert str(error.value).startswith(f"{tmp_path / name}: {problem}")


def test_a_line_of_json_ends_where_json_says_so(tmp_path: Path) -> None:
    (tmp_path / "r.jsonl").write_text('{"a": "one\u2028line\x85still"}\r\n{"a": 1}', encoding="utf-8", newline="")
    assert read_rows(tmp_path / "r.jsonl") == [{"a": "one\u2028line\x85still"}, {"a": 1}]


def test_answers_come_as_the_rows_do(digits_deployed: Deployed) -> None:
    predictor = Predictor(digits_deployed.deployment.bundle)
    row, taken = digits_deployed.loaders.raw("test", [0])[0], 0

    def coming() -> Iterator[dict[str, Any]]:
        nonlocal taken
        for taken in range(1, 1001):
            yield row if taken <= 500 else {}

    answers = predictor.stream(coming())
    first = next(answers)
    assert taken == _runtime.BATCH
    assert first["digit"]["prediction"] == predictor.predict([row])[0]["digit"]["prediction"]
    with pytest.raises(BundleError, match="row 500: the field 'image' is not there"):
        list(answers)
    assert list(predictor.stream(iter([]))) == []


def test_a_csv_file_says_what_is_missing_as_in_training(tmp_path: Path, digits_deployed: Deployed) -> None:
    (tmp_path / "r.csv").write_text("a,b\nNA,-\n")
    assert read_rows(tmp_path / "r.csv", ("-",)) == [{"a": "NA", "b": None}]
    predictor = Predictor(digits_deployed.deployment.bundle)
    assert predictor.manifest["missing"] == list(digits_deployed.loaders.missing_texts)
    predictor.manifest["missing"] = ["-"]
    assert predictor.missing == ("-",)
    del predictor.manifest["missing"]  # as in a bundle of an older version
    assert predictor.missing == ("", "NA", "NaN", "nan", "null", "?")


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("r.csv", b"a,b\n1,2\n3\n", "row 1: expected 2 values as in the header, got 1."),
        ("r.json", b"[1,", "this is no json file of UTF-8 text: Expecting value: line 1 column 4 (char 3)."),
        ("r.jsonl", b"\xff", "this is no jsonl file of UTF-8 text: 'utf-8' codec can't decode byte 0xff in position 0"),
        ("r.txt", b"", "expected a file that ends in .json, .jsonl or .csv, got '.txt'."),
        ("r", b"", "expected a file that ends in .json, .jsonl or .csv, got 'no ending'."),
        ("none.json", None, "the file cannot be read: No such file or directory."),
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, name: str, content: bytes | None, problem: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(BundleError) as error:
        read_rows(tmp_path / name)
    assert str(error.value).startswith(f"{tmp_path / name}: {problem}")


# --- alone ------------------------------------------------------------------------------------------------------------

ALONE = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"jumpml", "torch", "onnx", "sklearn", "pydantic"}:
            raise ImportError(f"{name} is blocked")
sys.meta_path.insert(0, Block())
import runpy
script, *sys.argv = sys.argv[1:2] + sys.argv[1:]
runpy.run_path(script, run_name="__main__")
"""


def alone(bundle: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a bundle's runtime.py where neither JumpML nor torch can be imported."""
    command = [sys.executable, "-I", "-c", ALONE, str(bundle / "runtime.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def test_the_runtime_needs_neither_jumpml_nor_torch(bundle: Path, digits_deployed: Deployed, tmp_path: Path) -> None:
    rows = digits_deployed.loaders.raw("test", [0, 1, 2])
    (tmp_path / "rows.json").write_text(json.dumps(rows), encoding="utf-8")
    done = alone(bundle, str(tmp_path / "rows.json"), "--variant", "int8")
    assert done.returncode == 0, done.stderr
    assert [json.loads(line) for line in done.stdout.splitlines()] == Predictor(bundle, "int8").predict(rows)
    checked = alone(bundle, "--check")
    assert checked.returncode == 0, checked.stderr
    assert checked.stdout.startswith("float32: the golden outputs differ by at most ")


def test_the_block_blocks() -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-c", ALONE.replace("import runpy", "import torch"), "x", "y"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "torch is blocked" in done.stderr


def test_a_mistake_is_told_in_one_line(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "rows.json").write_text('[{"image": "?"}]', encoding="utf-8")
    done = alone(bundle, str(tmp_path / "rows.json"))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "error: row 0, field 'image': expected a list of numbers as JSON, or a file; "
        "the path '?' cannot be read: No such file or directory.\n"
    )
    with pytest.raises(SystemExit):
        _runtime.main([])
    assert "give a file of rows, or --check" in capsys.readouterr().err
