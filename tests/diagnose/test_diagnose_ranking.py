"""Elements, and the areas under insertion and deletion curves, against hand calculation."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from jumpml.diagnose._elements import Elements, to_grid, value_grid
from jumpml.diagnose._ranking import curve_areas

IMAGE = Elements(field="image", kind="image", shape=(3, 4, 5))
NUMBER = Elements(field="age", kind="number", shape=(1,))
CATEGORY = Elements(field="sex", kind="category", shape=(7,))
TENSOR = Elements(field="body", kind="tensor", shape=(2, 3))


def _vector(width: int) -> Elements:
    return Elements(field="x", kind="tensor", shape=(width,))


@pytest.mark.parametrize(("part", "grid"), [(IMAGE, (4, 5)), (NUMBER, (1, 1)), (CATEGORY, (1, 1)), (TENSOR, (2, 3))])
def test_pixels_and_categories_are_whole_elements(part: Elements, grid: tuple[int, int]) -> None:
    values = torch.randn(2, *part.shape, generator=torch.Generator().manual_seed(0))
    assert part.grid_shape == grid
    assert part.sum(values).shape == (2, part.count)
    torch.testing.assert_close(part.sum(values).sum(1), values.flatten(1).sum(1))
    mask = torch.zeros(2, part.count, dtype=torch.bool)
    mask[1, -1] = True
    kept = torch.where(part.spread(mask), values, 0)
    assert not kept[0].any()
    torch.testing.assert_close(part.sum(kept)[1, -1], part.sum(values)[1, -1])
    assert int((kept[1] != 0).sum()) == values[0].numel() // part.count
    rows = part.grid(part.sum(values)[0])
    assert (len(rows), len(rows[0])) == grid


def test_a_picture_has_at_most_128_cells_a_side() -> None:
    rows = to_grid(torch.arange(300.0 * 10).reshape(300, 10))
    assert (len(rows), len(rows[0])) == (128, 10)
    assert rows[0][0] == pytest.approx(10)  # the mean of the first three rows' first cells: 0, 10, 20


def test_decoded_values_as_pictures() -> None:
    assert value_grid("image", torch.tensor([[[0.0, 1.0]], [[1.0, 1.0]]])) == ((0.5, 1.0),)
    assert value_grid("number", torch.tensor([1.23456])) == ((1.235,),)
    assert value_grid("category", torch.tensor(3)) == ((3.0,),)
    assert value_grid("tensor", torch.ones(2, 3, 2)) == ((1.0, 1.0),) * 6


def test_areas_of_two_elements_by_hand() -> None:
    # Confidence 0.2 a first element, 0.6 a second. Best order: 0, 0.6, 0.8, trapezia of width 1/2: 0.15 + 0.35 = 0.5.
    # Deletion in that order: 0.8, 0.2, 0: 0.25 + 0.05 = 0.3. Worst order: 0, 0.2, 0.8 and 0.8, 0.6, 0.
    def confidence(x: Tensor) -> Tensor:
        return x @ torch.tensor([0.2, 0.6])

    row, baseline = torch.ones(1, 2), torch.zeros(1, 2)
    best = curve_areas(confidence, [row], [baseline], [_vector(2)], torch.tensor([[1.0, 2.0]]))
    worst = curve_areas(confidence, [row], [baseline], [_vector(2)], torch.tensor([[2.0, 1.0]]))
    torch.testing.assert_close(best, (torch.tensor([0.5]), torch.tensor([0.3])))
    torch.testing.assert_close(worst, (torch.tensor([0.3]), torch.tensor([0.5])))


@given(st.integers(0, 10_000), st.integers(1, 12))
def test_insertion_is_deletion_in_the_opposite_order(seed: int, width: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    weight, row = torch.randn(width, generator=generator), torch.randn(3, width, generator=generator)
    order = torch.rand(3, width, generator=generator)

    def confidence(x: Tensor) -> Tensor:
        return (x @ weight).sigmoid()

    insertion, deletion = curve_areas(confidence, [row], [torch.zeros(1, width)], [_vector(width)], order)
    reverse_insertion, reverse_deletion = curve_areas(
        confidence, [row], [torch.zeros(1, width)], [_vector(width)], -order
    )
    torch.testing.assert_close(insertion, reverse_deletion)
    torch.testing.assert_close(deletion, reverse_insertion)


@given(st.integers(0, 10_000), st.integers(2, 80))
def test_for_a_linear_confidence_the_true_order_is_best(seed: int, width: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    row = torch.randn(2, width, generator=generator)
    zero, parts = torch.zeros(1, width), [_vector(width)]
    best, _ = curve_areas(lambda x: x.sum(1), [row], [zero], parts, row)
    other, _ = curve_areas(lambda x: x.sum(1), [row], [zero], parts, torch.rand(2, width, generator=generator))
    assert bool((best >= other - 1e-5).all())


def test_elements_of_all_inputs_are_ranked_together() -> None:
    seen: list[tuple[float, float]] = []

    def confidence(image: Tensor, age: Tensor) -> Tensor:
        seen.append((float(image.sum()), float(age.sum())))
        return image.flatten(1).sum(1) + age[:, 0]

    picture = Elements(field="image", kind="image", shape=(2, 1, 2))
    inputs, baselines = [torch.ones(1, 2, 1, 2), torch.ones(1, 1)], [torch.zeros(1, 2, 1, 2), torch.zeros(1, 1)]
    curve_areas(confidence, inputs, baselines, [picture, NUMBER], torch.tensor([[1.0, 3.0, 2.0]]))
    # Second pixel (two channels), then the number, then the first pixel.
    assert seen[::2] == [(0, 0), (2, 0), (2, 1), (4, 1)]
    assert seen[1::2] == [(4, 1), (2, 1), (2, 0), (0, 0)]
