from __future__ import annotations

import copy
import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from jumpml.core import ObjectiveError
from jumpml.objectives import EWC


class Whole(nn.Module):
    """Stands for a model: a node and a penalty on it, side by side."""

    def __init__(self, held: EWC | None = None) -> None:
        super().__init__()
        self.node = nn.Linear(3, 2, dtype=torch.float64)
        self.held = (held or EWC("all")).double()
        self.held.connect([], {f"node.{name}": p for name, p in self.node.named_parameters()})


def information(whole: Whole, value: float = 1.0) -> dict[str, torch.Tensor]:
    return {f"node.{name}": torch.full_like(p, value) for name, p in whole.node.named_parameters()}


def moved(whole: Whole, by: float) -> None:
    with torch.no_grad():
        for p in whole.node.parameters():
            p.add_(by)


def test_it_is_zero_with_zero_gradient_until_it_is_consolidated() -> None:
    whole = Whole()
    loss = whole.held().value
    loss.backward()
    assert loss == 0
    assert all(p.grad is not None and not p.grad.any() for p in whole.node.parameters())


def test_it_is_half_the_weighted_squared_distance() -> None:
    whole = Whole()
    whole.held.consolidate(information(whole, 3.0))
    moved(whole, 2.0)
    # eight parameters, each 1/2 * 3 * 2 squared
    assert whole.held().value.item() == pytest.approx(8 * 6.0)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.floats(-3, 3), st.sampled_from([0.0, 0.5, 2.0])), min_size=1, max_size=5), st.floats(-3, 3)
)
def test_it_is_the_sum_of_a_term_for_each_consolidation(tasks: list[tuple[float, float]], last: float) -> None:
    whole = Whole()
    terms = []
    for by, fisher in tasks:
        moved(whole, by)
        anchors = [p.detach().clone() for p in whole.node.parameters()]
        given = {name: fisher * torch.rand_like(value) for name, value in information(whole).items()}
        terms += list(zip(whole.node.parameters(), anchors, given.values(), strict=True))
        whole.held.consolidate(given)
    moved(whole, last)
    expected = sum(((f * (p - a).square()).sum() for p, a, f in terms), torch.zeros(())) / 2
    torch.testing.assert_close(whole.held().value, expected, check_dtype=False)
    assert expected.requires_grad
    for ours, theirs in zip(
        torch.autograd.grad(whole.held().value, [*whole.node.parameters()]),
        torch.autograd.grad(expected, [*whole.node.parameters()]),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize(("gamma", "information_held"), [(1.0, 3.0), (0.5, 2.5), (0.0, 2.0)])
def test_online_the_anchor_moves_and_the_information_of_before_counts_less(
    gamma: float, information_held: float
) -> None:
    whole = Whole(EWC("all", gamma=gamma))
    whole.held.consolidate(information(whole, 1.0))
    moved(whole, 5.0)
    whole.held.consolidate(information(whole, 2.0))
    assert whole.held().value == 0
    moved(whole, 1.0)
    assert whole.held().value.item() == pytest.approx(8 * 0.5 * information_held)


def test_a_parameter_without_information_is_free() -> None:
    whole = Whole()
    fisher = information(whole)
    del fisher["node.bias"]
    whole.held.consolidate(fisher)
    moved(whole, 1.0)
    assert whole.held().value.item() == pytest.approx(6 * 0.5)


def test_the_gradient_is_the_information_times_the_distance() -> None:
    whole = Whole()
    whole.held.consolidate(information(whole, 3.0))
    moved(whole, 2.0)
    whole.held().value.backward()
    for p in whole.node.parameters():
        torch.testing.assert_close(p.grad, torch.full_like(p, 6.0))


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda whole: pickle.loads(pickle.dumps(whole))])
def test_a_copy_holds_its_own_parameters(duplicate: object) -> None:
    whole = Whole()
    whole.held.consolidate(information(whole))
    other = duplicate(whole)  # type: ignore[operator]
    moved(other, 1.0)
    assert whole.held().value == 0
    assert other.held().value.item() == pytest.approx(8 * 0.5)


def test_the_parameters_stay_the_nodes_own_and_the_state_is_in_the_checkpoint() -> None:
    whole, other = Whole(), Whole()
    assert [name for name, _ in whole.named_parameters()] == ["node.weight", "node.bias"]
    whole.held.consolidate(information(whole))
    assert sorted(whole.held.state_dict()) == ["anchor_0", "anchor_1", "constant", "fisher_0", "fisher_1"]
    other.load_state_dict(whole.state_dict())
    moved(other, 1.0)
    assert other.held().value.item() == pytest.approx(8 * 0.5)


def test_what_does_not_fit_is_refused_and_changes_nothing() -> None:
    whole = Whole()
    for fisher, text in [
        (
            {"weight": torch.ones(2, 3)},
            "EWC: expected the Fisher information of node.weight, node.bias; got that of weight.",
        ),
        ({}, "EWC: expected the Fisher information of node.weight, node.bias; got that of nothing."),
        (
            {"node.weight": torch.ones(2, 3), "node.bias": torch.ones(3)},
            "EWC: the Fisher information of 'node.bias' has the wrong shape: expected [2], got [3].",
        ),
        (
            {"node.bias": torch.tensor([1.0, -1.0])},
            "EWC: the Fisher information of 'node.bias' is negative or not finite somewhere.",
        ),
    ]:
        with pytest.raises(ObjectiveError) as caught:
            whole.held.consolidate(fisher)
        assert str(caught.value) == text
        assert not any(buffer.any() for name, buffer in whole.held.named_buffers() if "anchor" not in name)
        assert whole.held().value == 0


def test_nothing_to_hold_is_refused() -> None:
    with pytest.raises(ObjectiveError, match=r"^EWC: the nodes that it names have no parameters\. Name nodes that"):
        EWC("flat").connect([], {})
    with pytest.raises(
        ObjectiveError, match=r"^EWC: expected one pattern of nodes or more, such as 'all'; got none\.$"
    ):
        EWC(())
    for options, text in [
        ({"fisher": "observd"}, "EWC: there is no way 'observd' to the Fisher information. Did you mean 'observed'?"),
        ({"rows": 0}, "EWC: expected one row or more, got 0."),
        ({"gamma": 1.5}, "EWC: expected gamma from 0 to 1, got 1.5."),
    ]:
        with pytest.raises(ObjectiveError) as caught:
            EWC("all", **options)  # type: ignore[arg-type]
        assert str(caught.value) == text
