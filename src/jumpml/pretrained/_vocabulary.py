"""Whether a text is written in the tokens that a pretrained model knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jumpml.pretrained._hub import settings

if TYPE_CHECKING:
    from torch import nn

    from jumpml.core import FieldInfo


def vocabulary_of(name: str) -> tuple[str | None, ...] | None:
    """A model's tokens by id, from its ``tokenizer.json``; None where that has none."""
    told = settings(name, "tokenizer.json")
    known = told.get("model", {}).get("vocab") if isinstance(told, dict) else None
    if not isinstance(known, dict):
        return None
    ids = {number: token for token, number in known.items()}
    ids |= {token["id"]: token["content"] for token in told.get("added_tokens") or ()}
    return tuple(ids.get(number) for number in range(max(ids) + 1))


def tokens_problem(module: nn.Module, field: FieldInfo) -> str:
    """Why a model cannot read a field's token ids; empty where it can, or where nothing is known of either's tokens.

    Args:
        module: The model; its ``vocabulary`` holds its tokens by id.
        field: What it would read.
    """
    known: Any = getattr(module, "vocabulary", None)
    how: Any = field.options.get("tokenizer")
    if known is None or how is None or tuple(how["vocabulary"]) == known:
        return ""
    return (
        f"the {len(how['vocabulary'])} tokens of field {field.name!r} are not the {len(known)} that the pretrained "
        "model knows, so that every id would stand for another. Give the field the model's own: "
        "tokenizer: {kind: file, path: .../tokenizer.json}."
    )
