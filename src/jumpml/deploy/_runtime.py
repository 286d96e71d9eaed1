"""Predict with a JumpML bundle, by NumPy and ONNX Runtime alone; this very file lies in every bundle as ``runtime.py``.

    python runtime.py rows.json                    one JSON object a row
    python runtime.py rows.csv --variant int8
    python runtime.py --check                      predict the golden rows again and compare

    from runtime import Predictor
    Predictor("path/to/bundle").predict([{"age": 41, "sex": "female"}])

A row holds the model's input fields as its author wrote them down, before any scaling: an image's raw values, a
category's name, a text, a number or null. A picture or a sound can also be a file's content as ``data:;base64,...``, or
its path where ``files`` names a folder; a table's columns can stand in the row itself. The answer holds, by task, the
``prediction`` (a class's name, a list of labels, or numbers), the ``probability`` of each class, and whether the row is
``out_of_domain``: farther from the train rows than 95% of the validation rows were, by the Mahalanobis ``distance`` of
its embedding. Where a class is decided at each pixel the ``prediction`` is a map of codes into ``classes``, at each
token a list of names beside the ``tokens``; a language model answers with the next token, the ``probability`` of the
likeliest ones, and the ``log_likelihood`` of each token after the first. A category that the model does not know counts
as missing and is told under ``@unknown``.
"""

from __future__ import annotations

import argparse
import base64
import csv
import hashlib
import heapq
import io
import json
import math
import re
import sys
import unicodedata
import wave
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice, pairwise
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any, final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

FORMAT = 1
SUMS = "SHA256SUMS"
BATCH = 64  # rows that the model is given at a time, and whose outputs are held at once
LIKELIEST = 10  # next tokens that a language model's answer tells
PLACES, MOST = 16, 50_000  # positions of a row, and numbers in all, that golden outputs hold of positions
NOTHING = ("", "NA", "NaN", "nan", "null", "?")  # what a cell of a csv file says where a value is missing, unless told


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
        if not folder.is_dir():
            raise BundleError(f"{folder}: there is no such folder; a run's bundles lie in its folder bundles/.")
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


Decoder = Callable[[Any], "NDArray"]


_ABSENT = {
    "category": -1,
    "mask": -1,
    "token_labels": -1,
    "date": np.iinfo(np.int64).min,
}  # what stands for no value; else NaN


def decode(field: str, decoder: Decoder, values: Sequence[Any]) -> NDArray:
    """One field's raw values as the tensor that the model reads.

    Args:
        field: Its name, for errors.
        decoder: From `decoder_of`.
        values: One a row.

    Returns:
        ``[rows, ...]``: number: float32 ``[1]``, NaN where missing; category: int64, -1 where missing or unknown;
        multilabel: float32 ``[classes]`` of 0 and 1; date: int64, seconds since 1970 in UTC; image: float32
        ``[channels, height, width]`` in [0, 1]; mask: int64 ``[height, width]``; audio: float32
        ``[channels, samples]``; series: float32 ``[steps, channels]``; text: int64 ``[length]``; tensor: float32 of
        its shape; table: float32 ``[columns]``.

    Raises:
        BundleError: A value is not what the field asks for; the text names the row.
    """
    decoded = []
    for row, value in enumerate(values):
        try:
            decoded.append(decoder(value))
        except (ValueError, TypeError, OverflowError) as error:
            raise BundleError(f"row {row}, field {field!r}: {error}") from None
    return np.stack(decoded)


def decoder_of(how: Mapping[str, Any], files: Path | None = None) -> Decoder:
    """What turns one raw value of a field into its part of the tensor.

    Args:
        how: The manifest's entry: ``kind``, and what that kind needs.
        files: The folder that paths of pictures and sounds start in; None refuses them, so that nobody who can send
            rows can make this machine open its files.
    """
    tool = Tokenizer(how["tokenizer"]) if "tokenizer" in how else files

    return lambda value: _decoded(value, how, tool)


def _decoded(value: Any, how: Mapping[str, Any], tool: Any = None) -> NDArray:
    """One value, or what stands for none where the model can take that."""
    if not _is_missing(value) or how["kind"] == "text":
        return _DECODERS[how["kind"]](value, how, tool)
    if not how.get("missing"):
        raise ValueError("expected a value; this model cannot do without.")
    return np.full(how["shape"], _ABSENT.get(how["kind"], np.nan), dtype=how["dtype"])


def _number(value: Any, how: Mapping[str, Any], _: Any) -> NDArray:
    return _finite(value, [1])


def _category(value: Any, how: Mapping[str, Any], _: Any) -> NDArray:
    name = _renamed(value, how)
    if name not in how["classes"] and not how.get("missing"):
        raise ValueError(f"expected one of the {len(how['classes'])} classes that the model knows, got {name[:60]!r}.")
    return np.array(how["classes"].index(name) if name in how["classes"] else -1, dtype=np.int64)


def _multilabel(value: Any, how: Mapping[str, Any], _: Any) -> NDArray:
    names = [_renamed(name, how) for name in _labels(value, how)]
    return np.array([float(name in names) for name in how["classes"]], dtype=np.float32)


def _date(value: Any, how: Mapping[str, Any], _: Any) -> NDArray:
    form = how.get("format")
    told = f"a date written as {form!r}" if form else "a date in ISO 8601, such as 2007-11-11"
    try:
        moment = datetime.strptime(value.strip(), form) if form else datetime.fromisoformat(value.strip())
    except (ValueError, AttributeError, TypeError):
        raise ValueError(f"expected {told}, got {value!r:.60}.") from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return np.array((moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1), dtype=np.int64)


def _tensor(value: Any, how: Mapping[str, Any], _: Any) -> NDArray:
    return _finite(_parsed(value), how["shape"])


def _image(value: Any, how: Mapping[str, Any], files: Path | None) -> NDArray:
    content = _content(value, files)
    if content is None:
        return _finite(_parsed(value), how["shape"], how["range"])
    return _finite(_picture(content, how["shape"]), how["shape"], how["range"])


def _mask(value: Any, how: Mapping[str, Any], files: Path | None) -> NDArray:
    content, shape = _content(value, files), how["shape"]
    codes = _array(_parsed(value), shape) if content is None else _picture(content, [0, *shape])
    unknown = np.isnan(codes) | (codes == how.get("ignore", np.nan))
    good = unknown | ((codes >= 0) & (codes < len(how["classes"])) & (codes % 1 == 0))
    if not good.all():
        raise ValueError(f"expected codes of the {len(how['classes'])} classes, got {codes[~good][0]:g}.")
    return np.where(unknown, -1, codes).astype(np.int64)


def _series(value: Any, how: Mapping[str, Any], _: Any) -> NDArray:
    values = _array(_parsed(value), how["shape"])
    with np.errstate(over="ignore"):
        decoded = values.astype(np.float32)
    if np.isinf(decoded).any():
        raise ValueError("expected numbers that are finite, or null where one is missing; got infinity.")
    if np.isnan(decoded).any() and not how.get("missing"):
        raise ValueError("expected a number for each step; this model cannot do without.")
    return decoded


def _audio(value: Any, how: Mapping[str, Any], files: Path | None) -> NDArray:
    content, (channels, samples) = _content(value, files), how["shape"]
    sound = _samples(_parsed(value)) if content is None else _sound(content, how["rate"])
    sound = sound[np.newaxis] if sound.ndim == 1 else sound
    if sound.ndim != 2 or (len(sound) != channels and (content is None or 1 not in (len(sound), channels))):
        raise ValueError(f"expected {channels} lists of samples, got shape {list(sound.shape)}.")
    if not np.abs(sound).max(initial=0) <= 1:
        raise ValueError(f"expected samples in [-1, 1], got {np.abs(sound).max():g}.")
    if channels == 1:
        sound = sound.astype(np.float64).mean(axis=0, keepdims=True)
    cut = np.broadcast_to(sound, (channels, sound.shape[1]))[:, :samples]
    return np.pad(cut, ((0, 0), (0, samples - cut.shape[1]))).astype(np.float32)


def _samples(value: Any) -> NDArray:
    try:
        return np.asarray(value, dtype=np.float64)
    except (ValueError, TypeError, OverflowError):
        raise ValueError(f"expected a list of samples, or equally long ones a channel, got {value!r:.60}.") from None


def _text(value: Any, how: Mapping[str, Any], tokenizer: Tokenizer | None) -> NDArray:
    (length,) = how["shape"]
    if tokenizer is not None and (value is None or isinstance(value, str)):
        return np.array(tokenizer.ids(value or "", length)[0], dtype=np.int64)
    if not isinstance(value, Sequence | np.ndarray):
        raise ValueError(f"expected a text, or its {length} token ids, got {value!r:.60}.")
    ids, size = _array(value, [length]), len(how["tokenizer"]["vocabulary"]) if "tokenizer" in how else math.inf
    if not ((ids >= 0) & (ids < size) & (ids % 1 == 0)).all():
        raise ValueError(f"expected token ids, which are whole numbers from 0{f' to {size - 1}' * (size < math.inf)}.")
    return ids.astype(np.int64)


def _token_labels(value: Any, how: Mapping[str, Any], _: Any) -> NDArray:
    names = value.split() if isinstance(value, str) else [None if name is None else _name(name) for name in value]
    unknown = [name for name in names if name is not None and name not in how["classes"]]
    if unknown:
        raise ValueError(f"expected one of the {len(how['classes'])} classes for each token, got {unknown[0]!r:.60}.")
    (length,) = how["shape"]
    codes = [-1 if name is None else how["classes"].index(name) for name in names[:length]]
    return np.array([*codes, *[-1] * (length - len(codes))], dtype=np.int64)


def _table(value: Any, how: Mapping[str, Any], _: Any) -> NDArray:
    value = _parsed(value)
    if not isinstance(value, Mapping):
        raise ValueError(f"expected an object with the table's columns, got {value!r:.60}.")
    numbers = []
    for name, column in how["columns"].items():
        if name not in value:
            there = ", ".join(map(str, value)) or "nothing"
            raise ValueError(f"the column {name!r} is not there (null stands for missing). There is: {there}.")
        try:
            number = _decoded(value[name], column)
        except ValueError as error:
            raise ValueError(f"column {name!r}: {error}") from None
        numbers.append(np.nan if column["kind"] == "category" and number < 0 else number.item())
    return np.array(numbers, dtype=np.float32)


_DECODERS: Mapping[str, Callable[[Any, Mapping[str, Any], Any], NDArray]] = {
    "number": _number,
    "category": _category,
    "multilabel": _multilabel,
    "date": _date,
    "image": _image,
    "mask": _mask,
    "audio": _audio,
    "series": _series,
    "text": _text,
    "token_labels": _token_labels,
    "tensor": _tensor,
    "table": _table,
}


def _finite(value: Any, shape: Sequence[int], ends: Sequence[float] | None = None) -> NDArray:
    """The value as float32 of that shape, its range made 0 to 1 where it has one."""
    array = _array(value, shape)
    low, high = ends or (-math.inf, math.inf)
    with np.errstate(over="ignore"):
        inside = np.isfinite(array.astype(np.float32)) & (array >= low) & (array <= high)
    if not inside.all():
        told = f"in [{low:g}, {high:g}]" if ends else "that are finite"
        raise ValueError(f"expected numbers {told}, got {array[~inside][0]:g}.")
    return ((array - low) / (high - low) if ends else array).astype(np.float32)


def _parsed(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        raise ValueError(f"expected a list of numbers as JSON, got {value[:60]!r}.") from None


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


# --- files ------------------------------------------------------------------------------------------------------------


def _content(value: Any, files: Path | None) -> bytes | None:
    """A file's bytes: themselves, in base64 as ``data:...;base64,...``, or at a path; None for lists of numbers."""
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str) or value.lstrip().startswith("["):
        return None
    head, comma, body = value.partition(",")
    if head.startswith("data:") and head.endswith(";base64") and comma:
        return base64.b64decode(body, validate=True)
    if files is None:
        raise ValueError("expected numbers, or a file as 'data:;base64,...'; paths are not opened here.")
    path = (files / value).resolve()
    if not path.is_relative_to(files.resolve()):
        raise ValueError(f"the path {value!r} leads out of the folder {str(files)!r}.")
    try:
        return path.read_bytes()
    except OSError as error:
        told = f"the path {value[:60]!r} cannot be read: {error.strerror}"
        raise ValueError(f"expected a list of numbers as JSON, or a file; {told}.") from None


def _picture(content: bytes, shape: Sequence[int]) -> NDArray:
    """A picture's raw values, converted to the channels and stretched; with 0 channels they stay as they are."""
    try:
        from PIL import Image, ImageOps
    except ImportError:
        raise ValueError("picture files need the package pillow: pip install pillow") from None
    channels, height, width = shape
    try:
        with Image.open(io.BytesIO(content)) as opened:
            if opened.width * opened.height > (Image.MAX_IMAGE_PIXELS or math.inf):
                raise ValueError(f"it has {opened.width} x {opened.height} pixels, far too many")
            image = ImageOps.exif_transpose(opened)
            modes = {1: "F"} if image.mode[0] in "IF" else {1: "L", 3: "RGB", 4: "RGBA"}
            if channels not in (modes if channels else {len(image.getbands()) - 1}):
                raise ValueError(f"expected {channels or 1} channels, and this picture is of mode {image.mode}")
            if channels:
                image = image.convert(modes[channels])
            if image.size != (width, height):
                image = image.resize((width, height), Image.Resampling["BILINEAR" if channels else "NEAREST"])
            pixels = np.asarray(image, dtype=np.float64)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"the picture cannot be read: {error}.") from None
    return pixels.reshape(height, width, channels).transpose(2, 0, 1) if channels else pixels.reshape(height, width)


def _sound(content: bytes, rate: int) -> NDArray:
    """A wav file's samples, ``[channels, samples]`` in [-1, 1]."""
    try:
        with wave.open(io.BytesIO(content)) as file:
            width, channels, got = file.getsampwidth(), file.getnchannels(), file.getframerate()
            told, samples = file.getnframes(), file.readframes(file.getnframes())
            frames = np.frombuffer(samples, dtype=np.uint8).reshape(-1, channels, width)
    except (wave.Error, EOFError, ValueError) as error:
        raise ValueError(f"expected a wav file of whole numbers: {error}.") from None
    if len(samples) < told * channels * width < 0x7FFFF000:  # which a writer says who does not know yet
        raise ValueError("expected a wav file of whole numbers: it ends before its samples do.")
    if width > 4:
        raise ValueError(f"expected a wav file of whole numbers of at most 32 bits, got {8 * width}.")
    if got != rate:
        raise ValueError(f"expected {rate} samples a second, got {got}. Convert the file first.")
    # Little-endian bytes at the upper end of an int32; a single byte is unsigned and means 128 less.
    whole = np.zeros((len(frames), channels, 4), dtype=np.uint8)
    whole[..., 4 - width :] = frames ^ 128 if width == 1 else frames
    return (whole.view("<i4")[..., 0].T / 2**31).astype(np.float32)


# --- text -------------------------------------------------------------------------------------------------------------

WORDS_KEPT = 100_000  # whose ids are remembered: a server must not grow with every word that it was ever sent


@final
class Tokenizer:
    """Text to token ids."""

    def __init__(self, how: Mapping[str, Any]) -> None:
        self._how = how
        self._ids = {token: number for number, token in enumerate(how["vocabulary"])}
        self._ranks = {tuple(pair): rank for rank, pair in enumerate(how.get("merges", ()))}
        self._unknown: int = how["unknown"]
        self._known: dict[str, list[int]] = {}

    def ids(self, text: str, length: int) -> tuple[list[int], bool]:
        """``length`` ids of a text, and whether it had more than fit."""
        start, end = self._how.get("start", []), self._how.get("end", [])
        room, found = length - len(start) - len(end), list[int]()
        for word in self.words(text):
            if len(found) > room:
                break
            found += self._word(word)
        whole = [*start, *found[:room], *end]
        return whole + [self._how["padding"]] * (length - len(whole)), len(found) > room

    def words(self, text: str) -> list[str]:
        """The parts that are looked up, each on its own."""
        how = self._how
        if how.get("clean"):
            text = _cleaned(text)
        if how.get("accents") is False:
            text = "".join(mark for mark in unicodedata.normalize("NFD", text) if unicodedata.category(mark) != "Mn")
        if how["lowercase"]:
            text = "".join(mark.lower() for mark in text)
        if how["split"] == "characters":
            return list(text)
        if how["split"] == "punctuation":
            return [part for word in text.split() for part in _at_punctuation(word)]
        return re.findall(how["split"], text)

    def _word(self, word: str) -> list[int]:
        found = self._known.get(word)
        if found is None:
            if len(self._known) >= WORDS_KEPT:
                self._known.clear()
            model = {"whole": self._whole, "bpe": self._merged, "wordpiece": self._pieces}[self._how["model"]]
            found = self._known[word] = model(word)
        return found

    def _whole(self, word: str) -> list[int]:
        return [self._ids.get(word, self._unknown)]

    def _merged(self, word: str) -> list[int]:
        """Byte pair encoding: of all neighbours the pair that was learned first becomes one, again and again.

        The pairs wait in a heap, so that a word of a million letters takes seconds and not days.
        """
        parts, following, before = list(word), [*range(1, len(word)), -1], [*range(-1, len(word) - 1)]
        waiting = [(self._ranks[pair], at) for at, pair in enumerate(pairwise(parts)) if pair in self._ranks]
        heapq.heapify(waiting)
        while waiting:
            rank, at = heapq.heappop(waiting)
            after = following[at]
            if after < 0 or self._ranks.get((parts[at], parts[after])) != rank:
                continue  # one of the two has become a part of something else
            parts[at], parts[after], following[at] = parts[at] + parts[after], "", following[after]
            if following[at] >= 0:
                before[following[at]] = at
            for left in (before[at], at):
                right = following[left] if left >= 0 else -1
                if right >= 0 and (found := self._ranks.get((parts[left], parts[right]))) is not None:
                    heapq.heappush(waiting, (found, left))
        return [self._ids.get(part, self._unknown) for part in parts if part]

    def _pieces(self, word: str) -> list[int]:
        """The longest known piece from the left, then the longest from there on; unknown where any is."""
        found, start = list[int](), 0
        while start < len(word) <= self._how["longest"]:
            prefix = self._how["prefix"] if start else ""
            ends = range(len(word), start, -1)
            end = next((end for end in ends if prefix + word[start:end] in self._ids), None)
            if end is None:
                return [self._unknown]
            found.append(self._ids[prefix + word[start:end]])
            start = end
        return found or [self._unknown]


def _cleaned(text: str) -> str:
    """No control characters, one kind of space, and spaces around Chinese characters."""
    marks = []
    for mark in text:
        if mark in "\t\n\r" or unicodedata.category(mark) == "Zs":
            marks.append(" ")
        elif unicodedata.category(mark) not in {"Cc", "Cf", "Co"} and mark != "\ufffd":
            marks.append(f" {mark} " if _is_chinese(ord(mark)) else mark)
    return "".join(marks)


def _is_chinese(code: int) -> bool:
    blocks = ((0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F))
    more = ((0x2B820, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F))
    return any(low <= code <= high for low, high in (*blocks, *more))


def _at_punctuation(word: str) -> list[str]:
    """A word's parts, each punctuation mark one of its own."""
    parts = [""]
    for mark in word:
        if (mark.isascii() and mark.isprintable() and not mark.isalnum()) or unicodedata.category(mark)[0] == "P":
            parts += [mark, ""]
        else:
            parts[-1] += mark
    return [part for part in parts if part]


# --- raw values -------------------------------------------------------------------------------------------------------


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float | np.floating) and math.isnan(value))


def _name(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _renamed(value: Any, how: Mapping[str, Any]) -> str:
    """A class's name, also where the value is what the data's author renamed to it."""
    name = _name(value)
    return how.get("rename", {}).get(name, name)


def _labels(value: Any, how: Mapping[str, Any]) -> list[str]:
    """The names that a list holds, or a text between separators."""
    if isinstance(value, str):
        return [name.strip() for name in value.split(how["separator"]) if name.strip()]
    if not isinstance(value, Sequence):
        raise ValueError(f"expected a list of names, got {value!r:.60}.")
    return [_name(name) for name in value]


def _stranger(value: Any, how: Mapping[str, Any]) -> Any:
    """What of a value the model does not know; None where it knows all."""
    if how["kind"] == "category":
        return None if _is_missing(value) or _renamed(value, how) in how["classes"] else value
    if how["kind"] == "multilabel" and not _is_missing(value):
        return [name for name in _labels(value, how) if _renamed(name, how) not in how["classes"]] or None
    if how["kind"] == "table" and not _is_missing(value):
        strangers = {name: _stranger(_parsed(value)[name], column) for name, column in how["columns"].items()}
        return {name: stranger for name, stranger in strangers.items() if stranger is not None} or None
    return None


@final
class Predictor:
    """A bundle, ready to predict.

    Args:
        folder: The bundle.
        variant: Which form of the model answers; the manifest's default, ``float32``, where None.
        files: The folder that paths of pictures and sounds start in; where None a row cannot name any.

    Raises:
        BundleError: The bundle is damaged, of another format, or has no such variant.

    Example:
        ``predictor = Predictor("bundles/digits"); predictor.predict(read_rows(Path("rows.csv"), predictor.missing))``
    """

    def __init__(self, folder: str | Path, variant: str | None = None, files: Path | None = None) -> None:
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
        self._decoders = {field: decoder_of(self.manifest["inputs"][field], files) for field in self._how["inputs"]}
        self._session = _session(self._files.read(self._how["file"]))
        with np.load(io.BytesIO(self._files.read(self._how["spread"])), allow_pickle=False) as arrays:
            self._spread = dict(arrays)

    @property
    def missing(self) -> tuple[str, ...]:
        """What a cell of a csv file says where a value is missing, as the model was trained."""
        return tuple(self.manifest.get("missing", NOTHING))  # an older bundle does not say

    def predict(self, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Answer rows.

        Args:
            rows: Raw values by input field; other keys are not read.

        Returns:
            What `stream` gives.

        Raises:
            BundleError: As there.
        """
        return list(self.stream(rows))

    def stream(self, rows: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
        """Answer rows as they come, of which few are in memory at a time.

        Args:
            rows: Raw values by input field; other keys are not read.

        Yields:
            For each row, by task: ``prediction`` (a class's name, the names of all labels that are likelier than not, a
            number, a list of numbers, numbers by name, or a vector of length 1), ``probability`` (by class, for tasks
            that have classes), ``low`` and ``high`` (for numbers with quantiles: the outer ones), and where the bundle
            can tell ``out_of_domain`` and ``distance``. A row with categories that the model does not know also has
            ``@unknown``, those values by field.

        Raises:
            BundleError: A row lacks a field or holds a value that the field cannot have.
        """
        coming, start = iter(rows), 0
        while batch := list(islice(coming, BATCH)):
            try:
                answers = self._answers(batch)
            except BundleError as error:
                raise _counted_from(error, start) from None
            start += len(batch)
            yield from answers

    def _answers(self, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        feed = self._feed(rows)
        outputs = self._run(feed)
        answers: list[dict[str, Any]] = [self._unknown(row) for row in rows]
        for task, how in self.manifest["tasks"].items():
            decided = decide(how, outputs[f"{task}.output"], feed.get(how.get("text", "")))
            for answer, said, foreign in zip(answers, decided, self._foreign(task, outputs), strict=True):
                answer[task] = said | foreign
        return answers

    def outputs(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, NDArray]:
        """What the model itself gives for one row or more: ``<task>.output`` (logits or numbers), ``<task>.embedding``.

        Raises:
            BundleError: As `predict`.
        """
        return self._run(self._feed(rows))

    def _feed(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, NDArray]:
        """Decoded values by input field."""
        inputs = self.manifest["inputs"]
        return {
            field: decode(field, self._decoders[field], _values(rows, field, inputs[field]))
            for field in self._how["inputs"]
        }

    def _run(self, feed: Mapping[str, NDArray]) -> dict[str, NDArray]:
        names = [output.name for output in self._session.get_outputs()]
        batches = [
            self._session.run(names, {field: values[start : start + BATCH] for field, values in feed.items()})
            for start in range(0, len(next(iter(feed.values()))), BATCH)
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
            apart = float(np.abs(sampled(how, got[f"{task}.output"]) - outputs).max())
            # Read from the expected outputs, so that a tie which tips within the tolerance is no failure.
            same = _predictions(how, outputs) == expected["predictions"][task]
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
        strangers = {field: _stranger(_value(row, field), how) for field, how in read.items()}
        unknown = {field: value for field, value in strangers.items() if value is not None}
        return {"@unknown": unknown} if unknown else {}


def sampled(how: Mapping[str, Any], output: NDArray) -> NDArray:
    """What golden outputs hold of a task: all, or of some positions ``[rows, places, classes]``."""
    if "at" not in how:
        return output
    places = _at_positions(how, output)
    most = max(1, min(PLACES, MOST // (len(places) * places.shape[2])))
    return places[:, np.unique(np.linspace(0, places.shape[1] - 1, most).astype(int))]


def _predictions(how: Mapping[str, Any], outputs: NDArray) -> list[Any]:
    """What golden outputs stand for."""
    if "at" not in how:
        return [answer["prediction"] for answer in decide(how, outputs)]
    return [[how["classes"][code] for code in row] for row in outputs.argmax(axis=-1).tolist()]


def _at_positions(how: Mapping[str, Any], output: NDArray) -> NDArray:
    """``[rows, positions, classes]`` of raw outputs at pixels or tokens."""
    output = np.moveaxis(output, 1, -1) if how["at"] == "pixels" else output
    return output.reshape(len(output), -1, output.shape[-1])


def _counted_from(error: BundleError, start: int) -> BundleError:
    """The same complaint, its row counted from the first of all rows."""
    told = re.sub(r"^row (\d+)", lambda found: f"row {int(found[1]) + start}", str(error))
    return BundleError(told)


def decide(how: Mapping[str, Any], output: NDArray, ids: NDArray | None = None) -> list[dict[str, Any]]:
    """A task's raw outputs as answers.

    Args:
        how: The manifest's entry: ``kind``, and ``classes``, or for numbers ``shape``, ``columns`` and ``quantiles``
            where it has them.
        output: ``[rows, classes]`` logits, of one class or of several labels; ``[rows, classes - 1]`` of classes in an
            order; ``[rows]`` or ``[rows, 1]`` logits of the second class; numbers ``[rows, *]``; or at positions
            logits ``[rows, classes, height, width]`` or ``[rows, length, classes]``.
        ids: The text's ids, int64 ``[rows, length]``, where a class is decided at each token.

    Raises:
        BundleError: An output is not finite.
    """
    finite = np.isfinite(output.reshape(len(output), -1)).all(axis=1)
    if not finite.all():
        raise BundleError(
            f"row {int(np.argmin(finite))}: the model's output is not finite; its input may be far too large."
        )
    if "classes" not in how:  # numbers are predicted
        return _numbers(how, output)
    if "at" in how:
        return [
            _at_pixels(how, row) if how["at"] == "pixels" else _at_tokens(how, row, text)
            for row, text in zip(output, [None] * len(output) if ids is None else ids, strict=True)
        ]
    logits, names = output.astype(np.float64), how["classes"]
    if how["kind"] == "multilabel":
        chances = np.exp(-np.logaddexp(0, -logits))  # a sigmoid that does not overflow
        return [
            {
                "prediction": [name for name, logit in zip(names, row, strict=True) if logit > 0],
                "probability": dict(zip(names, chance.tolist(), strict=True)),
            }
            for row, chance in zip(logits, chances, strict=True)
        ]
    if how["kind"] == "ordinal":
        return _in_order(logits, names)
    if how["kind"] == "binary":  # a sigmoid is the softmax over zero and the logit
        logits = np.stack([np.zeros(len(logits)), logits.reshape(-1)], axis=1)
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = odds / odds.sum(axis=1, keepdims=True)
    return [
        {"prediction": names[code], "probability": dict(zip(names, row.tolist(), strict=True))}
        for code, row in zip(logits.argmax(axis=1), probabilities, strict=True)
    ]


def _numbers(how: Mapping[str, Any], output: NDArray) -> list[dict[str, Any]]:
    """Numbers, by name where they have names; with quantiles the median, and the outer ones as low and high."""
    low, high = how.get("range", (0, 1))  # of a picture's raw values
    raw = output * (high - low) + low
    levels = how.get("quantiles")
    if not levels:
        return [{"prediction": _named(how, value)} for value in raw]
    raw = np.sort(raw.reshape(len(raw), *how["shape"], len(levels)), axis=-1)
    places = {"prediction": levels.index(0.5), "low": 0, "high": -1}
    return [{key: _named(how, value[..., at]) for key, at in places.items()} for value in raw]


def _named(how: Mapping[str, Any], value: NDArray) -> Any:
    if "columns" in how:
        return dict(zip(how["columns"], value.tolist(), strict=True))
    return value.item() if value.size == 1 else value.tolist()


def _in_order(logits: NDArray, names: Sequence[str]) -> list[dict[str, Any]]:
    """Classes in an order, by CORN: each logit is of being above a class where one is not below it; see the median."""
    above = -np.logaddexp(0, -logits).cumsum(axis=1)
    not_above = -np.logaddexp(0, logits)
    chances = np.exp(np.pad(above, ((0, 0), (1, 0))) + np.pad(not_above, ((0, 0), (0, 1))))
    codes = (chances.cumsum(axis=1)[:, :-1] < 0.5).sum(axis=1)
    return [
        {"prediction": names[code], "probability": dict(zip(names, row.tolist(), strict=True))}
        for code, row in zip(codes, chances, strict=True)
    ]


def _at_pixels(how: Mapping[str, Any], logits: NDArray) -> dict[str, Any]:
    """One picture's map of codes, of logits ``[classes, height, width]``."""
    codes, names = logits.argmax(axis=0), how["classes"]
    confidence = np.exp(-np.log(np.exp(logits.astype(np.float64) - logits.max(axis=0)).sum(axis=0)))
    shares = np.bincount(codes.reshape(-1), minlength=len(names)) / codes.size
    return {
        "prediction": codes.tolist(),
        "classes": list(names),
        "share": dict(zip(names, shares.tolist(), strict=True)),
        "confidence": float(confidence.mean()),
    }


def _at_tokens(how: Mapping[str, Any], logits: NDArray, ids: NDArray | None) -> dict[str, Any]:
    """One text's classes, or what comes next in it, of logits ``[length, classes]``."""
    known = np.flatnonzero(ids != how["padding"]) if ids is not None else np.arange(len(logits))
    length = int(known[-1]) + 1 if len(known) else 0
    logits = logits[:length].astype(np.float64)
    above = logits - logits.max(axis=1, keepdims=True)
    chances = above - np.log(np.exp(above).sum(axis=1, keepdims=True))
    told = {} if ids is None else {"tokens": [how["tokens"][code] for code in ids[:length]]}
    if not how.get("next"):
        codes = logits.argmax(axis=1)
        named = [how["classes"][code] for code in codes]
        return {"prediction": named, "probability": np.exp(chances[np.arange(length), codes]).tolist()} | told
    if not length:
        return {"prediction": None, "probability": {}, "log_likelihood": []} | told
    best = np.argsort(-chances[-1], kind="stable")[:LIKELIEST]
    probability = {how["classes"][code]: float(np.exp(chances[-1, code])) for code in best}
    said = [] if ids is None else chances[np.arange(length - 1), ids[1:length]].tolist()
    return {"prediction": how["classes"][best[0]], "probability": probability, "log_likelihood": said} | told


def _values(rows: Sequence[Mapping[str, Any]], field: str, how: Mapping[str, Any]) -> list[Any]:
    for number, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise BundleError(f"row {number}: expected an object with the model's fields, got {str(row)[:60]!r}.")
        if field not in row and not _spread_out(row, how):
            there = ", ".join(map(str, row)) or "nothing"
            raise BundleError(
                f"row {number}: the field {field!r} is not there (null stands for missing). There is: {there}."
            )
    return [_value(row, field) for row in rows]


def _value(row: Mapping[str, Any], field: str) -> Any:
    """The field's, or the row itself where it holds a table's columns."""
    return row.get(field, row)


def _spread_out(row: Mapping[str, Any], how: Mapping[str, Any]) -> bool:
    """Whether the row itself holds a table's columns, as the rows of a csv file do."""
    return how["kind"] == "table" and any(name in row for name in how["columns"])


def _session(model: bytes) -> Any:
    try:
        import onnxruntime
    except ImportError:
        raise BundleError("a bundle runs in ONNX Runtime, which is not installed: pip install onnxruntime") from None
    return onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])


def read_rows(path: Path, missing: Sequence[str] = NOTHING) -> list[dict[str, Any]]:
    """All rows of a file, as `stream_rows` gives them."""
    return list(stream_rows(path, missing))


def stream_rows(path: Path, missing: Sequence[str] = NOTHING) -> Iterator[dict[str, Any]]:
    """Rows from a file: ``.json`` (one row or a list), ``.jsonl`` (a row a line) or ``.csv`` (with a header line).

    The lines of the latter two are read as they are asked for.

    Args:
        path: The file.
        missing: What a cell of a csv file says where a value is missing; `Predictor.missing` is as in training.

    Raises:
        BundleError: The file cannot be read as its ending says.
    """
    kinds = {".csv": partial(_rows_of_csv, path, missing), ".jsonl": _rows_of_lines, ".json": _rows_of_json}
    if path.suffix not in kinds:
        expected = "a file that ends in .json, .jsonl or .csv"
        raise BundleError(f"{path}: expected {expected}, got {path.suffix or 'no ending'!r}.")
    try:
        with path.open(encoding="utf-8-sig", newline="") as text:
            yield from kinds[path.suffix](text)
    except OSError as error:
        raise BundleError(f"{path}: the file cannot be read: {error.strerror}.") from None
    except (ValueError, RecursionError, csv.Error) as error:
        raise BundleError(f"{path}: this is no {path.suffix[1:]} file of UTF-8 text: {error}.") from None


def _rows_of_json(text: IO[str]) -> Iterator[dict[str, Any]]:
    rows = json.load(text)
    yield from rows if isinstance(rows, list) else [rows]


def _rows_of_lines(text: IO[str]) -> Iterator[dict[str, Any]]:
    return (json.loads(line) for line in text if line.strip())


def _rows_of_csv(path: Path, missing: Sequence[str], text: IO[str]) -> Iterator[dict[str, Any]]:
    """Spaces around a value are no part of it, as in a data file's csv source."""
    records = (record for record in csv.reader(text) if record)
    header = [name.strip() for name in next(records, [])]
    for number, record in enumerate(records):
        if len(record) != len(header):
            raise BundleError(
                f"{path}: row {number}: expected {len(header)} values as in the header, got {len(record)}."
            )
        row = [None if cell in missing else cell for cell in map(str.strip, record)]
        yield dict(zip(header, row, strict=True))


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
        files = None if options.check else options.rows.parent
        predictor = Predictor(Path(__file__).parent, options.variant, files)
        if options.check:
            print(f"{predictor.variant}: the golden outputs differ by at most {predictor.check_golden():.3g}")
        else:
            for answer in predictor.stream(stream_rows(options.rows, predictor.missing)):
                print(json.dumps(answer, ensure_ascii=False))
    except BundleError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
