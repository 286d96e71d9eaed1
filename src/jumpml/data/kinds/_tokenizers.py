"""Tokenizers, learned from the train rows or loaded, as the plain values that `Tokenizer` reads."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from jumpml.core import MissingExtraError
from jumpml.data.kinds._tokenize import Tokenizer
from jumpml.data.kinds._tokenizer_file import load_tokenizer, merges_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

PADDING, UNKNOWN = "[PAD]", "[UNK]"  # ids 0 and 1
LONGEST = 100  # characters of a word that wordpiece looks up


def make_tokenizer(told: Any, texts: Iterable[str], folder: Path) -> dict[str, Any]:
    """A tokenizer as the data file asks for it.

    Args:
        told: What the file says: ``kind``, and that kind's options.
        texts: Those of the train rows.
        folder: Where a path starts.

    Raises:
        DataError: A tokenizer's file cannot be used.
        MissingExtraError: It is to be learned, and the package `tokenizers` is not installed.
    """
    if told.kind == "file":
        return load_tokenizer(folder / told.path)
    split = "characters" if told.kind == "characters" else told.pattern
    model = {"characters": "whole", "words": "whole"}.get(told.kind, told.kind)
    how = {"lowercase": told.lowercase, "split": split, "model": model, "padding": 0, "unknown": 1}
    reader = Tokenizer(how | {"vocabulary": []})
    counts = Counter(word for text in texts for word in reader.words(text))
    if model == "whole":
        most = counts.most_common() if told.size is None else _most(counts, told.size - 2)
        return how | {"vocabulary": [PADDING, UNKNOWN, *sorted(word for word, _ in most)]}
    return how | _learned(told.kind, told.size, counts)


def _most(counts: Counter[str], size: int) -> list[tuple[str, int]]:
    """The most frequent words; of equally frequent ones the first by the alphabet."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:size]


def _learned(kind: str, size: int, counts: Counter[str]) -> dict[str, Any]:
    try:
        import tokenizers
        from tokenizers import models, trainers
    except ImportError:
        raise MissingExtraError("tokenizers", "text", f"learning a {kind} tokenizer") from None
    options: dict[str, Any] = {"vocab_size": size, "show_progress": False}
    if kind == "bpe":
        model: Any = models.BPE(unk_token=UNKNOWN)
        trainer: Any = trainers.BpeTrainer(**options, special_tokens=[PADDING, UNKNOWN])
    else:
        # Without ids from the start, the pieces of one letter would get them in an order that is another each time.
        letters = sorted({f"##{letter}" for word in counts for letter in word[1:]})
        model = models.WordPiece(unk_token=UNKNOWN)
        trainer = trainers.WordPieceTrainer(**options, special_tokens=[PADDING, UNKNOWN, *letters])
    learner = tokenizers.Tokenizer(model)
    learner.train_from_iterator(_repeated(counts), trainer)
    vocabulary = [token for token, _ in sorted(learner.get_vocab().items(), key=lambda item: item[1])]
    if kind == "wordpiece":
        return {"vocabulary": vocabulary, "prefix": "##", "longest": LONGEST}
    return {"vocabulary": vocabulary, "merges": merges_of(json.loads(learner.to_str())["model"])}


def _repeated(counts: Counter[str]) -> Iterable[list[str]]:
    """Each word as often as it stands in the texts: a sequence is a word where nothing splits it further."""
    return ([word] * count for word, count in sorted(counts.items()))
