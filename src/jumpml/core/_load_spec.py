"""A path, a dict or a spec object to a validated spec; every mistake of a file at once."""

from __future__ import annotations

import json
import runpy
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from jumpml.core._data_spec import DataSpec
from jumpml.core._deploy_spec import DeploySpec
from jumpml.core._document import Document
from jumpml.core._errors import Mistake, SpecError, did_you_mean
from jumpml.core._learner_spec import LearnerSpec
from jumpml.core._mistakes import mistakes_of, said
from jumpml.core._model_spec import ModelSpec
from jumpml.core._other_kind import drop_old_defaults
from jumpml.core._overrides import override, path_of
from jumpml.core._plain import plain
from jumpml.core._spec import FileSpec, Origin
from jumpml.core._yaml import parse_json, parse_yaml

SPECS: dict[str, type[FileSpec]] = {"data": DataSpec, "model": ModelSpec, "learner": LearnerSpec, "deploy": DeploySpec}
S = TypeVar("S", bound=FileSpec)
SpecSource = str | Path | Mapping[str, Any] | FileSpec
_ENDINGS = (".yaml", ".yml", ".json", ".py")


def load_spec(cls: type[S], source: SpecSource, overrides: Mapping[str, Any] | None = None) -> S:
    """Read one of the four files.

    Args:
        cls: ``DataSpec``, ``ModelSpec``, ``LearnerSpec`` or ``DeploySpec``.
        source: A path (``.yaml``, ``.yml``, ``.json``, or ``.py`` with a variable named ``data``, ``model``,
            ``learner`` or ``deploy``), a dict, or a spec object, which is returned as it is. A ``.py`` file is run.
        overrides: Values by dotted key, such as ``{"phases.supervised.epochs": 3}``.

    Returns:
        The validated spec, which remembers its file.

    Raises:
        SpecError: The file is missing or holds mistakes; the error lists all of them.

    Example:
        >>> load_spec(LearnerSpec, {"seed": 7}).seed
        7
    """
    if isinstance(source, cls) and not overrides:
        return source
    origin = _open(cls, source)
    document = plain(origin.document, origin.source)
    if overrides:
        given = plain(Document(dict(overrides), overridden=frozenset({()})), origin.source)
        changed = override(document, given.value, origin.source)
        kinds = [path for path in map(path_of, given.value) if path[-1] == "kind"]
        drop_old_defaults(cls, document, changed, kinds)
        document = changed
    return _validate(cls, Origin(source=origin.source, folder=origin.folder, document=document))


def _open(cls: type[FileSpec], source: SpecSource) -> Origin:
    kind = next(name for name, known in SPECS.items() if known is cls)
    if isinstance(source, FileSpec):
        _refuse_other_spec(source, cls, source.source)
        before = source._origin.document if source._origin else Document(None)
        document = Document(source, before.positions, before.overridden)
        return Origin(source=source.source, folder=source.folder, document=document)
    if isinstance(source, Mapping):
        return Origin(source=f"the {kind} spec", folder=Path(), document=Document(source))
    path = Path(source)
    return Origin(source=str(source), folder=path.parent, document=_read(path, cls, kind))


def _read(path: Path, cls: type[FileSpec], kind: str) -> Document:
    if path.suffix not in _ENDINGS:
        got = repr(path.suffix) if path.suffix else "none"
        raise _error(path, f"expected a file that ends in {', '.join(_ENDINGS)}; got {got}.")
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        beside = [other.name for ending in _ENDINGS for other in path.parent.glob(f"*{ending}")]
        raise _error(path, "there is no such file.", did_you_mean(path.name, beside) if beside else "") from None
    except IsADirectoryError:
        raise _error(path, "expected a file, got a folder.") from None
    except (OSError, ValueError) as error:  # ValueError: a path that no file can have
        raise _error(path, f"the file cannot be read: {getattr(error, 'strerror', None) or error}.") from None
    if path.suffix == ".py":
        return Document(_run(path, cls, kind))
    parse = parse_json if path.suffix == ".json" else parse_yaml
    return parse(_decode(content, path), str(path))


def _decode(content: bytes, path: Path) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        column = error.start - content.rfind(b"\n", 0, error.start)
        problem = f"the byte 0x{content[error.start]:02x} is no UTF-8."
        mistake = Mistake(key="", problem=problem, fix="Save the file as UTF-8 text.", line=line, column=column)
        raise SpecError(path, [mistake]) from None


def _run(path: Path, cls: type[FileSpec], kind: str) -> Any:
    """The variable that a Python file sets."""
    try:
        variables = runpy.run_path(str(path))
    except (Exception, SystemExit) as error:
        line = error.lineno if isinstance(error, SyntaxError) else _line_of(error, path)
        problem = f"running the file failed: {type(error).__name__}: {error}."
        raise SpecError(path, [Mistake(key="", problem=problem, line=line, column=line and 1)]) from error
    if kind not in variables:
        raise _error(path, f"the file sets no variable named {kind!r}.", f"Write {kind} = {{...}} in it.")
    _refuse_other_spec(variables[kind], cls, path)
    return variables[kind]


def _line_of(error: BaseException, path: Path) -> int | None:
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
    return lines[-1] if lines else None


def _refuse_other_spec(value: Any, cls: type[FileSpec], source: str | Path) -> None:
    if isinstance(value, FileSpec) and not isinstance(value, cls):
        raise _error(source, f"expected a {cls.__name__}, got a {type(value).__name__}.")


def _error(source: str | Path, problem: str, fix: str = "") -> SpecError:
    return SpecError(source, [Mistake(key="", problem=problem, fix=fix)])


def _validate(cls: type[S], origin: Origin) -> S:
    document = origin.document
    if not isinstance(document.value, dict):
        problem = f"expected a mapping of keys, got {said(document.value)}."
        raise SpecError(origin.source, [document.mistake((), problem)])
    try:
        # JSON mode is strict about types and still takes lists for tuples.
        spec = cls.model_validate_json(json.dumps(document.value), strict=True)
    except ValidationError as error:
        raise SpecError(origin.source, mistakes_of(error, cls, document)) from None
    spec._origin = origin
    return spec
