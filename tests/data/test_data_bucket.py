"""Texts of similar length in one batch, cut to the longest; and their masks."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

import jumpml
from jumpml.blocks import Pool
from jumpml.core import DataError, DataSpec, SpecError, Task, ValueInfo, load_spec
from jumpml.data import (
    Bag,
    Balanced,
    Bucketed,
    Column,
    DataLoaders,
    DropTokens,
    MaskTokens,
    Mixture,
    Shuffled,
    Streamed,
    Weighted,
    build_dataloader,
)
from jumpml.evaluate import predict
from jumpml.graph import Model, Node

if TYPE_CHECKING:
    from pathlib import Path

    from jumpml.data import Order

ROWS, LENGTH, WORDS = 90, 40, 12
SPLITS = {"train": torch.arange(60), "val": torch.arange(60, 75), "test": torch.arange(75, 90)}


def texts(seed: int = 0, padding: int = 0) -> tuple[Tensor, Tensor]:
    """Ids and lengths: row 0 is empty, row 1 as long as a row can be."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, 30, (ROWS,), generator=generator)
    lengths[:2] = torch.tensor([0, LENGTH])
    ids = torch.randint(1, WORDS, (ROWS, LENGTH), generator=generator)
    return ids.masked_fill(torch.arange(LENGTH) >= lengths[:, None], padding), lengths


def loaders_of(seed: int = 0, **options: Any) -> DataLoaders:
    columns = {
        "message": Column(texts(seed)[0], "text"),
        "label": Column(torch.arange(ROWS) % 2, "category", classes=("no", "yes")),
        "price": Column(torch.arange(ROWS).float()[:, None], "number"),
    }
    return DataLoaders(columns, SPLITS, batch_size=8, **options)


def orders() -> dict[str, Order]:
    """One of each way to draw rows; all but the weighted and the balanced serve each of 60 rows once."""
    rows = torch.arange(60)
    return {
        "shuffled": Mixture({"a": Shuffled(rows)}),
        "mixed": Mixture({"a": Shuffled(rows[:20]), "b": Shuffled(rows[20:])}),
        "streamed": Mixture({"a": Streamed(rows.split(15), buffer=7)}),
        "weighted": Mixture({"a": Weighted(rows, torch.rand(60, generator=torch.Generator().manual_seed(0)))}),
        "balanced": Mixture({"a": Balanced([rows[:10], rows[10:]])}),
    }


# --- the order --------------------------------------------------------------------------------------------------------


@given(kind=st.sampled_from(sorted(orders())), batch_size=st.integers(1, 70), seed=st.integers(0, 3))
def test_a_bucketed_order_serves_the_rows_of_the_order_that_it_wraps(kind: str, batch_size: int, seed: int) -> None:
    order, lengths = orders()[kind], texts(seed)[1][:60]
    plain, bucketed = (made.epoch(seed, 2, batch_size) for made in (order, Bucketed(order, lengths)))
    assert sorted(bucketed.positions.tolist()) == sorted(plain.positions.tolist())
    assert sorted(bucketed.sizes) == sorted(plain.sizes)
    assert len(bucketed.sizes) == Bucketed(order, lengths).batches(batch_size)


@given(seed=st.integers(0, 9), batch_size=st.sampled_from([1, 2, 3, 7]))
def test_within_a_stretch_of_fifty_batches_no_two_batches_overlap_in_length(seed: int, batch_size: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(0, 1000, (50 * batch_size,), generator=generator)
    epoch = Bucketed(Mixture({"a": Shuffled(torch.arange(len(lengths)))}), lengths).epoch(seed, 0, batch_size)
    spans = sorted((int(part.min()), int(part.max())) for part in lengths[epoch.positions].split(epoch.sizes))
    assert len(spans) == 50
    assert all(one[1] <= other[0] for one, other in pairwise(spans))


def test_rows_are_sorted_in_stretches_and_not_over_the_whole_epoch() -> None:
    """Batches of one row: of 200, the first 50 that are drawn are the first 50 that are served."""
    order, lengths = Mixture({"a": Shuffled(torch.arange(200))}), torch.arange(200)
    plain, bucketed = order.epoch(0, 0, 1), Bucketed(order, lengths).epoch(0, 0, 1)
    places = {row: place for place, row in enumerate(plain.positions.tolist())}
    stretches = [places[row] // 50 for row in bucketed.positions.tolist()]
    assert sorted(stretches) == [stretch for stretch in range(4) for _ in range(50)]
    assert stretches != sorted(stretches)  # batches of all stretches are shuffled together


def test_epochs_and_seeds_differ_and_equal_ones_do_not() -> None:
    order = Bucketed(Mixture({"a": Shuffled(torch.arange(60))}), texts()[1][:60])
    served = {at: order.epoch(*at, 8).positions.tolist() for at in ((0, 0), (0, 1), (1, 0))}
    assert len({tuple(rows) for rows in served.values()}) == 3
    assert all(order.epoch(*at, 8).positions.tolist() == rows for at, rows in served.items())


# --- batches ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_a_batch_is_as_long_as_its_longest_row_rounded_up_to_eight(split: str, keep: bool) -> None:
    ids, lengths = texts()
    loaders = loaders_of(bucket="message", keep=keep)
    loaders.bind(["message", "message.mask"])
    loader = getattr(loaders, split)
    rows = loader.rows[loader.order(0)]
    parts = rows.split([len(batch["label"]) for batch in loader])
    loader.epoch = 0
    for part, batch in zip(parts, loader, strict=True):
        width = min(LENGTH, -(-max(int(lengths[part].max()), 1) // 8) * 8)
        assert batch["message"].shape == (len(part), width) and batch["message"].is_contiguous()
        assert batch["message"].equal(ids[part, :width])
        assert batch["message.mask"].equal(torch.arange(width) < lengths[part][:, None])


def test_without_bucket_batches_are_whole_and_without_a_reader_there_is_no_mask() -> None:
    loaders = loaders_of()
    assert all(set(batch) == {"message", "label", "price"} for batch in loaders.train)
    assert all(batch["message"].shape[1] == LENGTH for batch in loaders.train)
    loaders.bind(["message", "message.mask"])
    assert all(batch["message.mask"].shape[1] == LENGTH for batch in loaders.val.plain())
    loaders.train.serve(["message", "label"], [])
    assert all(set(batch) == {"message", "label"} for batch in loaders.train)


def test_a_text_with_features_is_left_whole_and_so_is_its_mask() -> None:
    loaders = loaders_of(bucket="message", features={"message": [Bag()]})
    loaders.bind(["message", "message.mask"])
    assert all(batch["message"].shape[1] == WORDS for batch in loaders.train)
    assert all(batch["message.mask"].shape[1] == LENGTH for batch in loaders.train)
    assert loaders.shortest() == {}


def test_the_shortest_batch_that_may_come() -> None:
    shapes = {name: value.shape for name, value in loaders_of(bucket="message").shortest().items()}
    assert shapes == {"message": (8,), "message.mask": (8,)}
    assert loaders_of().shortest() == {}


def test_a_tokenizer_s_own_padding_is_masked_and_cut() -> None:
    ids, lengths = texts(padding=5)
    ids = torch.where((ids == 5) & (torch.arange(LENGTH) < lengths[:, None]), 0, ids)
    vocabulary: Any = [str(number) for number in range(WORDS)]
    column = Column(ids, "text", options={"tokenizer": {"vocabulary": vocabulary, "padding": 5, "unknown": 1}})
    loaders = DataLoaders({"message": column}, SPLITS, batch_size=8, bucket="message")
    loaders.bind(["message.mask"])
    for batch in loaders.val:
        assert batch["message.mask"].equal(batch["message"] != 5)
    assert sum(int(batch["message.mask"].sum()) for batch in loaders.val) == int(lengths[60:75].sum())


@given(batches=st.integers(0, 8), seed=st.integers(0, 3))
def test_resume_at_any_batch_equals_no_interruption(batches: int, seed: int) -> None:
    whole, resumed = (
        loaders_of(bucket="message", augment={"message": [MaskTokens(0.5)]}, seed=seed).train for _ in range(2)
    )
    resumed.load_state_dict({"epoch": 0, "batch": batches})
    left = list(whole)[batches:]
    for expected, got in zip(left, resumed, strict=True):
        assert expected.keys() == got.keys() and all(expected[key].equal(got[key]) for key in expected)


# --- masks of what is drawn -------------------------------------------------------------------------------------------


def test_the_mask_is_that_of_the_augmented_tokens_and_of_each_view() -> None:
    steps = {"message": [DropTokens(0.5)]}
    loaders = loaders_of(bucket="message", augment=steps, views={"strong": steps})
    loaders.bind(["message", "message.mask"])
    loaders.train.serve(["message", "message.mask"], ["strong.0"])
    lost = 0
    for batch in loaders.train:
        assert set(batch) == {"message", "message.mask", "message@strong.0", "message.mask@strong.0"}
        for draw in ("", "@strong.0"):
            assert batch[f"message.mask{draw}"].equal(batch[f"message{draw}"] != 0)
        lost += int(batch["message.mask"].sum() - batch["message.mask@strong.0"].sum())
    assert lost != 0


def test_no_view_has_a_mask_that_nothing_reads() -> None:
    loaders = loaders_of(views={"strong": {"message": [DropTokens(0.5)]}})
    loaders.train.serve(["label"], ["strong.0"])
    assert set(next(iter(loaders.train))) == {"label", "message@strong.0"}


# --- what is said of them ---------------------------------------------------------------------------------------------


def test_info_of_a_mask() -> None:
    assert loaders_of().info("message.mask") == ValueInfo(shape=(LENGTH,), dtype="bool")
    assert loaders_of().readable == (
        *("message", "label", "price", "message.mask"),
        *("message.present", "label.present", "price.present"),
    )


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("message.maks", "has no field 'message.maks'. Did you mean 'message.mask' or 'message'?"),
        ("price.mask", "has no field 'price.mask'. Only a text has a mask, and 'price' is a number."),
        ("massage.mask", "has no field 'massage.mask'. Did you mean 'message.mask' or 'message'?"),
    ],
)
def test_what_is_no_mask(name: str, told: str) -> None:
    for ask in (loaders_of().info, lambda mask: loaders_of().bind([mask])):
        with pytest.raises(DataError) as caught:
            ask(name)
        assert told in str(caught.value)


@pytest.mark.parametrize(
    ("bucket", "told"),
    [
        ("massage", "bucket: there is no field 'massage'. Did you mean 'message'?"),
        ("price", "bucket: expected a text field, got 'price', a number."),
    ],
)
def test_what_batches_cannot_be_made_by(bucket: str, told: str) -> None:
    with pytest.raises(DataError) as caught:
        loaders_of(bucket=bucket)
    assert str(caught.value) == told


def two_sets(folder: Path, **keys: Any) -> DataSpec:
    """A file of two data sets: texts of up to 7 and of up to 30 words, 60 rows each."""
    datasets = {}
    for name, longest in (("short", 7), ("long", 30)):
        rows = (f"{' '.join(f'w{row}x{n}' for n in range(1 + row % longest))},{row}\n" for row in range(60))
        (folder / f"{name}.csv").write_text("text,n\n" + "".join(rows))
        text = {"kind": "text", "length": 32, "tokenizer": {"kind": "words"}}
        source = {"kind": "csv", "path": str(folder / f"{name}.csv")}
        datasets[name] = {"source": source, "fields": {"text": text, "n": {"kind": "number"}}}
    return load_spec(DataSpec, {"datasets": datasets, "batch_size": 4, **keys})


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"bucket": "txet"}, "bucket: there is no field 'txet'. Did you mean 'text'?"),
        ({"bucket": "n"}, "bucket: expected a text field, got 'n', a number."),
        (
            {"bucket": "text", "mix": {"by": "round_robin"}},
            "bucket: batches of rows of similar length cannot keep the data sets apart, as `mix` asks with "
            "`by: round_robin`. Leave one of the two out.",
        ),
        (
            {"bucket": "text", "mix": {"by": "uniform", "batches": "separate"}},
            "bucket: batches of rows of similar length cannot keep the data sets apart, as `mix` asks with "
            "`batches: separate`. Leave one of the two out.",
        ),
    ],
)
def test_what_a_file_cannot_ask_for(tmp_path: Path, keys: dict[str, Any], told: str) -> None:
    with pytest.raises(SpecError) as caught:
        build_dataloader(two_sets(tmp_path, **keys))
    assert told in str(caught.value)


@pytest.mark.parametrize("keys", [{}, {"mix": {"by": "uniform"}}, {"storage": "disk"}])
def test_it_goes_with_mixed_data_sets_and_with_a_table_on_disk(tmp_path: Path, keys: dict[str, Any]) -> None:
    loaders = build_dataloader(two_sets(tmp_path, bucket="text", **keys))
    widths = {batch["text"].shape[1] for batch in loaders.train}
    assert widths == {8, 16, 24, 32}


# --- what a model gives -----------------------------------------------------------------------------------------------


def masked_model(loaders: DataLoaders, seed: int) -> Model:
    """Two classes from the mean of the tokens' vectors."""
    nodes = {
        "vectors": Node(nn.Embedding(WORDS, 6), "message"),
        "mean": Node(Pool(), ["vectors", "message.mask"]),
        "out": Node(nn.LazyLinear(2), "mean"),
    }
    return Model(
        inputs={name: loaders.info(name) for name in ("message", "message.mask")},
        nodes=nodes,
        tasks={"label": Task(kind="multiclass", output="out", target="label")},
        fields=loaders.fields,
        seed=seed,
    )


@given(seed=st.integers(0, 20))
def test_a_masked_model_gives_the_same_of_cut_and_of_whole_texts(seed: int) -> None:
    whole, cut = loaders_of(seed), loaders_of(seed, bucket="message")
    model = masked_model(whole, seed)
    for loaders in (whole, cut):
        loaders.bind(model.inputs)
    expected, got = (predict(loaders, model, "val")["label"].output for loaders in (whole, cut))
    assert torch.allclose(got, expected, atol=1e-6, rtol=0)
    assert next(cut.val.plain())["message"].shape[1] < LENGTH


# --- real texts -------------------------------------------------------------------------------------------------------


def test_bucketing_saves_padding_on_real_messages(shared_data: Path) -> None:
    """A count of the padded tokens of one epoch of the SMS spam collection (Almeida et al. 2011) in batches of 32.

    Whole texts have 171,389, random batches that are cut 136,317, bucketed ones 15,741, as counted when this was
    written; the factors leave room.
    """
    source = {"kind": "csv", "path": str(shared_data / "sms_spam" / "SMSSpamCollection"), "delimiter": "\t"}
    data: dict[str, Any] = {
        "datasets": {
            "messages": {
                "source": {**source, "header": ["label", "message"], "quote": None, "missing": []},
                "fields": {
                    "message": {"kind": "text", "length": 64, "tokenizer": {"kind": "words"}},
                    "label": {"kind": "category"},
                },
                "split": {"stratify": "label", "duplicates": "together"},
            }
        },
        "batch_size": 32,
    }
    plain, bucketed = jumpml.create_dataloader(data), jumpml.create_dataloader({**data, "bucket": "message"})
    for loaders in (plain, bucketed):
        loaders.bind(["message", "message.mask"])
    masks = [batch["message.mask"] for batch in plain.train]
    whole = sum(int((~mask).sum()) for mask in masks)
    cut = sum(int((~mask[:, : -(-int(mask.sum(1).max()) // 8) * 8]).sum()) for mask in masks)
    sorted_ = sum(int((~batch["message.mask"]).sum()) for batch in bucketed.train)
    assert sum(int(mask.sum()) for mask in masks) == sum(int(b["message.mask"].sum()) for b in bucketed.train)
    assert sorted_ * 8 < whole and sorted_ * 6 < cut
    model = {
        "nodes": {
            "vectors": {
                "module": "torch.nn.Embedding",
                "inputs": "message",
                "args": {
                    "num_embeddings": len(bucketed.fields["message"].options["tokenizer"]["vocabulary"]),  # type: ignore[index, call-overload, arg-type]
                    "embedding_dim": 16,
                },
            },
            "mean": {"module": "jumpml.blocks.Pool", "inputs": ["vectors", "message.mask"]},
            "which": {"module": "jumpml.blocks.Head", "inputs": "mean"},
        },
        "tasks": {"label": {"kind": "binary", "output": "which", "target": "label"}},
    }
    made = jumpml.load_model(model, bucketed, seed=0)
    options = {"optimizer": {"kind": "adam", "lr": 0.01}, "phases": {"supervised": {"epochs": 2}}, "log": []}
    learner = jumpml.create_learner(bucketed, made, options=options)
    learner.fit()
    # always saying "ham" is right for 0.86 of the rows
    assert jumpml.eval_model(bucketed, made)["label/accuracy"].value > 0.95
