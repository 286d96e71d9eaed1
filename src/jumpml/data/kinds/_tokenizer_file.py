"""A ``tokenizer.json`` of the package `tokenizers`, read without that package."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from jumpml.core import DataError

if TYPE_CHECKING:
    from pathlib import Path

WORDS = r"\w+|[^\w\s]+"
PADDINGS = ("[PAD]", "<pad>", "<PAD>", "<|padding|>")
MODELS = {"WordPiece": "wordpiece", "BPE": "bpe", "WordLevel": "whole"}
SPLITS = {"BertPreTokenizer": "punctuation", "Whitespace": WORDS, "WhitespaceSplit": r"\S+"}
REFUSED = ("dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback", "ignore_merges", "fuse_unk")


def load_tokenizer(path: Path) -> dict[str, Any]:
    """Read a tokenizer's file; its ids stay as they are.

    Args:
        path: The file. WordPiece, BPE and WordLevel models can be read, split at spaces or punctuation, lowercased or
            normalised as BERT's: what the deployed model can do in Python alone.

    Raises:
        DataError: The file is no such tokenizer.
    """
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        model, vocabulary = told["model"], told["model"]["vocab"]
        if not (isinstance(vocabulary, dict) and model.get("type") in MODELS):
            raise _unusable(path, "its model", model.get("type"), MODELS)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: this is no tokenizer.json: {error}.") from None
    unknown = vocabulary.get(model.get("unk_token"))
    if unknown is None:
        raise DataError(f"{path}: the tokenizer has no token for what is unknown; give its model an `unk_token`.")
    return {
        **_normalisation(path, told.get("normalizer")),
        "split": _split(path, told.get("pre_tokenizer")),
        "model": MODELS[model["type"]],
        "vocabulary": _by_id(vocabulary, told.get("added_tokens") or ()),
        "unknown": unknown,
        "padding": _padding(path, told, vocabulary),
        **_around(path, told.get("post_processor"), vocabulary),
        **_model_options(path, model),
    }


def merges_of(model: dict[str, Any]) -> list[list[str]]:
    """A BPE model's merges as pairs; older files hold each as one text."""
    return [pair.split(" ") if isinstance(pair, str) else list(pair) for pair in model["merges"]]


def _model_options(path: Path, model: dict[str, Any]) -> dict[str, Any]:
    if model["type"] == "WordPiece":
        return {"prefix": model["continuing_subword_prefix"], "longest": model["max_input_chars_per_word"]}
    if model["type"] == "WordLevel":
        return {}
    option = next((name for name in REFUSED if model.get(name)), None)
    if option is not None:
        raise _unusable(path, f"its BPE model's {option}", model[option], ("null",))
    return {"merges": merges_of(model)}


def _by_id(vocabulary: dict[str, int], added: Any) -> list[str | None]:
    ids = {number: token for token, number in vocabulary.items()} | {token["id"]: token["content"] for token in added}
    return [ids.get(number) for number in range(max(ids) + 1)]


def _normalisation(path: Path, told: Any) -> dict[str, Any]:
    steps = told["normalizers"] if told and told["type"] == "Sequence" else [told] if told else []
    how: dict[str, Any] = {"lowercase": False}
    for step in steps:
        if step["type"] == "Lowercase":
            how["lowercase"] = True
        elif step["type"] == "BertNormalizer" and step["clean_text"] and step["handle_chinese_chars"]:
            keeps = step["strip_accents"] is False or (step["strip_accents"] is None and not step["lowercase"])
            how |= {"lowercase": step["lowercase"], "clean": True, "accents": keeps}
        else:
            raise _unusable(path, "its normalizer", step["type"], ("Lowercase", "BertNormalizer"))
    return how


def _split(path: Path, told: Any) -> str:
    kind = told["type"] if told else None
    if kind not in SPLITS:
        raise _unusable(path, "its pre_tokenizer", kind, SPLITS)
    return SPLITS[kind]


def _padding(path: Path, told: Any, vocabulary: dict[str, int]) -> int:
    if told.get("padding"):
        return told["padding"]["pad_id"]
    name = next((name for name in PADDINGS if name in vocabulary), None)
    if name is None:
        raise DataError(f"{path}: the tokenizer has no token to pad with; there is none of {', '.join(PADDINGS)}.")
    return vocabulary[name]


def _around(path: Path, told: Any, vocabulary: dict[str, int]) -> dict[str, list[int]]:
    """What stands before and after every text."""
    if not told:
        return {}
    if told["type"] == "BertProcessing":
        return {"start": [told["cls"][1]], "end": [told["sep"][1]]}
    if told["type"] != "TemplateProcessing":
        raise _unusable(path, "its post_processor", told["type"], ("BertProcessing", "TemplateProcessing"))
    sides: dict[str, list[int]] = {"start": [], "end": []}
    side = "start"
    for piece in told["single"]:
        if "Sequence" in piece:
            side = "end"
        else:
            sides[side] += told["special_tokens"][piece["SpecialToken"]["id"]]["ids"]
    return sides


def _unusable(path: Path, what: str, got: object, known: Any) -> DataError:
    return DataError(
        f"{path}: {what} is {got!r}, which the deployed model could not do in Python alone; it can do "
        f"{', '.join(known)}. Take another tokenizer, or learn one: `tokenizer: {{kind: wordpiece, size: 8000}}`."
    )
