"""``--set key.kind=...`` on a file that says every key: the old kind's defaults are nobody's wish."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jumpml.core._document import Document, Path_
    from jumpml.core._spec import FileSpec


def drop_old_defaults(cls: type[FileSpec], before: Document, after: Document, kinds: Sequence[Path_]) -> None:
    """Take the defaults of a kind that was replaced out of a document, where it says every key of that kind.

    A run's own files are such. What somebody has chosen stays, and is refused where the new kind does not know it.

    Args:
        cls: What the document is of.
        before: Before kinds were set.
        after: With them; it is changed.
        kinds: Paths of the keys that were set and are named ``kind``.
    """
    if all(_at(before.value, path) in (None, _at(after.value, path)) for path in kinds):
        return
    try:
        spec = cls.model_validate_json(json.dumps(before.value), strict=True)
    except ValidationError:
        return
    for path in kinds:
        old, raw = _at(spec, path[:-1]), _at(before.value, path[:-1])
        if isinstance(old, BaseModel) and isinstance(raw, dict) and raw.keys() >= type(old).model_fields.keys():
            for default in _defaults(old, path[:-1]):
                holder = _at(after.value, default[:-1])
                same = _at(after.value, default) == _at(before.value, default)
                if same and isinstance(holder, dict) and default not in after.overridden:
                    holder.pop(default[-1], None)


def _at(value: Any, path: Path_) -> Any:
    """What stands at a path; None where nothing does."""
    for part in path:
        if isinstance(value, BaseModel):
            value = getattr(value, str(part), None)
        elif isinstance(value, dict):
            value = value.get(part)
        else:
            listed = isinstance(value, (list, tuple)) and isinstance(part, int)
            value = dict(enumerate(value)).get(int(part)) if listed else None
    return value


def _defaults(value: BaseModel, path: Path_) -> Iterator[Path_]:
    """The paths at and below a spec whose value is the default."""
    for name, field in type(value).model_fields.items():
        here = getattr(value, name)
        if not field.is_required() and here == field.get_default(call_default_factory=True):
            yield (*path, name)
        elif isinstance(here, BaseModel):
            yield from _defaults(here, (*path, name))
