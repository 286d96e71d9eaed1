"""What models of the Hugging Face hub have in common."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jumpml.core import MissingExtraError, PretrainedError
from jumpml.pretrained._weights import first_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import nn

_FORCE = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"


def transformer(name: str) -> nn.Module:
    """A model of `transformers`; only weights in safetensors are read, and no code of the model's is run.

    Raises:
        PretrainedError: There is no such model, or it cannot be fetched.
        MissingExtraError: transformers is not installed.
    """
    try:
        # The tests do without the extra `hub`.
        from transformers import AutoModel  # pyright: ignore[reportMissingImports]
    except ModuleNotFoundError as error:
        raise MissingExtraError("transformers", "hub", "a pretrained model of the hub") from error
    try:
        # Eager attention is plain arithmetic, which every exporter knows.
        with only_weights():
            return AutoModel.from_pretrained(
                name, use_safetensors=True, trust_remote_code=False, attn_implementation="eager"
            )
    except Exception as error:  # offline, unknown, damaged: one error each
        raise PretrainedError(f"transformers cannot load {name!r}: {first_line(error)}.{_where(name)}") from error


def settings(name: str, file: str) -> Any:
    """A JSON file of a model's folder, or of its place on the hub; None where there is none."""
    path = Path(name) / file
    if not Path(name).is_dir():
        from transformers.utils import cached_file  # pyright: ignore[reportMissingImports]

        try:
            found = cached_file(name, file, _raise_exceptions_for_missing_entries=False)
        except OSError:
            found = None
        if found is None:
            return None
        path = Path(found)
    if not path.is_file():
        return None
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise PretrainedError(f"{path} is no JSON: {error}.") from None


@contextmanager
def only_weights() -> Iterator[None]:
    """Inside, ``torch.load`` reads tensors and plain values alone, whatever another library asks of it."""
    before = os.environ.get(_FORCE)
    os.environ[_FORCE] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_FORCE]
        else:
            os.environ[_FORCE] = before


def _where(name: str) -> str:
    if name.startswith((".", "/")) or Path(name).is_dir():
        return "" if Path(name).is_dir() else f" There is no folder {name}."
    return " A name is looked for on the Hugging Face hub; a folder is written with ./ before it."
