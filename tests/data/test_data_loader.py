"""Batches are functions of seed, epoch and batch: shuffled, augmented, drawn as views, and resumed exactly."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jumpml.core import CheckpointError, DataError
from jumpml.data import Epoch, Order, Round

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jumpml.data import DataLoaders

Batch = dict[str, torch.Tensor]
VIEWS = {"strong.0", "strong.1", "weak.0"}
shared = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)


def assert_same(left: list[Batch], right: list[Batch]) -> None:
    """Equal batches, key by key and bit by bit."""
    assert len(left) == len(right)
    for one, other in zip(left, right, strict=True):
        assert list(one) == list(other)
        for key in one:
            torch.testing.assert_close(one[key], other[key], rtol=0, atol=0, equal_nan=True)


def test_assert_same_can_fail() -> None:
    one = {"x": torch.ones(2)}
    assert_same([one], [{"x": torch.ones(2)}])
    for other in ([], [{}], [{"y": torch.ones(2)}], [{"x": torch.zeros(2)}]):
        with pytest.raises(AssertionError):
            assert_same([one], other)


def bound(loaders: DataLoaders) -> DataLoaders:
    loaders.bind(["image", "age"])
    loaders.train.serve(None, VIEWS)
    return loaders


# --- what a batch holds ---------------------------------------------------------------------------------------------


def test_a_batch_holds_fields_who_is_present_and_views(loaders: DataLoaders) -> None:
    batch = next(iter(bound(loaders).train))
    assert {key: (tuple(values.shape), values.dtype) for key, values in batch.items()} == {
        "age": ((8, 1), torch.float32),
        "sex": ((8,), torch.int64),
        "row": ((8, 1), torch.float32),
        "age.present": ((8,), torch.bool),
        "sex.present": ((8,), torch.bool),
        "image": ((8, 1, 4, 4), torch.float32),
        "age@strong.0": ((8, 1), torch.float32),
        "image@strong.0": ((8, 1, 4, 4), torch.float32),
        "age@strong.1": ((8, 1), torch.float32),
        "image@strong.1": ((8, 1, 4, 4), torch.float32),
        "image@weak.0": ((8, 1, 4, 4), torch.float32),
    }
    assert not any(values.requires_grad for values in batch.values())


def test_only_what_is_asked_for_is_made(loaders: DataLoaders) -> None:
    loaders.train.serve(["sex"], ())
    assert set(next(iter(loaders.train))) == {"sex", "sex.present"}
    loaders.train.serve([], {"strong.0"})
    assert set(next(iter(loaders.train))) == {"image@strong.0", "age@strong.0", "age.present"}
    loaders.train.serve(["image"], ())
    assert set(next(iter(loaders.train))) == {"image"}
    loaders.train.serve([], ())
    assert list(loaders.train) == [{}, {}, {}, {}]
    loaders.train.serve(None, ())
    assert set(next(iter(loaders.train))) == {"image", "age", "age.present", "sex", "sex.present", "row"}
    loaders.val.serve(["row"], ())
    assert set(next(iter(loaders.val))) == {"row"}


def test_what_cannot_be_served(loaders: DataLoaders) -> None:
    with pytest.raises(DataError, match=r"the data has no field 'imgae'. Did you mean 'image'\?"):
        loaders.train.serve(["imgae"], ())
    with pytest.raises(DataError, match=r"such as 'strong.0'; got 'storng.0'. Did you mean 'strong'\?"):
        loaders.train.serve(None, ["storng.0"])
    with pytest.raises(DataError, match=r"expected the name and number of a view, such as 'strong.0'; got 'strong'"):
        loaders.train.serve(None, ["strong"])
    with pytest.raises(DataError, match=r"such as 'strong.0'; got 'storng.0'. Did you mean 'strong'\?"):
        loaders.val.plain(["storng.0"])
    assert "image" in next(iter(loaders.train))  # what was served before still is


def test_present_says_who_is_there(loaders: DataLoaders) -> None:
    for batch in bound(loaders).train.plain():
        rows = batch["row"].flatten().long()
        assert torch.equal(batch["age.present"], rows % 9 != 0)
        assert (batch["age"][~batch["age.present"]] == 0).all()
        assert torch.equal(batch["sex.present"], batch["sex"] >= 0)


# --- order ----------------------------------------------------------------------------------------------------------


def test_train_order_is_a_function_of_seed_and_epoch(loaders: DataLoaders, fresh: Callable[..., DataLoaders]) -> None:
    train = loaders.train
    orders = [train.order(epoch) for epoch in range(3)]
    for epoch, order in enumerate(orders):
        assert torch.equal(order.sort().values, torch.arange(30))
        assert train.epoch == epoch
        served = torch.cat([batch["row"] for batch in train]).flatten().long()
        assert torch.equal(served, train.rows[order])
    assert not torch.equal(orders[0], orders[1])
    assert torch.equal(fresh().train.order(1), orders[1])
    other = fresh()
    other.seed = 1
    assert other.seed == 1
    assert not torch.equal(other.train.order(1), orders[1])


def test_val_and_plain_keep_the_order_and_augment_nothing(loaders: DataLoaders) -> None:
    loaders.bind(["image"])
    assert torch.equal(loaders.val.order(5), torch.arange(10))
    assert torch.equal(torch.cat([batch["row"] for batch in loaders.val]).flatten().long(), loaders.val.rows)
    assert_same(list(loaders.val), list(loaders.val.plain()))
    plain = list(bound(loaders).train.plain())
    assert_same(plain, list(loaders.train.plain()))
    whole = {key: torch.cat([batch[key] for batch in plain]) for key in plain[0]}
    assert torch.equal(whole["row"].flatten().long(), loaders.train.rows)
    assert torch.equal(whole["image"], loaders.features({"image": loaders.train.decoded("image")})["image"])


@pytest.mark.parametrize(("batch_size", "sizes"), [(8, [8, 8, 8, 6]), (30, [30]), (64, [30]), (1, [1] * 30)])
def test_the_last_batch_is_as_long_as_rows_are_left(
    fresh: Callable[..., DataLoaders], batch_size: int, sizes: list[int]
) -> None:
    train = fresh(batch_size).train
    assert len(train) == len(sizes)
    assert [len(batch["row"]) for batch in train] == sizes
    assert [len(batch["row"]) for batch in train.plain()] == sizes


def test_blocks_change_nothing(fresh: Callable[..., DataLoaders], monkeypatch: pytest.MonkeyPatch) -> None:
    whole = list(bound(fresh()).train)
    monkeypatch.setattr("jumpml.data._batches.BLOCK_BYTES", 1)  # one batch a gather
    assert_same(whole, list(bound(fresh()).train))


def test_writing_into_a_batch_harms_no_other(loaders: DataLoaders) -> None:
    before = [{key: values.clone() for key, values in batch.items()} for batch in loaders.val]
    for source in (loaders.val, loaders.val.plain()):
        for batch in source:
            batch["row"].zero_()
            batch["image"].zero_()
    assert_same(before, list(loaders.val))


# --- draws ----------------------------------------------------------------------------------------------------------


def test_draws_are_functions_of_seed_epoch_and_batch(fresh: Callable[..., DataLoaders]) -> None:
    one = bound(fresh())
    epochs = [list(one.train) for _ in range(3)]
    torch.manual_seed(99)  # torch's global generator has no part in it
    other = bound(fresh())
    other.train.epoch = 2
    assert_same(epochs[2], list(other.train))
    # One batch alone, and with fewer things served beside it.
    other.train.load_state_dict({"epoch": 1, "batch": 3})
    other.train.serve(["image"], {"strong.1"})
    alone = next(iter(other.train))
    assert_same([alone], [{key: epochs[1][3][key] for key in alone}])


def test_draws_differ_by_view_number_epoch_batch_and_seed(fresh: Callable[..., DataLoaders]) -> None:
    def draws(loaders: DataLoaders, epoch: int) -> list[torch.Tensor]:
        """Noise alone, of one and the same row, as every view and batch draws it."""
        loaders.train.serve(["row"], {"strong.0", "strong.1"})
        loaders.train.epoch = epoch
        found = []
        for batch in loaders.train:
            clean = loaders.train.decoded("age")[batch["row"].flatten().long()]
            found += [(batch[f"age@strong.{number}"] - clean)[:6] for number in (0, 1)]
        return found

    everything = [*draws(fresh(), 0), *draws(fresh(), 1), *draws(fresh(seed=5), 0)]
    keys = {tuple(values[~values.isnan()].tolist()) for values in everything}
    assert len(keys) == len(everything) == 24


def test_views_start_from_unaugmented_rows(fresh: Callable[..., DataLoaders]) -> None:
    loaders = bound(fresh())
    clean = loaders.features({"image": loaders.train.decoded("image")})["image"]
    std = 0.1 / loaders.features.state_dict()["field_image.0.std"].item()
    for batch in loaders.train:
        rows = batch["row"].flatten().long()
        noise = (batch["image@weak.0"] - clean[rows]) / std
        assert noise.abs().max() < 5.5  # of 480 standard normal draws
        assert not torch.equal(batch["image"], clean[rows])


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_plain_rows_come_with_views_that_are_functions_of_seed_number_and_batch(
    fresh: Callable[..., DataLoaders], split: str
) -> None:
    def served(number: int = 0, **options: int) -> list[Batch]:
        loaders = bound(fresh(**options))
        return list(getattr(loaders, split).plain(VIEWS, number=number))

    first = served()
    assert_same(first, served())
    drawn = {f"image@{draw}" for draw in VIEWS} | {"age@strong.0", "age@strong.1"}
    assert set(first[0]) == {"image", "age", "age.present", "sex", "sex.present", "row"} | drawn
    plain = [{key: batch[key] for key in batch if "@" not in key} for batch in first]
    assert_same(plain, list(getattr(bound(fresh()), split).plain()))  # what is not drawn is neither augmented
    views = [[batch["image@strong.0"] for batch in served(**how)] for how in ({}, {"number": 1}, {"seed": 5})]
    assert not torch.equal(views[0][0], first[0]["image@strong.1"])
    assert not torch.equal(views[0][0], views[1][0])
    assert not torch.equal(views[0][0], views[2][0])


def test_any_loader_serves_views(loaders: DataLoaders) -> None:
    bound(loaders).val.serve(None, {"weak.0"})
    batch = next(iter(loaders.val))
    assert "image@weak.0" in batch
    assert torch.equal(batch["image"], next(loaders.val.plain())["image"])


# --- state ----------------------------------------------------------------------------------------------------------


@shared
@given(epoch=st.integers(0, 3), batch=st.integers(0, 4), batch_size=st.sampled_from([8, 15, 30]))
def test_resuming_at_any_batch_equals_no_interruption(
    fresh: Callable[..., DataLoaders], epoch: int, batch: int, batch_size: int
) -> None:
    one = bound(fresh(batch_size))
    batch = min(batch, len(one.train))
    one.train.epoch = epoch
    served = iter(one.train)
    for _ in range(batch):
        next(served)
    state = one.train.state_dict()
    assert state == {"epoch": epoch, "batch": batch}
    rest = [*served, *one.train]

    other = bound(fresh(batch_size))
    other.train.load_state_dict(state)
    assert other.train.state_dict() == state
    assert other.train.epoch == epoch
    assert_same(rest, [*other.train, *other.train])
    assert one.train.state_dict() == other.train.state_dict() == {"epoch": epoch + 2, "batch": 0}


def test_an_iteration_that_is_left_is_not_taken_up_again(loaders: DataLoaders) -> None:
    train = loaders.train
    left = iter(train)
    next(left)
    assert train.state_dict() == {"epoch": 0, "batch": 1}
    assert train.epoch == 1
    rows = torch.cat([batch["row"] for batch in train]).flatten().long()
    assert torch.equal(rows, train.rows[train.order(1)])
    next(left)  # the one that was left no longer says where the loader stands
    assert train.state_dict() == {"epoch": 2, "batch": 0}


@pytest.mark.parametrize(
    "state", [{}, {"epoch": 0}, {"epoch": -1, "batch": 0}, {"epoch": 0, "batch": 5}, {"epoch": 0, "batch": "1"}]
)
def test_a_foreign_state_is_refused(loaders: DataLoaders, state: dict[str, object]) -> None:
    with pytest.raises(
        CheckpointError, match=r"expected an epoch from 0 and a batch from 0 to 4, got \{.*batch size another"
    ):
        loaders.train.load_state_dict(state)


# --- rounds that say what they hold, and rows alone -----------------------------------------------------------------


class Told(Order):
    """Two rounds of two batches each, of which the second says otherwise."""

    def __init__(self, order: Order, second: Round) -> None:
        self._order, self._second = order, second

    def epoch(self, seed: int, epoch: int, batch_size: int) -> Epoch:
        return self._order.epoch(seed, epoch, batch_size)

    def batches(self, batch_size: int) -> int:
        return self._order.batches(batch_size)

    def rounds(self, seed: int, epoch: int, batch_size: int, first: int = 0) -> Iterator[Round]:
        whole = self.epoch(seed, epoch, batch_size)
        count = sum(whole.sizes[:2])
        yield Round(Epoch(whole.positions[:count], whole.sizes[:2]))
        yield self._second._replace(epoch=whole.since(2))


def told(loaders: DataLoaders, **second: object) -> list[Batch]:
    bound(loaders)
    nothing = Epoch(torch.arange(0), ())
    order = Told(loaders.train.drawing(), Round(nothing)._replace(**second))
    loaders.train.serve(None, VIEWS, order=order)
    return list(loaders.train)


def test_a_round_says_which_draws_it_holds(fresh: Callable[..., DataLoaders]) -> None:
    whole, found = list(bound(fresh()).train), told(fresh(), draws=("weak.0",))
    assert_same(found[:2], whole[:2])
    assert_same(found[2:], [{key: batch[key] for key in found[2]} for batch in whole[2:]])
    assert {key for key in found[2] if "@" in key} == {"image@weak.0"}


def test_a_round_says_what_takes_the_place_of_augmentation(fresh: Callable[..., DataLoaders]) -> None:
    whole = list(bound(fresh()).train)
    clean = {key: torch.cat([batch[key] for batch in bound(fresh()).train.plain()]) for key in ("image", "age")}
    plain, strong = told(fresh(), augment="plain"), told(fresh(), augment="strong")
    for found in (plain, strong):
        assert_same(found[:2], whole[:2])
    place = fresh().train.order(0).split(8)
    for number in (2, 3):
        assert torch.equal(plain[number]["image"], clean["image"][place[number]])
        for key in ("image", "age"):
            changed = strong[number][key]
            assert not torch.equal(changed.nan_to_num(), clean[key][place[number]].nan_to_num())
            assert not torch.equal(changed, strong[number][f"{key}@strong.0"])  # a draw of its own
    with pytest.raises(DataError, match="Did you mean 'strong'"):
        told(fresh(), augment="strnog")


def test_some_rows_come_as_a_batch_without_augmentation(fresh: Callable[..., DataLoaders]) -> None:
    loaders = bound(fresh())
    whole = {key: torch.cat([batch[key] for batch in bound(fresh()).train.plain()]) for key in ("image", "age")}
    rows, before = torch.tensor([7, 0, 7]), loaders.train.state_dict()
    batch = loaders.train.batch(rows, ["image", "age"], ["strong.0"])
    assert set(batch) == {"image", "age", "age.present", "image@strong.0", "age@strong.0"}
    assert_same([{key: batch[key] for key in whole}], [{key: values[rows] for key, values in whole.items()}])
    again = loaders.train.batch(rows, ["image"], ["strong.0"])
    assert torch.equal(again["image@strong.0"], batch["image@strong.0"])
    assert not torch.equal(
        loaders.train.batch(rows, ["image"], ["strong.0"], number=1)["image@strong.0"], again["image@strong.0"]
    )
    assert loaders.train.state_dict() == before


def test_a_loader_says_which_rows_have_what_some_lack(loaders: DataLoaders) -> None:
    bound(loaders)
    there = loaders.train.there()
    assert set(there) == {"age.present", "sex.present"}
    assert torch.equal(there["age.present"], ~loaders.train.decoded("age").isnan().flatten())
