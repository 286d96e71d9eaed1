"""What processes have seen of their rows, put together: what one process would have seen, in its order."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from jumpml.data import Epoch, Share
from jumpml.learn.hooks._seen import KEPT, Seen
from jumpml.learn.processes._whole import whole_order

SIZES = st.integers(1, 4).flatmap(lambda count: st.tuples(st.just(count), st.lists(st.integers(count, 9), max_size=6)))


@given(SIZES)
def test_rows_of_all_processes_stand_as_those_of_the_batch(told: tuple[int, list[int]]) -> None:
    count, sizes = told
    for size in sizes:
        shares = [Share(rank, count).of(Epoch(torch.arange(size), (size,))).positions for rank in range(count)]
        assert torch.cat(shares).tolist() == whole_order([len(share) for share in shares]).tolist()


@given(SIZES, st.lists(st.booleans(), min_size=12, max_size=12), st.integers(0, 6))
def test_what_all_have_seen_is_what_one_has(told: tuple[int, list[int]], ran: list[bool], cut: int) -> None:
    """With two tasks that do not always run, and after some batches an agreement, as a checkpoint makes one."""
    count, sizes = told
    places = torch.randperm(100, generator=torch.Generator().manual_seed(1))
    batches = [*zip(places[: sum(sizes)].split(sizes), zip(ran[::2], ran[1::2], strict=True), strict=False)]
    whole, together = Seen(), Seen()
    for some in (batches[:cut], batches[cut:]):
        for rows, runs in some:
            note(whole, rows, runs)
        own = [Seen() for _ in range(count)]
        for rank, seen in enumerate(own):
            for rows, runs in some:
                note(seen, rows[rank::count], runs)
        together.take_in([seen.told() for seen in own])
    one, other = whole.state_dict(), together.state_dict()
    assert one["rows"] == other["rows"]
    assert [part.tolist() for part in one["places"]] == [part.tolist() for part in other["places"]]
    assert one["epoch"].keys() == other["epoch"].keys()
    for name, parts in one["epoch"].items():
        assert parts["spans"] == other["epoch"][name]["spans"]
        assert all(torch.equal(parts[key], other["epoch"][name][key]) for key in KEPT)


def note(seen: Seen, rows: torch.Tensor, runs: tuple[bool, bool]) -> None:
    """A batch, of which every figure tells whose it is."""
    start = seen.rows
    seen.places.append(rows)
    seen.sizes.append(len(rows))
    seen.rows += len(rows)
    for name in (name for name, run in zip(("kind", "size"), runs, strict=True) if run):
        shown = seen.tasks[name]
        shown.ran(start, seen.rows)
        for place, key in enumerate(KEPT):
            getattr(shown, key).append(rows * 10.0 + place)
