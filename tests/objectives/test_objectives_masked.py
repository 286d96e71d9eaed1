"""What a view hid, and which change it made: losses by hand, what positions stand for, and what is refused."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, cast

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from jumpml.core import Element, FieldInfo, ObjectiveError, ValueInfo, told_of
from jumpml.objectives import VIME, Masked, Pretext
from jumpml.objectives.self_supervised._patches import cut, grid_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

PAIR = ("encoder", "x")


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def masked(embedding: Sequence[int], whole: ValueInfo, **options: Any) -> Masked:
    torch.manual_seed(0)
    objective = Masked(PAIR, views="masked", **options)
    objective.connect([ValueInfo(shape=tuple(embedding)), ValueInfo(shape=whole.shape, dtype="bool"), whole], {})
    return objective


# --- numbers ----------------------------------------------------------------------------------------------------------


def patches_of(pictures: Tensor, side: int) -> Tensor:
    """MAE's patches with the channels first: ``[batch, patches, channels * side * side]``, by a loop."""
    rows, columns = (size // side for size in pictures.shape[-2:])
    found = [
        pictures[..., side * row : side * (row + 1), side * column : side * (column + 1)].flatten(1)
        for row in range(rows)
        for column in range(columns)
    ]
    return torch.stack(found, 1)


@pytest.mark.parametrize("normalize", [False, True])
def test_of_pictures_it_is_the_loss_of_mae(normalize: bool) -> None:
    pictures, embedding = drawn(3, 2, 6, 6), drawn(3, 9, 5, seed=1)
    gone = torch.rand(3, 3, 3, generator=torch.Generator().manual_seed(2)) < 0.6
    hidden = gone.repeat_interleave(2, 1).repeat_interleave(2, 2).unsqueeze(1).expand(3, 2, 6, 6)
    objective = masked((9, 5), ValueInfo(shape=(2, 6, 6), axes=(-2, -1)), decoder=(), normalize=normalize)
    found = objective(embedding, hidden, pictures)
    # as in models_mae.py of its authors: forward_loss
    target = patches_of(pictures, 2)
    if normalize:
        target = (target - target.mean(-1, keepdim=True)) / (target.var(-1, keepdim=True) + 1e-6) ** 0.5
    (linear,) = objective.decoder
    loss = (linear(embedding) - target).square().mean(-1)
    mask = gone.flatten(1).float()
    torch.testing.assert_close(found.value, (loss * mask).sum(1) / mask.sum(1))


def test_a_vector_a_row_tells_the_whole_of_it() -> None:
    series, hidden = drawn(2, 4, 3), torch.rand(2, 4, 3) < 0.5
    hidden[:, 0, 0] = True
    objective = masked((5,), ValueInfo(shape=(4, 3), axes=(0,)), decoder=(7,))
    guess = objective.decoder(drawn(2, 5, seed=1)).view(2, 4, 3)
    expected = [(guess[row] - series[row])[hidden[row]].square().mean() for row in range(2)]
    torch.testing.assert_close(objective(drawn(2, 5, seed=1), hidden, series).value, torch.stack(expected))


def test_rows_that_are_absent_or_of_which_nothing_was_hidden_do_not_count() -> None:
    objective = masked((5,), ValueInfo(shape=(3,)))
    hidden = torch.tensor([[True, False, False], [False, False, False], [True, True, False]])
    whole = torch.tensor([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0], [math.nan] * 3])
    present = torch.tensor([True, True, False])
    found = objective(drawn(3, 5), hidden, whole, present)
    assert found.present is not None
    assert found.present.tolist() == [True, False, False]
    assert found.value.isfinite().all()
    counted = objective.counted(None, hidden, whole, present=present)
    assert counted is not None
    assert torch.equal(counted, found.present)
    assert objective.counted(None, None, None, present=present) is present


SHAPES: dict[str, tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[int, ...] | None]] = {
    "squares": ((3, 32, 32), (-2, -1), (64, 8), (8, 8)),
    "squares of an oblong": ((1, 8, 16), (-2, -1), (8, 8), (2, 4)),
    "frames of a spectrogram": ((1, 40, 100), (-2, -1), (100, 8), (1, 100)),
    "a map": ((3, 32, 16), (-2, -1), (8, 4, 2), (4, 2)),
    "steps": ((96, 7), (0,), (96, 8), (96,)),
    "stretches": ((96, 7), (0,), (12, 8), (12,)),
    "stretches of a recording": ((1, 800), (-1,), (100, 8), (100,)),
    "a vector": ((3, 32, 32), (-2, -1), (8,), (1, 1)),
    "no such squares": ((3, 32, 32), (-2, -1), (65, 8), None),
    "squares that do not divide": ((1, 10, 10), (-2, -1), (16, 8), None),
    "no such stretches": ((96, 7), (0,), (11, 8), None),
    "a map that does not divide": ((3, 32, 16), (-2, -1), (8, 5, 2), None),
    "a map of a series": ((96, 7), (0,), (8, 4, 2), None),
}


@pytest.mark.parametrize(("kind", "grid"), [("image", (8, 8)), ("audio", (1, 64))])
def test_as_many_squares_as_columns_are_squares_of_a_picture_and_frames_of_a_sound(
    kind: str, grid: tuple[int, ...]
) -> None:
    """64 pixels wide, in squares of 8 by 8: as a picture's transformer has them."""
    value = ValueInfo(shape=(1, 64, 64))
    field = FieldInfo(name="x", kind=kind, value=value, hides=frozenset({"part"}))
    told = told_of({"x": field}, {"x": value}, ["part"])
    objective = Masked(("encoder", "x"), views="part")
    objective.connect([ValueInfo(shape=(64, 8)), told["x.hidden"], told["x.whole"]], {})
    assert cast("Any", objective.answer).grid == grid


@pytest.mark.parametrize(("shape", "axes", "embedding", "grid"), SHAPES.values(), ids=SHAPES)
def test_what_positions_stand_for(
    shape: tuple[int, ...], axes: tuple[int, ...], embedding: tuple[int, ...], grid: tuple[int, ...] | None
) -> None:
    assert grid_of(shape, axes, embedding) == grid


@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.integers(1, 3))
def test_patches_hold_every_element_once(rows: int, columns: int, height: int, width: int) -> None:
    pictures = torch.arange(2 * 3 * rows * height * columns * width).view(2, 3, rows * height, columns * width)
    found = cut(pictures, (-2, -1), (rows, columns))
    assert found.shape == (2, rows * columns, 3 * height * width)
    expected = [
        pictures[..., height * y : height * (y + 1), width * x : width * (x + 1)].flatten(1)
        for y in range(rows)
        for x in range(columns)
    ]
    assert torch.equal(found, torch.stack(expected, 1))


# --- tokens -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("embedding", [(4, 6), (6,)], ids=["a vector a token", "one a text"])
def test_of_tokens_it_is_the_loss_of_bert(embedding: tuple[int, ...]) -> None:
    words = torch.tensor([[3, 4, 5, 0], [6, 2, 0, 0], [1, 1, 1, 1]])
    hidden = torch.tensor([[True, False, True, False], [False, True, False, False], [False] * 4])
    objective = masked(embedding, ValueInfo(shape=(4,), dtype="int64", classes=8, axes=(0,)), decoder=())
    read = drawn(3, *embedding)
    found = objective(read, hidden, words)
    logits = objective.decoder(read).view(3, 4, 8).log_softmax(-1)
    expected = [-(logits[0, 0, 3] + logits[0, 2, 5]) / 2, -logits[1, 1, 2]]
    torch.testing.assert_close(found.value[:2], torch.stack(expected))
    assert found.present is not None
    assert found.present.tolist() == [True, True, False]


@pytest.mark.parametrize("embedding", [(6, 6), (6,)], ids=["a vector a token", "one a text"])
def test_texts_may_be_cut_to_a_batchs_longest(embedding: tuple[int, ...]) -> None:
    objective = masked(embedding, ValueInfo(shape=(6,), dtype="int64", classes=8, axes=(0,)))
    words, hidden = torch.randint(1, 8, (3, 6)), torch.rand(3, 6) < 0.5
    words[:, 4:], hidden[:, 4:], hidden[:, 0] = 0, False, True
    read = drawn(3, *embedding)
    short = objective(read[:, :4] if len(embedding) == 2 else read, hidden[:, :4], words[:, :4])
    torch.testing.assert_close(short.value, objective(read, hidden, words).value)


# --- cells ------------------------------------------------------------------------------------------------------------

# two numbers, of which the first may be missing, and a category of three classes, as `encode` gives them
ROLES = ((0, "number"), (2, "number"), (0, "missing"))
ONE_HOT = ValueInfo(
    shape=(6,), elements=tuple(Element(*e) for e in (*ROLES, (1, "class"), (1, "class"), (1, "class"))), axes=(0,)
)
INDEX = ValueInfo(
    shape=(4,), elements=tuple(Element(*e) for e in (*ROLES, (1, "index"))), cardinalities=(0, 0, 0, 4), axes=(0,)
)
# of the first row all columns are hidden, of the second the missing number and the missing category
ROWS = torch.tensor([[0.5, 2.0, 0.0, 0.0, 1.0, 0.0], [0.0, -1.0, 1.0, 0.0, 0.0, 0.0], [1.5, 3.0, 0.0, 1.0, 0.0, 0.0]])
GONE = torch.tensor([[True] * 6, [True, False, True, True, True, True], [False, True, False, False, False, False]])


def test_of_tables_numbers_and_classes_are_told() -> None:
    objective = masked((5,), ONE_HOT, decoder=())
    read = drawn(3, 5)
    found = objective(read, GONE, ROWS)
    guess = objective.decoder(read)
    # outputs in the order in which the columns come first: the numbers 0 and 2, then the classes
    number, other, logits = guess[:, 0], guess[:, 1], guess[:, 2:5].log_softmax(1)
    first = (number[0] - 0.5).square() + (other[0] - 2.0).square() - logits[0, 1]
    third = (other[2] - 3.0).square()
    torch.testing.assert_close(found.value[[0, 2]], torch.stack([first / 3, third]))
    assert found.present is not None
    assert found.present.tolist() == [True, False, True], "what is missing is never asked for"


def test_classes_come_as_indices_too() -> None:
    rows = torch.cat([ROWS[:, :3], torch.tensor([[2.0], [0.0], [1.0]])], 1)
    objective = masked((5,), INDEX, decoder=())
    read = drawn(3, 5)
    found = objective(read, GONE[:, :4], rows)
    guess = objective.decoder(read)
    first = (guess[0, 0] - 0.5).square() + (guess[0, 1] - 2.0).square() - guess[0, 2:6].log_softmax(0)[2]
    torch.testing.assert_close(found.value[[0, 2]], torch.stack([first / 3, (guess[2, 1] - 3.0).square()]))
    assert found.present is not None
    assert found.present.tolist() == [True, False, True]


def test_a_vector_an_element_tells_its_own() -> None:
    rows = torch.cat([ROWS[:, :3], torch.tensor([[2.0], [0.0], [1.0]])], 1)
    objective = masked((4, 5), INDEX, decoder=(6,))
    read = drawn(3, 4, 5).requires_grad_()
    hidden = torch.tensor([[False, True, False, False]] * 3)
    objective(read, hidden, rows).value.sum().backward()
    assert read.grad is not None
    assert read.grad.abs().sum((0, 2)).gt(0).tolist() == [False, True, False, False]
    hidden = torch.tensor([[False, False, False, True]] * 3)
    value = objective(read, hidden, rows).value[0]
    last: Any = objective.decoder[-1]
    inner = objective.decoder[:-1](read[:1])[0, 3]
    logits = last.weight[2:] @ inner + last.bias[2:]
    torch.testing.assert_close(value, -logits.log_softmax(0)[2])


# --- VIME -------------------------------------------------------------------------------------------------------------


def test_vime_by_hand() -> None:
    torch.manual_seed(0)
    objective = VIME(PAIR, views="corrupted", values=3.0)
    objective.connect([ValueInfo(shape=(5,)), ONE_HOT, ValueInfo(shape=(6,), dtype="bool"), ONE_HOT], {})
    read, field = drawn(3, 5), ROWS.clone()
    field[0] = torch.tensor([1.5, 2.0, 0.0, 1.0, 0.0, 0.0])  # the second number is another row's, and the same
    found = objective(read, field, GONE, ROWS).value
    columns, guess = objective.columns(read), objective.decoder(read)

    def entropy(logit: Tensor, other: bool) -> Tensor:
        return -(logit.sigmoid().log() if other else (1 - logit.sigmoid()).log())

    # the columns in the order in which their elements come first: the numbers 0 and 2, and the category
    first = sum(entropy(columns[0, at], other) for at, other in enumerate((True, False, True))) / 3
    values = (guess[0, 0] - 0.5).square() + (guess[0, 1] - 2.0).square() - guess[0, 2:5].log_softmax(0)[1]
    torch.testing.assert_close(found[0], first + 3.0 * values / 3)
    # of the second row only the second number is there, and it was left as it is
    second = entropy(columns[1, 1], other=False) + 3.0 * (guess[1, 1] + 1.0).square()
    torch.testing.assert_close(found[1], second)


# --- pretexts ---------------------------------------------------------------------------------------------------------


def test_a_pretext_is_a_cross_entropy() -> None:
    torch.manual_seed(0)
    objective = Pretext(PAIR, views="turned", classifier=(7,))
    objective.connect([ValueInfo(shape=(5,)), ValueInfo(shape=(), dtype="int64", classes=4)], {})
    read, answer = drawn(3, 5), torch.tensor([0, 3, 1])
    expected = nn.functional.cross_entropy(objective.classifier(read), answer, reduction="none")
    torch.testing.assert_close(objective(read, answer).value, expected)
    assert objective.inputs == ("encoder", "x.answer")


# --- what is refused --------------------------------------------------------------------------------------------------

BOOL, CODES = ValueInfo(shape=(2, 6, 6), dtype="bool"), ValueInfo(shape=(), dtype="int64")
IMAGE = ValueInfo(shape=(2, 6, 6), axes=(-2, -1))
WORDS = ValueInfo(shape=(4,), dtype="int64", classes=8)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Masked("encoder", views="v"), "Masked: expected a node and a field, got encoder."),
        (lambda: Masked(("a", "b", "c"), views="v"), "Masked: expected a node and a field, got a, b, c."),
        (lambda: Pretext((), views="v"), "Pretext: expected a node and a field, got nothing."),
        (lambda: VIME(PAIR, views=("v", "w")), "VIME: expected one view, which is drawn once; got v, w."),
        (lambda: Masked(PAIR, views=()), "Masked: expected one view, which is drawn once; got none."),
    ],
)
def test_wrong_inputs_are_refused(make: Any, text: str) -> None:
    with pytest.raises(ObjectiveError) as caught:
        make()
    assert str(caught.value) == text


@pytest.mark.parametrize(
    ("make", "values", "text"),
    [
        (
            lambda: Masked(PAIR, views="v"),
            (ValueInfo(shape=(10, 8)), BOOL, IMAGE),
            "Masked: expected embedding as [batch, positions, width], with as many positions as 6 x 6 of 'x' has equal "
            "patches; 'encoder' is [batch, 10, 8] float32. Or let the node give one vector a row.",
        ),
        (
            lambda: Masked(PAIR, views="v"),
            (ValueInfo(shape=(5, 8)), BOOL, WORDS),
            "Masked: expected embedding as [batch, 4, width], one vector a token; 'encoder' is [batch, 5, 8] float32. "
            "Or let the node give one vector a row.",
        ),
        (
            lambda: Masked(PAIR, views="v"),
            (ValueInfo(shape=(5, 8)), BOOL, INDEX),
            "Masked: expected embedding as [batch, 4, width], one vector an element; 'encoder' is [batch, 5, 8] "
            "float32. Or let the node give one vector a row.",
        ),
        (
            lambda: Masked(PAIR, views="v"),
            (ValueInfo(shape=(5,)), BOOL, ValueInfo(shape=(4,), dtype="int64")),
            "Masked: how many tokens there are in 'x' must be known. Build the model with the data: Model(..., "
            "fields=data.fields).",
        ),
        (
            lambda: Masked(PAIR, views="v", layers=1),
            (ValueInfo(shape=(5,)), BOOL, IMAGE),
            "Masked: 'encoder' gives one vector a row, and `layers` read several. Leave it out.",
        ),
        (
            lambda: Masked(PAIR, views="v", layers=1),
            (ValueInfo(shape=(9, 6)), BOOL, IMAGE),
            "Masked: 'encoder' gives vectors of 6, which 4 `heads` do not divide.",
        ),
        (
            lambda: Masked(PAIR, views="v", normalize=True),
            (ValueInfo(shape=(4, 6)), BOOL, WORDS),
            "Masked: 'x' is told one by one here, and `normalize` needs patches of several numbers. Leave it out.",
        ),
        (
            lambda: Masked(PAIR, views="v"),
            (ValueInfo(shape=(9, 6), dtype="int64"), BOOL, IMAGE),
            "Masked: expected embedding as [batch, width] or [batch, positions, width] or [batch, width, rows, "
            "columns] float32; 'encoder' is [batch, 9, 6] int64. Flatten or pool it in a node first, such as "
            "torch.nn.Flatten.",
        ),
        (
            lambda: Masked(PAIR, views="v"),
            (None, BOOL, IMAGE),
            "Masked: the shape of 'encoder' must be known. Name a node.",
        ),
        (
            lambda: Masked(PAIR, views="v"),
            (ValueInfo(shape=(9, 6)), None, None),
            "Masked: what is known of 'x.whole'? Name a field that nodes read.",
        ),
        (
            lambda: VIME(PAIR, views="v"),
            (ValueInfo(shape=(9, 6)), INDEX, BOOL, INDEX),
            "VIME: expected embedding as [batch, width] float32; 'encoder' is [batch, 9, 6] float32. Flatten or pool "
            "it in a node first, such as torch.nn.Flatten.",
        ),
        (
            lambda: VIME(PAIR, views="v"),
            (ValueInfo(shape=(9,)), IMAGE, BOOL, IMAGE),
            "VIME: expected whole as [batch, elements] float32; 'x.whole' is [batch, 2, 6, 6] float32. Name a table, "
            "or a vector of numbers.",
        ),
        (
            lambda: Pretext(PAIR, views="v"),
            (ValueInfo(shape=(9,)), CODES),
            "Pretext: how many changes the view 'v' makes must be known. Build the model with the data, Model(..., "
            "fields=data.fields), or say how many: `answers`.",
        ),
        (
            lambda: Pretext(PAIR, views="v", answers=3),
            (ValueInfo(shape=(9,)), ValueInfo(shape=(), dtype="int64", classes=4)),
            "Pretext: the view 'v' makes 4 changes, and answers=3 was given.",
        ),
    ],
)
def test_wrong_shapes_are_refused(make: Any, values: Sequence[ValueInfo | None], text: str) -> None:
    with pytest.raises(ObjectiveError) as caught:
        make().connect(values, {})
    assert str(caught.value) == text
