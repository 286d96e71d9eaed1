"""A data file's sources, opened, with the columns that the fields need."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from jumpml.core import DataError, SplitSources, UntrustedNameError, did_you_mean, resolve_function
from jumpml.data.sources._array_files import IdxSource, NpySource
from jumpml.data.sources._arrow import ArrowSource
from jumpml.data.sources._by_split import SplitSource
from jumpml.data.sources._concat import ConcatSource, unlike
from jumpml.data.sources._csv import CsvSource, delimiter_problem
from jumpml.data.sources._files import AUDIO_SUFFIXES, IMAGE_SUFFIXES, FilesSource, pattern_problem
from jumpml.data.sources._huggingface import HuggingFaceSource
from jumpml.data.sources._json import JsonSource
from jumpml.data.sources._npz import NpzSource
from jumpml.data.sources._opening import KeyPath, Opening, WrongKeyError
from jumpml.data.sources._parquet import ParquetSource
from jumpml.data.sources._pattern import PathPattern
from jumpml.data.sources._python import source_of
from jumpml.data.sources._sklearn import SklearnSource
from jumpml.data.sources._sql import SqlSource
from jumpml.data.sources._texts import TextSource
from jumpml.data.sources._webdataset import WebDatasetSource

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from jumpml.core import DataSpec, Mistake
    from jumpml.data.sources._source import Source

_ENCODINGS = ("utf-8", "utf-16", "utf-32", "latin-1", "cp1252", "cp1250", "cp1251", "gb18030", "shift_jis", "euc_kr")


def open_source(
    spec: DataSpec, told: Any, at: KeyPath, trust: Collection[str] = ()
) -> tuple[Source | None, list[Mistake]]:
    """Open a source.

    Args:
        spec: The data file, which names the lines of its mistakes.
        told: What it says of the source.
        at: The source's key path, such as ``("datasets", "digits", "source")``.
        trust: Packages whose functions a source of kind ``python`` may call.

    Returns:
        The source, None where it cannot be opened; and what is wrong in the data file.

    Raises:
        DataError: A file is damaged.
    """
    try:
        return OPENERS[told.kind](Opening(spec=spec, told=told, at=at, trust=trust)), []
    except WrongKeyError as wrong:
        return None, [wrong.mistake]


def open_dataset(spec: DataSpec, name: str, trust: Collection[str] = ()) -> tuple[Source | None, list[Mistake]]:
    """Open a data set's source, and look for the columns that its fields and its split read.

    Args:
        spec: The data file.
        name: Of the data set.
        trust: As in `open_source`.
    """
    dataset, at = spec.datasets[name], ("datasets", name)
    if isinstance(dataset.source, SplitSources):
        source, mistakes = _open_splits(spec, name, dataset.source, trust)
    else:
        source, mistakes = open_source(spec, dataset.source, (*at, "source"), trust)
    wanted: list[tuple[KeyPath, str]] = [
        ((*at, "fields", field, told.key_of(column)), column)
        for field, told in dataset.fields.items()
        for column in told.reads(field)
    ]
    if dataset.split.column is not None:
        wanted.append(((*at, "split", "column"), dataset.split.column))
    return source, mistakes if source is None else missing_columns(spec, wanted, source.schema)


def _open_splits(
    spec: DataSpec, name: str, told: SplitSources, trust: Collection[str]
) -> tuple[Source | None, list[Mistake]]:
    """Open the sources of the splits, and look for columns that some have and others lack."""
    at = ("datasets", name, "source")
    wanted = {split: getattr(told, split) for split in ("train", "val", "test") if getattr(told, split) is not None}
    opened = {split: open_source(spec, source, (*at, split), trust) for split, source in wanted.items()}
    mistakes = [mistake for _, wrong in opened.values() for mistake in wrong]
    sources = {split: source for split, (source, _) in opened.items() if source is not None}
    if mistakes:
        return None, mistakes
    dataset = spec.datasets[name]
    read = {column for field, how in dataset.fields.items() for column in how.reads(field)}
    train = sources["train"].schema
    for split, source in sources.items():
        for column in sorted(read & set(train)):
            words = source.schema.get(column)
            if words is None:
                problem = f"this source has no column {column!r}, which that of train has."
                mistakes.append(spec.mistake((*at, split), problem, did_you_mean(column, source.schema)))
            elif unlike(words, train[column]):
                problem = f"the column {column!r} is {words} here and {train[column]} in the source of train."
                mistakes.append(spec.mistake((*at, split), problem))
    common = set.intersection(*(set(source.schema) for source in sources.values()))
    parts = {split: SplitSource(source, split, common) for split, source in sources.items()}
    return (None if mistakes else ConcatSource(parts)), mistakes


def missing_columns(spec: DataSpec, wanted: Iterable[tuple[KeyPath, str]], schema: Mapping[str, str]) -> list[Mistake]:
    """The columns that the data file names and the source lacks.

    Args:
        spec: The data file.
        wanted: Column names, each with the key path where it stands.
        schema: The source's.
    """
    return [
        spec.mistake(at, f"the source has no column {column!r}.", did_you_mean(column, schema))
        for at, column in wanted
        if column not in schema
    ]


def _open_sklearn(opening: Opening) -> Source:
    return SklearnSource(opening.told.name)


def _open_csv(opening: Opening) -> Source:
    told = opening.told
    problem = delimiter_problem(told.delimiter)
    if problem:
        raise opening.wrong("delimiter", problem)
    if told.quote is not None and (
        told.quote == told.delimiter or not (told.quote.isascii() and told.quote.isprintable())
    ):
        raise opening.wrong(
            "quote", f"expected a printable ASCII character other than the delimiter, got {told.quote!r}."
        )
    _refuse_encoding(opening)
    keys = {"header": told.header, "quote": told.quote, "encoding": told.encoding, "skip": opening.skip}
    files = opening.files((".csv", ".tsv"))
    return _joined(files, lambda path: CsvSource(path, told.delimiter, told.missing, **keys))


def _open_tables(opening: Opening, *, suffixes: tuple[str, ...], make: Callable[..., Source]) -> Source:
    return _joined(opening.files(suffixes), partial(make, skip=opening.skip))


def _open_npz(opening: Opening) -> Source:
    return NpzSource(opening.file(opening.told.path))


def _open_arrays(opening: Opening, *, make: Callable[[dict[str, str]], Source]) -> Source:
    columns = opening.told.columns.items()
    return make({name: opening.file(path, ("columns", name)) for name, path in columns})


def _open_files(opening: Opening, *, content: str, suffixes: tuple[str, ...]) -> Source:
    told, pattern = opening.told, None
    if told.pattern is not None:
        try:
            pattern = PathPattern(told.pattern)
        except DataError as error:
            raise opening.wrong("pattern", str(error)) from None
        problem = pattern_problem(pattern, content)
        if problem:
            raise opening.wrong("pattern", problem)
    return FilesSource(opening.folder(told.path), content=content, suffixes=suffixes, pattern=pattern)


def _open_text(opening: Opening) -> Source:
    _refuse_encoding(opening)
    return TextSource(opening.folder(opening.told.path), opening.told.unit, opening.told.encoding, skip=opening.skip)


def _open_sql(opening: Opening) -> Source:
    told = opening.told
    path = None if told.path is None else opening.file(told.path)
    return SqlSource(told.url, path=path, table=told.table, query=told.query)


def _open_huggingface(opening: Opening) -> Source:
    told = opening.told
    if told.path is not None:
        return HuggingFaceSource.from_disk(opening.folder(told.path), split=told.split)
    return HuggingFaceSource.load(told.name, config=told.config, split=told.split, revision=told.revision)


def _open_webdataset(opening: Opening) -> Source:
    return WebDatasetSource(opening.files((".tar",)))


def _open_python(opening: Opening) -> Source:
    told = opening.told
    try:
        function = resolve_function(told.function, opening.trust)
    except UntrustedNameError as error:
        raise opening.wrong("function", str(error)) from None
    try:
        returned = function(**told.args)
    except Exception as error:  # a user's function may fail in any way
        raise DataError(f"{told.function}: {type(error).__name__}: {error}") from error
    return source_of(returned, told.function)


OPENERS: Mapping[str, Callable[[Opening], Source]] = {
    "sklearn": _open_sklearn,
    "csv": _open_csv,
    "parquet": partial(_open_tables, suffixes=(".parquet", ".pq"), make=ParquetSource),
    "json": partial(_open_tables, suffixes=(".jsonl", ".ndjson", ".json"), make=JsonSource),
    "arrow": partial(_open_tables, suffixes=(".arrow", ".feather", ".ipc"), make=ArrowSource),
    "npz": _open_npz,
    "npy": partial(_open_arrays, make=NpySource),
    "idx": partial(_open_arrays, make=IdxSource),
    "images": partial(_open_files, content="image", suffixes=IMAGE_SUFFIXES),
    "audio": partial(_open_files, content="audio", suffixes=AUDIO_SUFFIXES),
    "text": _open_text,
    "sql": _open_sql,
    "huggingface": _open_huggingface,
    "webdataset": _open_webdataset,
    "python": _open_python,
}


def _joined(files: list[str], make: Callable[[str], Source]) -> Source:
    return make(files[0]) if len(files) == 1 else ConcatSource({file: make(file) for file in files})


def _refuse_encoding(opening: Opening) -> None:
    encoding = opening.told.encoding
    try:
        "a".encode(encoding)
    except LookupError:
        near = did_you_mean(encoding, _ENCODINGS)
        raise opening.wrong("encoding", f"there is no encoding {encoding!r} of text.", near) from None
