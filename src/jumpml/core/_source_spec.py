"""The data file's sources: where rows come from."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, PositiveInt, model_validator

from jumpml.core._spec import Spec, exactly_one

Files = str | Annotated[tuple[str, ...], Field(min_length=1)]
"""One file, a pattern such as `part-*.parquet`, a folder, or a list of such; read one after the other."""

MISSING_TEXTS = ("", "NA", "NaN", "nan", "null", "?")
"""What a table of text says where a value is missing, unless it is told."""

Columns = Annotated[dict[str, str], Field(min_length=1)]
"""Files by column."""


class SklearnSource(Spec):
    """A data set that scikit-learn ships; nothing is downloaded."""

    kind: Literal["sklearn"]
    """The source's kind."""
    name: Literal["breast_cancer", "diabetes", "digits", "iris", "wine"]
    """Which one. Columns: each feature by its name, `data` (all features), `target`, and `images` for the digits."""


class CsvSource(Spec):
    """A table in a text file (csv, tsv)."""

    kind: Literal["csv"]
    """The source's kind."""
    path: Files
    """The file, from the data file's folder, or an address with `://`; also a pattern such as `part-*.csv`, a folder,
    or a list of such. It may be compressed (`.gz`, `.bz2`, `.xz`)."""
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    """What separates two values; a tab is `"\\t"`."""
    missing: tuple[str, ...] = MISSING_TEXTS
    """The texts that stand for a missing value."""
    header: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """The columns' names, where the file has no line with them."""
    quote: Annotated[str, Field(min_length=1, max_length=1)] | None = '"'
    """What stands around a value that holds a delimiter or a line's end; null where a quote is a letter like others."""
    encoding: str = "utf-8"
    """How letters are written as bytes: `utf-8`, `latin-1`, `utf-16`, ..."""


class ParquetSource(Spec):
    """A parquet file, or several; any range of rows can be read without the others."""

    kind: Literal["parquet"]
    """The source's kind."""
    path: Files
    """The file, from the data file's folder, or an address with `://`; also a pattern such as `part-*.parquet`, a
    folder, or a list of such."""


class JsonSource(Spec):
    """JSON lines: an object a line; `object.key` is a column too."""

    kind: Literal["json"]
    """The source's kind."""
    path: Files
    """The file, from the data file's folder, or an address with `://`; also a pattern such as `part-*.jsonl`, a folder,
    or a list of such. It may be compressed (`.gz`, `.bz2`, `.xz`)."""


class ArrowSource(Spec):
    """An Arrow file (Feather) or an Arrow stream, mapped into memory."""

    kind: Literal["arrow"]
    """The source's kind."""
    path: Files
    """The file, from the data file's folder, or an address with `://`; also a pattern such as `part-*.arrow`, a folder,
    or a list of such."""


class NpzSource(Spec):
    """Arrays in a NumPy file; every array is a column, its first axis the rows."""

    kind: Literal["npz"]
    """The source's kind."""
    path: str
    """The file, from the data file's folder, or an address with `://`. Pickled objects in it are refused."""


class NpySource(Spec):
    """NumPy arrays in files of their own (`.npy`), mapped into memory; the first axis is the rows."""

    kind: Literal["npy"]
    """The source's kind."""
    columns: Columns
    """The file of each column: `{image: images.npy, label: labels.npy}`. Pickled objects are refused."""


class IdxSource(Spec):
    """Arrays in the files that MNIST comes in (`idx`)."""

    kind: Literal["idx"]
    """The source's kind."""
    columns: Columns
    """The file of each column: `{image: train-images-idx3-ubyte.gz, label: train-labels-idx1-ubyte.gz}`."""


class ImagesSource(Spec):
    """Pictures in a folder or a zip archive, a row each.

    Columns: `image`, `label` (the name of the folder that a file lies in), `path`, `name` (the file's, without its
    suffix), and those of the pattern.
    """

    kind: Literal["images"]
    """The source's kind."""
    path: str
    """The folder or the `.zip` archive, from the data file's folder, or an address with `://`."""
    pattern: str | None = None
    """Columns out of the path's end: `"{patient}_{view}.png"`, or `"{split}/{class}/{id}.jpg"`."""


class AudioSource(Spec):
    """Sounds in a folder or a zip archive, a row each.

    Columns: `audio`, `label` (the name of the folder that a file lies in), `path`, `name` (the file's, without its
    suffix), and those of the pattern.
    """

    kind: Literal["audio"]
    """The source's kind."""
    path: str
    """The folder or the `.zip` archive, from the data file's folder, or an address with `://`."""
    pattern: str | None = None
    """Columns out of the path's end: `"{digit}_{speaker}_{take}.wav"`."""


class TextSource(Spec):
    """Plain text.

    Columns: `text`; `position` (how many letters stand before it in its file, so that `split: {time: position}` keeps
    the end of a long text for the test); and of a folder or an archive also `label` (the name of the folder that a file
    lies in), `path` and `name`.
    """

    kind: Literal["text"]
    """The source's kind."""
    path: str
    """A file, a folder or a `.zip` archive, from the data file's folder, or an address with `://`."""
    unit: Literal["file", "line", "paragraph"] | PositiveInt
    """What a row is: a file; a line that is not empty; the lines up to an empty one; or so many letters."""
    encoding: str = "utf-8"
    """How letters are written as bytes: `utf-8`, `latin-1`, `utf-16`, ..."""


class SqlSource(Spec):
    """A table or a query of a database; nothing is written."""

    model_config = ConfigDict(json_schema_extra={"allOf": [exactly_one("url", "path"), exactly_one("table", "query")]})

    kind: Literal["sql"]
    """The source's kind."""
    url: str | None = None
    """The database's address as SQLAlchemy writes it: `postgresql://me:$PASSWORD@host/name`; `$NAME` stands for a
    variable of the environment."""
    path: str | None = None
    """Or an SQLite file, from the data file's folder."""
    table: str | None = None
    """The table; its rows come in the order of its primary key."""
    query: str | None = None
    """Or a query; say ORDER BY, as a database may give another order each time."""

    @model_validator(mode="before")
    @classmethod
    def _one_of_each(cls, value: Any) -> Any:
        if isinstance(value, dict):
            for one, other in (("url", "path"), ("table", "query")):
                if (value.get(one) is None) == (value.get(other) is None):
                    raise ValueError(f"expected either `{one}` or `{other}`")
        return value


class HuggingFaceSource(Spec):
    """A data set of Hugging Face's `datasets`: from the hub, or saved by `save_to_disk`."""

    model_config = ConfigDict(json_schema_extra=exactly_one("name", "path"))

    kind: Literal["huggingface"]
    """The source's kind."""
    name: str | None = None
    """Its name on the hub, such as `google-research-datasets/go_emotions`; the first use downloads it."""
    path: str | None = None
    """Or the folder that `save_to_disk` has written, from the data file's folder."""
    split: str | None = None
    """Which of its splits, where it has several."""
    config: str | None = None
    """Which of its variants, with a name."""
    revision: str | None = None
    """Which of its versions, with a name: a tag or a commit."""

    @model_validator(mode="before")
    @classmethod
    def _fits(cls, value: Any) -> Any:
        if isinstance(value, dict):
            if (value.get("name") is None) == (value.get("path") is None):
                raise ValueError("expected either `name` or `path`")
            unused = next((key for key in ("config", "revision") if value.get(key) and value.get("name") is None), None)
            if unused is not None:
                raise ValueError(f"`{unused}` does nothing with a `path`")
        return value


class WebDatasetSource(Spec):
    """WebDataset shards: tar archives in which `0001.jpg` and `0001.cls` are one row with the columns `jpg`, `cls`."""

    kind: Literal["webdataset"]
    """The source's kind."""
    path: Files
    """The archive, from the data file's folder, or an address with `://`; also a pattern such as `shard-*.tar`, a
    folder, or a list of such."""


class PythonSource(Spec):
    """What a function of yours returns: arrays by column, rows as dicts, or a `jumpml.data.Source`."""

    kind: Literal["python"]
    """The source's kind."""
    function: str
    """`module:function`, of a package that you trust by name (`trust=` in Python, `--trust` in a shell)."""
    args: dict[str, Any] = {}
    """What the function is called with, by argument."""


SourceSpec = Annotated[
    SklearnSource
    | CsvSource
    | ParquetSource
    | JsonSource
    | ArrowSource
    | NpzSource
    | NpySource
    | IdxSource
    | ImagesSource
    | AudioSource
    | TextSource
    | SqlSource
    | HuggingFaceSource
    | WebDatasetSource
    | PythonSource,
    Field(discriminator="kind"),
]
