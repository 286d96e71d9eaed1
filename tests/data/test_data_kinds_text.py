"""Texts as token ids: the same ids here, in the package `tokenizers`, and in a bundle's runtime."""

from __future__ import annotations

import inspect
import json
import re
import sys
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from tokenizers import Tokenizer as Library
from tokenizers import models, normalizers, pre_tokenizers, processors

from jumpml.core import DataError, MissingExtraError
from jumpml.core._field_spec import FieldSpec
from jumpml.data import Column
from jumpml.data.kinds import KINDS, RawColumn, decode, decoding, raw_rows
from jumpml.data.kinds import _tokenize as here
from jumpml.data.kinds._tokenize import Tokenizer
from jumpml.data.kinds._tokenizer_file import load_tokenizer
from jumpml.data.kinds._tokenizers import make_tokenizer
from jumpml.deploy import _runtime
from jumpml.deploy._runtime import BundleError, decoder_of
from jumpml.deploy._runtime import decode as decode_deployed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

CORPUS = (
    "The quick brown fox jumps over the lazy dog.",
    "The dog, lazier than the fox, is not amused!",
    "Quickly, foxes jump; dogs do not. It's 10 o'clock.",
    "Ein Übermaß an Füchsen: schön, schöner, am schönsten.",
)
WORDS = st.lists(st.sampled_from(sorted({word for text in CORPUS for word in text.split()})), max_size=8).map(" ".join)
TEXTS = WORDS | st.text(st.characters(codec="latin-1", exclude_categories=["C"])) | st.text()
TOLD: dict[str, dict[str, Any]] = {
    "characters": {"kind": "characters"},
    "words": {"kind": "words", "lowercase": True, "size": 30},
    "bpe": {"kind": "bpe", "size": 80},
    "wordpiece": {"kind": "wordpiece", "size": 80, "lowercase": True},
}


def spec_of(tokenizer: dict[str, Any], length: int = 12) -> Any:
    return TypeAdapter(FieldSpec).validate_python({"kind": "text", "tokenizer": tokenizer, "length": length})


def made(
    texts: Sequence[Any], tokenizer: dict[str, Any], length: int = 12, train: Sequence[int] | None = None
) -> Column:
    """Decodes texts as a data file would say."""
    values = np.array(texts, dtype=object)
    raw = RawColumn(values=values, where="data set 'd', field 'f'", place=lambda row: f"row {row}")
    return decode([raw], spec_of(tokenizer, length), None if train is None else np.array(train))


def deployed(column: Column, values: list[Any]) -> np.ndarray:
    how = json.loads(json.dumps(decoding(column.info("f"))))
    return decode_deployed("f", decoder_of(how), values)


# --- ids --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", TOLD)
@given(texts=st.lists(TEXTS | st.none(), min_size=1, max_size=3))
@settings(max_examples=40)
def test_the_runtime_gives_the_ids_that_training_used(kind: str, texts: list[str | None]) -> None:
    column = made([*CORPUS, *texts], TOLD[kind], train=range(len(CORPUS)))
    assert column.values.shape == (len(CORPUS) + len(texts), 12)
    originals = column.originals
    assert originals is not None
    rows = json.loads(json.dumps(raw_rows({"f": (column.info("f"), column.values)}, {"f": originals})))
    assert [row["f"] for row in rows] == [text or "" for text in (*CORPUS, *texts)]
    got = deployed(column, [row["f"] for row in rows])
    assert got.dtype == np.int64
    np.testing.assert_array_equal(got, column.values.numpy())


def test_the_runtime_s_tokenizer_is_this_one_word_for_word() -> None:
    for name in ("Tokenizer", "_cleaned", "_is_chinese", "_at_punctuation"):
        assert inspect.getsource(getattr(here, name)) == inspect.getsource(getattr(_runtime, name)), name
    assert here.WORDS_KEPT == _runtime.WORDS_KEPT


def library_of(how: dict[str, Any]) -> Library:
    """The package's own model of a learned tokenizer."""
    vocabulary = {token: number for number, token in enumerate(how["vocabulary"])}
    if how["model"] == "bpe":
        return Library(models.BPE(vocabulary, [tuple(pair) for pair in how["merges"]], unk_token="[UNK]"))
    return Library(models.WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=how["longest"]))


def test_a_tokenizer_does_not_remember_every_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(here, "WORDS_KEPT", 2)
    how = {"lowercase": False, "split": "characters", "model": "whole", "vocabulary": "_?abc", "padding": 0}
    tokenizer = here.Tokenizer(how | {"unknown": 1})
    assert tokenizer.ids("abcxyzabc", 9) == ([2, 3, 4, 1, 1, 1, 2, 3, 4], False)
    assert len(tokenizer._known) <= 2


@pytest.mark.parametrize("kind", ["bpe", "wordpiece"])
@given(text=TEXTS)
@settings(max_examples=200)
def test_learned_pieces_are_those_of_the_package(kind: str, text: str) -> None:
    how = make_tokenizer(spec_of(TOLD[kind]).tokenizer, CORPUS, None)  # type: ignore[arg-type]
    reader, library = Tokenizer(how), library_of(how)
    expected = [number for word in reader.words(text) for number in library.encode(word).ids]
    ids, cut = reader.ids(text, len(expected) + 1)
    assert (ids, cut) == ([*expected, 0], False)
    if expected:
        assert reader.ids(text, len(expected)) == (expected, False)
    if len(expected) > 1:
        assert reader.ids(text, len(expected) - 1) == (expected[:-1], True)


def merged_one_by_one(word: str, ranks: dict[tuple[str, str], int]) -> list[str]:
    """Byte pair encoding as its definition says it: of all neighbours the first that was learned, again and again."""
    parts = list(word)
    while len(parts) > 1:
        found = [ranks.get(pair, len(ranks)) for pair in pairwise(parts)]
        best = min(range(len(found)), key=found.__getitem__)
        if found[best] == len(ranks):
            break
        parts[best : best + 2] = [parts[best] + parts[best + 1]]
    return parts


@given(
    st.text("ab", max_size=30),
    st.lists(st.tuples(st.text("ab", min_size=1, max_size=3), st.text("ab", min_size=1, max_size=3)), unique=True),
)
def test_pieces_are_merged_in_the_order_in_which_they_were_learned(word: str, merges: list[tuple[str, str]]) -> None:
    vocabulary = sorted({"a", "b", *(left + right for left, right in merges)})
    how = {"vocabulary": vocabulary, "merges": merges, "model": "bpe", "unknown": -1, "split": "", "lowercase": False}
    ranks = {pair: rank for rank, pair in enumerate(merges)}
    assert [vocabulary[number] for number in Tokenizer(how)._merged(word)] == merged_one_by_one(word, ranks)


def test_a_long_word_is_merged_in_few_steps() -> None:
    class Counted(dict[Any, Any]):
        looked = 0

        def get(self, *key: Any) -> Any:
            self.looked += 1
            return super().get(*key)

    how = {"vocabulary": ["a", "aa", "aaaa"], "merges": [["a", "a"], ["aa", "aa"]], "model": "bpe", "unknown": -1}
    tokenizer = Tokenizer(how)
    tokenizer._ranks = Counted(tokenizer._ranks)
    assert tokenizer._merged("a" * 20_000) == [2] * 5_000
    assert tokenizer._ranks.looked < 10 * 20_000  # each of all neighbours at each of 15,000 merges would be 10^8


def test_a_tokenizer_learns_from_the_train_rows_only() -> None:
    texts = ["a b", "b c", "zzz"]
    column = made(texts, {"kind": "words"}, length=3, train=[0, 1])
    how: Any = column.options["tokenizer"]
    assert how["vocabulary"] == ["[PAD]", "[UNK]", "a", "b", "c"]
    assert column.values.tolist() == [[2, 3, 0], [3, 4, 0], [1, 0, 0]]
    assert column.info("f").value.classes == 5
    assert column.present() is None
    for kind, told in TOLD.items():
        one = made([*CORPUS, "unseen Ünseen"], told, train=range(4))
        for other in ("something else", "and again"):
            assert made([*CORPUS, other], told, train=range(4)).options == one.options, kind


def test_options_of_tokenizers() -> None:
    def vocabulary(**told: Any) -> list[str]:
        how: Any = made(["B b a, Aa"], told).options["tokenizer"]
        return how["vocabulary"][2:]

    assert vocabulary(kind="characters") == [" ", ",", "A", "B", "a", "b"]
    assert vocabulary(kind="characters", lowercase=True, size=4) == [" ", "a"]
    assert vocabulary(kind="words") == [",", "Aa", "B", "a", "b"]
    assert vocabulary(kind="words", lowercase=True, size=3) == ["b"]
    assert vocabulary(kind="words", pattern=r"\S+") == ["Aa", "B", "a,", "b"]
    assert len(vocabulary(kind="bpe", size=100)) > len(vocabulary(kind="bpe", size=6))
    assert "##a" in vocabulary(kind="wordpiece")
    assert "Aa" not in vocabulary(kind="bpe", lowercase=True)
    assert "B" not in vocabulary(kind="bpe", pattern="[a-z]+")


def test_texts_that_were_cut_are_counted() -> None:
    column = made(["a b c", "a", None], {"kind": "words"}, length=2)
    assert column.notes == ("1 of 3 texts are longer than 2 tokens and were cut.",)
    assert column.values.tolist()[2] == [0, 0]


def test_ids_made_elsewhere_need_no_tokenizer() -> None:
    column = Column(made(["a b"], {"kind": "words"}, length=3).values, "text")
    assert column.info("f").value.classes is None
    ((sent,),) = [row.values() for row in raw_rows({"f": (column.info("f"), column.values)}, {})]
    assert sent == [2, 3, 0]
    assert deployed(column, [sent]).tolist() == [[2, 3, 0]]
    for value, text in [
        ("a b", "expected numbers of shape [3], got 'a b'."),
        ([-1, 0, 0], "expected token ids, which are whole numbers from 0."),
    ]:
        with pytest.raises(BundleError, match=re.escape(text)):
            deployed(column, [value])


def test_ids_belong_to_the_vocabulary() -> None:
    column = made(["a b"], {"kind": "words"}, length=2)
    with pytest.raises(BundleError, match=r"expected token ids, which are whole numbers from 0 to 3\."):
        deployed(column, [[2, 4]])
    with pytest.raises(DataError, match="expected ids from 0 to 3, the last of the vocabulary, got 2 to 9"):
        Column(
            column.values.clone().fill_(2).index_fill_(1, column.values[0, :1] - 2, 9), "text", options=column.options
        )


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (["a", 3.5], "row 1: expected a text, got 3.5."),
        (np.zeros((2, 2)), "expected a text a row, got float64 of shape (2,)."),
    ],
)
def test_what_is_no_text(values: Any, text: str) -> None:
    raw = RawColumn(
        values=values if isinstance(values, np.ndarray) else np.array(values, dtype=object),
        where="data set 'd', field 'f'",
        place=lambda row: f"row {row}",
    )
    with pytest.raises(DataError) as error:
        decode([raw], spec_of({"kind": "characters"}))
    assert text in str(error.value)


def test_what_is_no_text_can_be_noted_before_the_splits_are_known() -> None:
    raw = RawColumn(values=np.array(["a", 3], dtype=object), where="w", place=str, skip=True)
    assert KINDS["text"].examined([raw]) == [raw]
    assert raw.rejected == {1: "expected a text, got 3."}


@pytest.mark.parametrize(
    ("pattern", "text"), [("(", "this is no regular expression: "), ("(a)b", "expected a pattern without groups.")]
)
def test_patterns_are_checked_before_a_row_is_read(pattern: str, text: str) -> None:
    ((path, problem, _),) = KINDS["text"].mistakes(spec_of({"kind": "words", "pattern": pattern}))
    assert path == ("tokenizer", "pattern")
    assert problem.startswith(text)


def test_learning_pieces_needs_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(MissingExtraError, match=r"learning a bpe tokenizer needs .* pip install 'jumpml\[text\]'"):
        made(["a"], {"kind": "bpe"})


# --- a tokenizer.json -------------------------------------------------------------------------------------------------


def bert(path: Path, **options: Any) -> Library:
    """A tokenizer like BERT's, its file at the path."""
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "fox", "##es", "jump", "schon", ",", "!", "a", "##b", "中"]
    library = Library(models.WordPiece({token: n for n, token in enumerate(vocabulary)}, unk_token="[UNK]"))  # type: ignore[arg-type]
    library.normalizer = normalizers.BertNormalizer(**options)
    library.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    library.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    library.save(str(path))
    return library


@pytest.mark.parametrize("options", [{}, {"lowercase": False}, {"strip_accents": False}])
@given(text=WORDS | st.text(st.sampled_from("the foxes,jump!schön a\tb 中文\u200b\u0301\ufffd[]")))
@settings(max_examples=100)
def test_a_file_like_bert_s_gives_the_package_s_ids(
    options: dict[str, Any], text: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("bert") / "tokenizer.json"
    expected = bert(path, **options).encode(text).ids
    assert Tokenizer(load_tokenizer(path)).ids(text, len(expected)) == (expected, False)


@pytest.mark.parametrize("model", ["bpe", "words"])
def test_other_files_give_the_package_s_ids(model: str, tmp_path: Path) -> None:
    vocabulary = {"<pad>": 5, "?": 0, "a": 1, "b": 2, "ab": 3, "aba": 4}
    if model == "bpe":
        library = Library(models.BPE(vocabulary, [("a", "b"), ("ab", "a")], unk_token="?"))
        library.pre_tokenizer = pre_tokenizers.Whitespace()
    else:
        library = Library(models.WordLevel(vocabulary, unk_token="?"))
        library.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        library.normalizer = normalizers.Sequence([normalizers.Lowercase()])
    library.post_processor = processors.TemplateProcessing(single="a $A b b", special_tokens=[("a", 1), ("b", 2)])
    library.save(str(tmp_path / "t.json"))
    reader = Tokenizer(load_tokenizer(tmp_path / "t.json"))
    for text in ("ababa bab!", "AB c", "", "a"):
        expected = library.encode(text).ids
        assert reader.ids(text, len(expected) + 2) == ([*expected, 5, 5], False)
    assert reader.ids("ab ab ab ab", 4) == ([1, 3, 2, 2], True)  # the tokens around a text stay


def test_a_file_is_found_from_the_data_file_s_folder(tmp_path: Path) -> None:
    bert(tmp_path / "t.json")
    raw = RawColumn(values=np.array(["the fox"]), where="w", place=str, folder=tmp_path)
    column = decode([raw], spec_of({"kind": "file", "path": "t.json"}, 6), np.array([0]))
    assert column.values.tolist() == [[2, 4, 5, 3, 0, 0]]
    np.testing.assert_array_equal(deployed(column, ["the fox"]), column.values.numpy())
    with pytest.raises(DataError, match="w: expected a length above 2, the tokens around every text; got 2"):
        decode([raw], spec_of({"kind": "file", "path": "t.json"}, 2), np.array([0]))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            {"model": {"type": "Unigram", "vocab": {}}},
            "its model is 'Unigram', which the deployed model could not do in",
        ),
        ({"model": {}}, "this is no tokenizer.json: 'vocab'."),
        (
            {"model": {"type": "WordLevel", "vocab": {"a": 0}}},
            "has no token for what is unknown; give its model an `unk",
        ),
        ({"normalizer": {"type": "NFKC"}}, "its normalizer is 'NFKC'"),
        ({"pre_tokenizer": {"type": "ByteLevel"}}, "its pre_tokenizer is 'ByteLevel'"),
        ({"pre_tokenizer": None}, "its pre_tokenizer is None"),
        ({"post_processor": {"type": "RobertaProcessing"}}, "its post_processor is 'RobertaProcessing'"),
        (
            {"model": {"type": "BPE", "vocab": {"?": 0, "<pad>": 1}, "unk_token": "?", "merges": [], "dropout": 0.1}},
            "its BPE model's dropout is 0.1, which the deployed model could not do in Python alone; it can do null.",
        ),
        (
            {"model": {"type": "WordLevel", "vocab": {"?": 0}, "unk_token": "?"}},
            "the tokenizer has no token to pad with; there is none of [PAD], <pad>, <PAD>, <|padding|>.",
        ),
    ],
)
def test_files_that_cannot_be_used(change: dict[str, Any], text: str, tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    bert(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(DataError) as error:
        load_tokenizer(path)
    assert str(error.value).startswith(f"{path}: ")
    assert text in str(error.value)


def test_a_file_that_is_not_there_or_no_json(tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text("[")
    for name in ("t.json", "none.json"):
        with pytest.raises(DataError, match=r"json: this is no tokenizer\.json: "):
            load_tokenizer(tmp_path / name)
