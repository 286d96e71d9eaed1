"""Predict with a JumpML bundle, by NumPy and ONNX Runtime alone; this very file lies in every bundle as ``runtime.py``.

    python runtime.py rows.json                    one JSON object a row
    python runtime.py rows.csv --variant int8
    python runtime.py --check                      predict the golden rows again and compare

    from runtime import Predictor
    Predictor("path/to/bundle").predict([{"age": 41, "sex": "female"}])

A row holds the model's input fields as its author wrote them down, before any scaling: an image's raw values, a
category's name, a number or null. The answer holds, by task, the ``prediction``, the ``probability`` of each class, and
whether the row is ``out_of_domain``: farther from the train rows than 95% of the validation rows were, by the
Mahalanobis ``distance`` of its embedding. A category that the model does not know counts as missing and is told under
``@unknown``.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

FORMAT = 1
SUMS = "SHA256SUMS"
BATCH = 256  # rows that the model is given at a time


@final
class BundleError(Exception):
    """The bundle cannot be trusted, or a row is not what its model asks for."""


@final
class SealedFiles:
    """A bundle's files, each of which must be the one that was sealed into `SUMS`.

    Args:
        folder: The bundle.

    Raises:
        BundleError: A file is missing, changed, or lies outside the folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._sums = dict(map(self._entry, self._open(SUMS).decode("utf-8", "replace").removesuffix("\n").split("\n")))
        for name in self._sums:
            self.read(name)

    def read(self, name: str) -> bytes:
        """A file's content."""
        if name not in self._sums:
            raise self._error(f"{name!r} is used but not listed in {SUMS}, so nobody vouches for it")
        content = self._open(name)
        if hashlib.sha256(content).hexdigest() != self._sums[name]:
            raise self._error(f"{name!r} has changed since the bundle was sealed: its SHA-256 checksum is another")
        return content

    @property
    def names(self) -> tuple[str, ...]:
        """The files."""
        return tuple(self._sums)

    def json(self, name: str) -> Any:
        """A JSON file's value."""
        return json.loads(self.read(name))

    def _entry(self, line: str) -> tuple[str, str]:
        digest, gap, name = line[:64], line[64:66], line[66:]
        if gap != "  " or not name or set(digest) - set("0123456789abcdef"):
            raise self._error(f"{SUMS} is damaged: expected 'checksum  name' on each line, got {line!r}")
        return name, digest

    def _open(self, name: str) -> bytes:
        pure, root = PurePosixPath(name), self._folder.resolve()
        path = (root / pure).resolve()
        if pure.is_absolute() or ".." in pure.parts or "\\" in name or not path.is_relative_to(root):
            raise self._error(f"{name!r} leads out of the bundle's folder")
        try:
            return path.read_bytes()
        except OSError as error:
            raise self._error(f"{name!r} cannot be read: {error.strerror}") from None

    def _error(self, problem: str) -> BundleError:
        return BundleError(f"{self._folder}: {problem}. Do not use this bundle; get it again from where it came from.")


def decode(field: str, how: Mapping[str, Any], values: Sequence[Any]) -> NDArray:
    """One field's raw values as the tensor that the model reads.

    Args:
        field: Its name, for errors.
        how: The manifest's entry: ``kind``, and what that kind needs.
        values: One a row.

    Returns:
        number: float32 ``[rows, 1]``, NaN where missing; category: int64 ``[rows]``, -1 where missing or unknown;
        image: float32 ``[rows, channels, height, width]`` in [0, 1]; tensor: float32 ``[rows, *shape]``.

    Raises:
        BundleError: A value is not what the field asks for; the text names the row.
    """
    if how["kind"] == "category":
        codes = {name: code for code, name in enumerate(how["classes"])}
        return np.array([-1 if _is_missing(value) else codes.get(_name(value), -1) for value in values], dtype=np.int64)
    shape = [1] if how["kind"] == "number" else how["shape"]
    decoded = np.empty((len(values), *shape), dtype=np.float32)
    for row, value in enumerate(values):
        try:
            decoded[row] = _numbers(value, how, shape)
        except (ValueError, TypeError, OverflowError) as error:
            raise BundleError(f"row {row}, field {field!r}: {error}") from None
    return decoded


def _numbers(value: Any, how: Mapping[str, Any], shape: Sequence[int]) -> NDArray:
    number = how["kind"] == "number"
    if number and _is_missing(value):
        return np.full(1, np.nan)
    array = _array(_parsed(value) if isinstance(value, str) and not number else value, shape)
    low, high = how.get("range") or (-math.inf, math.inf)
    with np.errstate(over="ignore"):
        inside = np.isfinite(array.astype(np.float32)) & (array >= low) & (array <= high)
    if not inside.all():
        told = f"in [{low:g}, {high:g}]" if "range" in how else "that are finite"
        raise ValueError(f"expected numbers {told}, got {array[~inside][0]:g}.")
    return (array - low) / (high - low) if "range" in how else array


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        raise ValueError(f"expected a list of numbers as JSON, got {text[:60]!r}.") from None


def _array(value: Any, shape: Sequence[int]) -> NDArray:
    """The value as float64 of that shape; flat is taken, as is a picture without its single channel."""
    expected = "a number" if list(shape) == [1] else f"numbers of shape {list(shape)}"
    try:
        array = np.asarray(value, dtype=np.float64)
    except (ValueError, TypeError, OverflowError):
        text = repr(value)
        raise ValueError(f"expected {expected}, got {text[:60]}{'...' * (len(text) > 60)}.") from None
    squeezed = list(shape[1:]) if len(shape) == 3 and shape[0] == 1 else list(shape)
    if list(array.shape) in (list(shape), squeezed, [math.prod(shape)]) or array.size == 1 == math.prod(shape):
        return array.reshape(shape)
    raise ValueError(f"expected {expected}, got shape {list(array.shape)}.")


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float | np.floating) and math.isnan(value))


def _name(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


@final
class Predictor:
    """A bundle, ready to predict.

    Args:
        folder: The bundle.
        variant: Which form of the model answers; the manifest's default, ``float32``, where None.

    Raises:
        BundleError: The bundle is damaged, of another format, or has no such variant.

    Example:
        ``Predictor("bundles/digits", "int8").predict(read_rows(Path("rows.json")))``
    """

    def __init__(self, folder: str | Path, variant: str | None = None) -> None:
        self._files = SealedFiles(Path(folder))
        self.manifest = self._files.json("manifest.json")
        if self.manifest["format"] != FORMAT:
            raise BundleError(
                f"{folder}: expected a bundle of format {FORMAT}, got format {self.manifest['format']!r}."
            )
        variants = self.manifest["variants"]
        self.variant = self.manifest["default"] if variant is None else variant
        if self.variant not in variants:
            raise BundleError(f"{folder}: there is no variant {self.variant!r}. There is: {', '.join(variants)}.")
        self._how = variants[self.variant]
        self._session = _session(self._files.read(self._how["file"]))
        with np.load(io.BytesIO(self._files.read(self._how["spread"])), allow_pickle=False) as arrays:
            self._spread = dict(arrays)

    def predict(self, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Answer rows.

        Args:
            rows: Raw values by input field; other keys are not read.

        Returns:
            For each row, by task: ``prediction`` (a class's name, or a number), ``probability`` (by class, for tasks
            that have classes), and where the bundle can tell ``out_of_domain`` and ``distance``. A row with categories
            that the model does not know also has ``@unknown``, those values by field.

        Raises:
            BundleError: A row lacks a field or holds a value that the field cannot have.
        """
        if not rows:
            return []
        outputs = self.outputs(rows)
        answers: list[dict[str, Any]] = [self._unknown(row) for row in rows]
        for task, how in self.manifest["tasks"].items():
            decided = decide(how, outputs[f"{task}.output"])
            for answer, said, foreign in zip(answers, decided, self._foreign(task, outputs), strict=True):
                answer[task] = said | foreign
        return answers

    def outputs(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, NDArray]:
        """What the model itself gives for one row or more: ``<task>.output`` (logits or numbers), ``<task>.embedding``.

        Raises:
            BundleError: As `predict`.
        """
        inputs = self.manifest["inputs"]
        feed = {field: decode(field, inputs[field], _values(rows, field)) for field in self._how["inputs"]}
        names = [output.name for output in self._session.get_outputs()]
        batches = [
            self._session.run(names, {field: values[start : start + BATCH] for field, values in feed.items()})
            for start in range(0, len(rows), BATCH)
        ]
        return {name: np.concatenate(parts) for name, parts in zip(names, zip(*batches, strict=True), strict=True)}

    def check_golden(self) -> float:
        """Predict the golden rows again and compare with what was predicted where the bundle was made.

        Returns:
            The largest absolute difference of an output.

        Raises:
            BundleError: An output differs by more than the variant's tolerance, or reads as another prediction.
        """
        golden = self._files.json("golden.json")
        expected = golden["variants"][self.variant]
        got, worst = self.outputs(golden["rows"]), 0.0
        for task, how in self.manifest["tasks"].items():
            outputs, allowed = np.array(expected["outputs"][task], dtype=np.float32), expected["tolerance"][task]
            apart = float(np.abs(got[f"{task}.output"] - outputs).max())
            # Read from the expected outputs, so that a tie which tips within the tolerance is no failure.
            same = [answer["prediction"] for answer in decide(how, outputs)] == expected["predictions"][task]
            if not (same and apart <= allowed):
                raise BundleError(
                    f"the variant {self.variant!r} does not predict {task!r} here as it did where the bundle was made: "
                    f"outputs differ by {apart:.3g}, where {allowed:.3g} is allowed. Try another version of ONNX "
                    f"Runtime; the bundle was made with {self.manifest['versions']['onnxruntime']}."
                )
            worst = max(worst, apart)
        return worst

    def _foreign(self, task: str, outputs: Mapping[str, NDArray]) -> list[dict[str, Any]]:
        """How far each row's embedding is from the train rows' (Mahalanobis), and whether that is too far."""
        if task not in self._how["out_of_domain"]:
            return [{} for _ in outputs[f"{task}.output"]]
        offset = outputs[f"{task}.embedding"].astype(np.float64) - self._spread[f"{task}.mean"]
        squared = ((offset @ self._spread[f"{task}.precision"]) * offset).sum(axis=1)
        threshold = self._how["out_of_domain"][task]["threshold"]
        distances = np.sqrt(np.maximum(squared, 0)).tolist()
        return [{"out_of_domain": distance > threshold, "distance": distance} for distance in distances]

    def _unknown(self, row: Mapping[str, Any]) -> dict[str, Any]:
        read = {field: self.manifest["inputs"][field] for field in self._how["inputs"]}
        categories = [field for field, how in read.items() if how["kind"] == "category" and not _is_missing(row[field])]
        unknown = {field: row[field] for field in categories if _name(row[field]) not in read[field]["classes"]}
        return {"@unknown": unknown} if unknown else {}


def decide(how: Mapping[str, Any], output: NDArray) -> list[dict[str, Any]]:
    """A task's raw outputs as answers.

    Args:
        how: The manifest's entry: ``kind`` and, where it has them, ``classes``.
        output: ``[rows, classes]`` logits; ``[rows]`` or ``[rows, 1]`` logits of the second class; or numbers
            ``[rows, *]``.

    Raises:
        BundleError: An output is not finite.
    """
    finite = np.isfinite(output.reshape(len(output), -1)).all(axis=1)
    if not finite.all():
        raise BundleError(
            f"row {int(np.argmin(finite))}: the model's output is not finite; its input may be far too large."
        )
    if how["kind"] == "regression":
        return [{"prediction": value.item() if value.size == 1 else value.tolist()} for value in output]
    logits = output.astype(np.float64)
    if how["kind"] == "binary":  # a sigmoid is the softmax over zero and the logit
        logits = np.stack([np.zeros(len(logits)), logits.reshape(-1)], axis=1)
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = odds / odds.sum(axis=1, keepdims=True)
    names = how["classes"]
    return [
        {"prediction": names[code], "probability": dict(zip(names, row.tolist(), strict=True))}
        for code, row in zip(logits.argmax(axis=1), probabilities, strict=True)
    ]


def _values(rows: Sequence[Mapping[str, Any]], field: str) -> list[Any]:
    for number, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise BundleError(f"row {number}: expected an object with the model's fields, got {str(row)[:60]!r}.")
        if field not in row:
            there = ", ".join(map(str, row)) or "nothing"
            raise BundleError(
                f"row {number}: the field {field!r} is not there (null stands for missing). There is: {there}."
            )
    return [row[field] for row in rows]


def _session(model: bytes) -> Any:
    try:
        import onnxruntime
    except ImportError:
        raise BundleError("a bundle runs in ONNX Runtime, which is not installed: pip install onnxruntime") from None
    return onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Rows from a file: ``.json`` (one row or a list), ``.jsonl`` (a row a line) or ``.csv`` (with a header line).

    Raises:
        BundleError: The file cannot be read as its ending says.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix == ".csv":
            return _read_csv(path, text)
        if path.suffix == ".jsonl":
            return [json.loads(line) for line in text.splitlines() if line.strip()]
        if path.suffix == ".json":
            rows = json.loads(text)
            return rows if isinstance(rows, list) else [rows]
    except OSError as error:
        raise BundleError(f"{path}: the file cannot be read: {error.strerror}.") from None
    except (ValueError, csv.Error) as error:
        raise BundleError(f"{path}: this is no {path.suffix[1:]} file of UTF-8 text: {error}.") from None
    raise BundleError(
        f"{path}: expected a file that ends in .json, .jsonl or .csv, got {path.suffix or 'no ending'!r}."
    )


def _read_csv(path: Path, text: str) -> list[dict[str, Any]]:
    """Spaces around a value are no part of it, and nothing stands for missing."""
    records = [record for record in csv.reader(io.StringIO(text, newline="")) if record]
    header = [name.strip() for name in records[0]] if records else []
    for number, record in enumerate(records[1:]):
        if len(record) != len(header):
            raise BundleError(
                f"{path}: row {number}: expected {len(header)} values as in the header, got {len(record)}."
            )
    return [dict(zip(header, (cell.strip() or None for cell in record), strict=True)) for record in records[1:]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Answer the rows of a file, or check the bundle; returns the exit code."""
    parser = argparse.ArgumentParser(description="Predict with the bundle that this file lies in.")
    parser.add_argument("rows", nargs="?", type=Path, help="a .json, .jsonl or .csv file of raw input fields")
    parser.add_argument("--variant", help="which form of the model answers; float32 where it is left out")
    parser.add_argument("--check", action="store_true", help="predict the golden rows again and compare")
    options = parser.parse_args(arguments)
    if options.check == (options.rows is not None):
        parser.error("give a file of rows, or --check")
    try:
        predictor = Predictor(Path(__file__).parent, options.variant)
        if options.check:
            print(f"{predictor.variant}: the golden outputs differ by at most {predictor.check_golden():.3g}")
        else:
            for answer in predictor.predict(read_rows(options.rows)):
                print(json.dumps(answer, ensure_ascii=False))
    except BundleError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
