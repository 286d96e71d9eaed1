"""Changes that tell what they did: parts that are hidden, turns, and pieces in another order."""

from __future__ import annotations

from itertools import permutations
from math import factorial
from typing import TYPE_CHECKING, Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import jumpml
from jumpml.core import ANSWER, HIDDEN, WHOLE, DataError, DataSpec, Element, FieldInfo, SpecError, ValueInfo
from jumpml.data import (
    Bag,
    Column,
    DataLoaders,
    Encode,
    Hide,
    Jigsaw,
    LogMel,
    Made,
    Mixup,
    Noise,
    QuarterTurn,
    Reorder,
    Standardize,
)
from jumpml.data.augment._hiding import Tokens
from jumpml.data.augment._pretexts import orders

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from jumpml.data import Telling

NAN = float("nan")


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def info(kind: str, *shape: int, classes: int | None = None, **options: Any) -> FieldInfo:
    value = ValueInfo(shape=shape, dtype="int64" if kind == "text" else "float32", classes=classes)
    return FieldInfo(name="f", kind=kind, value=value, options=options)


def told(
    step: Telling, values: Tensor, field: FieldInfo, seed: int = 0, **made: Any
) -> tuple[Tensor, dict[str, Tensor]]:
    return step.suited(field).tell(Made(values, **({"decoded": values} | made)), seeded(seed))  # type: ignore[attr-defined]


# --- which parts are hidden -------------------------------------------------------------------------------------------

PARTS: dict[str, tuple[str, tuple[int, ...], Any, int]] = {  # kind, a row's shape, patch, how many parts that is
    "squares of a picture": ("image", (3, 8, 12), 4, 6),
    "pixels": ("image", (1, 4, 4), 1, 16),
    "squares that do not divide": ("image", (1, 5, 5), 2, 9),
    "rectangles": ("image", (1, 6, 8), (3, 2), 8),
    "stretches of a series": ("series", (10, 3), 2, 5),
    "stretches of a recording": ("audio", (2, 40), 8, 5),
    "frequency and time": ("audio", (1, 8, 12), (4, 3), 8),
    "whole frames": ("audio", (1, 8, 12), ("all", 3), 4),
    "whole bands": ("tensor", (8, 12), (2, "all"), 4),
    "elements": ("tensor", (7,), 1, 7),
    "columns": ("table", (5,), 1, 5),
}


@pytest.mark.parametrize(("kind", "shape", "patch", "parts"), PARTS.values(), ids=PARTS)
@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
def test_so_many_whole_parts_are_hidden_as_the_share_says(
    kind: str, shape: tuple[int, ...], patch: Any, parts: int, share: float
) -> None:
    values = torch.rand(16, *shape, generator=seeded()) + 1
    out, found = told(Hide(share, patch), values, info(kind, *shape))
    hidden = found[HIDDEN]
    assert torch.equal(found[WHOLE], values)
    assert torch.equal(out, values.masked_fill(hidden, 0.0))
    cut = shape[-2:] if kind != "series" else shape[:1]
    sides: Any = patch if isinstance(patch, tuple) else (patch,) * 2
    number = torch.arange(cut[0]) // (cut[0] if sides[0] == "all" else sides[0])
    if len(cut) == 2 and kind not in {"table"} and not (kind == "audio" and len(shape) == 2):
        across = torch.arange(cut[1]) // (cut[1] if sides[1] == "all" else sides[1])
        number = number.unsqueeze(1) * cut[1] + across
    elif kind == "audio":
        number = (torch.arange(shape[1]) // sides[1]).expand(shape)
    elif kind == "series":
        number = number.unsqueeze(1).expand(shape)
    number = number.expand(shape)
    for row in hidden:
        share_of_part = {int(part): row[number == part].float().mean() for part in number.unique()}
        assert {float(mean) for mean in share_of_part.values()} == {0.0, 1.0}, (
            "parts are hidden whole, some and not all"
        )
        assert len(share_of_part) == parts
        assert sum(share_of_part.values()) == min(max(round(share * parts), 1), parts - 1)
    assert len(hidden.flatten(1).unique(dim=0)) > 1, "each row is drawn on its own"


@given(st.integers(0, 2**31), st.floats(0.01, 0.99))
def test_missing_values_are_never_told_as_hidden_and_one_is_always_left(seed: int, share: float) -> None:
    generator = seeded(seed)
    decoded = torch.rand(12, 9, 1, generator=generator).masked_fill(
        torch.rand(12, 9, 1, generator=generator) < 0.4, NAN
    )
    _, found = told(Hide(share), decoded.nan_to_num(), info("series", 9, 1), seed, decoded=decoded)
    hidden, there = found[HIDDEN].flatten(1), ~decoded.isnan().flatten(1)
    assert not (hidden & ~there).any()
    count, several = hidden.sum(1), there.sum(1) > 1
    assert ((count >= 1) == several).all()
    assert (count < there.sum(1)).all() or not several.all()
    assert (count[several] < there.sum(1)[several]).all()


def test_a_column_is_hidden_with_all_that_tells_of_it() -> None:
    age = FieldInfo(name="age", kind="number", value=ValueInfo(shape=(1,)))
    sex = FieldInfo(name="sex", kind="category", value=ValueInfo(shape=(), dtype="int64"), classes=("f", "m", "x"))
    body = FieldInfo(name="body", kind="table", value=ValueInfo(shape=(3,)), columns=(age, sex, age))
    rows = torch.tensor([[20.0, 1.0, 3.0], [60.0, 0.0, NAN], [NAN, 2.0, 5.0], [30.0, NAN, 6.0]]).repeat(8, 1)
    columns = {"body": Column(rows, "table", columns=body.columns)}
    count = torch.arange(32)
    splits = {"train": count[:20], "val": count[20:26], "test": count[26:]}
    views = {"v": {"body": [Hide(0.5, fill="others")]}}
    data = DataLoaders(columns, splits, views=views, batch_size=20)
    data.bind(["body", "body.hidden", "body.whole"])
    roles = data.info("body").elements
    assert roles == (
        Element(0, "number"),
        Element(2, "number"),
        Element(0, "missing"),
        Element(2, "missing"),
        *[Element(1, "class")] * 3,
    )
    data.train.serve(["body"], ["v.0"])
    batch = next(iter(data.train))
    whole, hidden, drawn = (batch[f"body{suffix}@v.0"] for suffix in (WHOLE, HIDDEN, ""))
    assert torch.equal(whole, batch["body"])
    changed = whole != drawn
    place = torch.tensor([element.column for element in roles])
    gone = torch.stack([whole[:, 2] == 1, whole[:, 4:].sum(1) == 0, whole[:, 3] == 1], 1)  # by column: what is missing
    for column in range(3):
        mine = hidden[:, place == column]
        assert (mine.all(1) | ~mine.any(1)).all()
        assert not (mine.any(1) & gone[:, column]).any()
    assert (hidden.any(1) == (~gone).sum(1).gt(1)).all()
    assert not (changed & ~hidden & ~gone[:, place]).any(), "what is not hidden stays"
    # what comes in stood so in one row: with its class, and with what says that it is missing
    for column in range(3):
        known = {tuple(row) for row in whole[:, place == column].tolist()}
        assert {tuple(row) for row in drawn[:, place == column].tolist()} <= known
    index = Encode("index")
    indexed = DataLoaders(columns, splits, views=views, features={"body": [index]})
    assert indexed.info("body").elements[-1] == Element(1, "index")


# --- what comes in their place ----------------------------------------------------------------------------------------


def test_fills() -> None:
    values = torch.rand(64, 2, 6, 6, generator=seeded()) * 5 + 2
    field = info("image", 2, 6, 6)
    for fill in ("mean", "noise", "others"):
        out, found = told(Hide(0.5, 2, fill), values, field)
        hidden = found[HIDDEN]
        assert torch.equal(out[~hidden], values[~hidden])
        if fill == "mean":
            left = torch.where(hidden, 0.0, values).sum((2, 3)) / (~hidden).sum((2, 3))
            torch.testing.assert_close(out[hidden], left[:, :, None, None].expand_as(values)[hidden])
        elif fill == "noise":
            # 2304 numbers: four standard errors of a normal's mean and deviation
            assert abs(float(out[hidden].mean())) < 4 * 2304**-0.5
            assert abs(float(out[hidden].std()) - 1) < 4 * (2 * 2304) ** -0.5
        else:
            same = (out.unsqueeze(1) == values).unflatten(3, (3, 2)).unflatten(5, (3, 2)).all((2, 4, 6))
            of_one = same.any(1)
            assert of_one.all(), "each part is another row's, whole"
            own = same[torch.arange(64), torch.arange(64)]
            assert torch.equal(own, ~hidden[:, 0, ::2, ::2])


def test_others_of_one_row_are_its_own() -> None:
    values = torch.rand(1, 4)
    assert torch.equal(told(Hide(0.5, fill="others"), values, info("tensor", 4))[0], values)


def test_tokens_follow_berts_rule() -> None:
    how = {"vocabulary": ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *map(str, range(95))]}
    how |= {"padding": 0, "unknown": 1, "start": [2], "end": [3]}
    field = info("text", 40, classes=100, tokenizer=how)
    values = torch.randint(5, 100, (500, 40), generator=seeded())
    values[:, 0], values[:, 30], values[:, 31:] = 2, 3, 0
    out, found = told(Hide(0.5), values, field)
    hidden = found[HIDDEN]
    assert (hidden.sum(1) == 14).all(), "half of the 29 tokens of their own, where a half rounds to even"
    assert not hidden[:, 0].any()
    assert not hidden[:, 30:].any()
    assert torch.equal(out[~hidden], values[~hidden])
    masked, stays = out[hidden] == 4, out[hidden] == values[hidden]
    drawn = out[hidden][~masked & ~stays]
    # of 7000 hidden tokens; four standard errors of the shares
    assert abs(float(masked.float().mean()) - 0.8) < 4 * (0.8 * 0.2 / 7000) ** 0.5
    assert abs(float(stays.float().mean()) - 0.1 - 0.1 / 95) < 4 * (0.1 * 0.9 / 7000) ** 0.5
    assert int(drawn.min()) >= 5
    assert set(drawn.tolist()) > set(range(5, 90)), "any of the tokens that people write"


def test_a_tokenizer_without_a_token_for_hidden_ones_has_its_unknown_one() -> None:
    tokens = Tokens.of(
        info("text", 4, classes=9, tokenizer={"vocabulary": list("abcdefghi"), "padding": 8, "unknown": 2})
    )
    assert (tokens.hidden, tokens.padding, tokens.special, tokens.size) == (2, 8, (2, 8), 9)
    # of a text of one token nothing is hidden, and of none neither
    _, found = told(Hide(0.9), torch.tensor([[5, 8], [8, 8]]), info("text", 2, tokenizer={"padding": 8}))
    assert not found[HIDDEN].any()


# --- pretexts ---------------------------------------------------------------------------------------------------------


def test_quarter_turns_are_told() -> None:
    values = torch.rand(40, 3, 6, 6, generator=seeded())
    out, found = QuarterTurn().tell(Made(values, values), seeded())
    assert found[ANSWER].unique().tolist() == [0, 1, 2, 3]
    for row, turned, answer in zip(values, out, found[ANSWER].tolist(), strict=True):
        assert torch.equal(turned, row.rot90(answer, (1, 2)))


@pytest.mark.parametrize(("pieces", "shape"), [(2, (3, 8, 6)), (3, (9, 9))])
def test_a_jigsaw_keeps_every_pixel_and_tells_the_order(pieces: int, shape: tuple[int, ...]) -> None:
    values = torch.arange(float(torch.Size(shape).numel())).view(shape).expand(30, *shape)
    step = Jigsaw(pieces, 20)
    out, found = step.tell(Made(values, values), seeded())
    height, width = shape[-2] // pieces, shape[-1] // pieces
    for row, answer in zip(out, found[ANSWER].tolist(), strict=True):
        for place, piece in enumerate(step.orders[answer].tolist()):
            (top, left), (y, x) = (((at // pieces) * height, (at % pieces) * width) for at in (place, piece))
            moved = row[..., top : top + height, left : left + width]
            assert torch.equal(moved, values[0, ..., y : y + height, x : x + width])
    assert torch.equal(out[found[ANSWER] == 0], values[found[ANSWER] == 0])


def test_orders_differ_from_each_other_in_as_many_places_as_can_be() -> None:
    assert orders(3, 6).tolist() == [list(order) for order in permutations(range(3))]
    for places, number, least in ((4, 4, 4), (9, 9, 8), (9, 100, 5)):
        found = orders(places, number)
        assert found[0].tolist() == list(range(places))
        assert (found.sort(1).values == torch.arange(places)).all()
        apart = (found.unsqueeze(1) != found).sum(2).fill_diagonal_(places)
        assert int(apart.min()) >= least
        assert torch.equal(found, orders(places, number))


@pytest.mark.parametrize(("kind", "shape", "axis"), [("series", (11, 2), 0), ("audio", (2, 11), 1)])
def test_segments_keep_whole_and_their_order_is_told(kind: str, shape: tuple[int, ...], axis: int) -> None:
    step = Reorder(3).suited(info(kind, *shape))
    values = torch.arange(11.0).view([11 if at == axis else 1 for at in range(2)]).expand(30, *shape)
    out, found = step.tell(Made(values, values), seeded())
    cut = [torch.arange(11)[torch.arange(11) * 3 // 11 == segment] for segment in range(3)]
    for row, answer in zip(out.select(2 - axis, 0), found[ANSWER].tolist(), strict=True):
        assert torch.equal(row, torch.cat([cut[segment] for segment in step.orders[answer].tolist()]).float())
    assert step.answers == factorial(3)


# --- what batches hold ------------------------------------------------------------------------------------------------


def loaders(views: dict[str, Any], **options: Any) -> DataLoaders:
    generator = seeded()
    columns = {
        "image": Column(torch.rand(40, 1, 6, 6, generator=generator), "image"),
        "sound": Column(torch.rand(40, 1, 800, generator=generator), "audio"),
        "words": Column(torch.randint(2, 9, (40, 5), generator=generator), "text"),
        "age": Column(torch.rand(40, 1, generator=generator), "number"),
        "label": Column(torch.arange(40) % 2, "category", classes=("a", "b")),
    }
    rows = torch.arange(40)
    splits = {"train": rows[:20], "val": rows[20:30], "test": rows[30:]}
    return DataLoaders(columns, splits, views=views, batch_size=8, **options)


VIEWS = {"masked": {"image": [Noise(0.1), Hide(0.5, 2)]}, "turned": {"image": [QuarterTurn()]}}


def test_what_a_view_tells_stands_on_its_draws_where_it_is_asked_for() -> None:
    data = loaders(VIEWS, features={"image": [Standardize()]})
    data.train.serve(["image"], ["masked.0", "turned.0"])
    assert set(next(iter(data.train))) == {"image", "image@masked.0", "image@turned.0"}
    data.bind(["image.hidden", "image.whole", "image.answer"])
    batch = next(iter(data.train))
    assert set(batch) == {
        "image",
        "image@masked.0",
        "image.hidden@masked.0",
        "image.whole@masked.0",
        "image@turned.0",
        "image.answer@turned.0",
    }
    hidden, whole = batch["image.hidden@masked.0"], batch["image.whole@masked.0"]
    assert (hidden.dtype, hidden.shape, whole.shape) == (torch.bool, (8, 1, 6, 6), (8, 1, 6, 6))
    assert torch.equal(batch["image@masked.0"], whole.masked_fill(hidden, 0.0))
    assert not torch.equal(whole, batch["image"]), "it is what the view's other steps gave"
    assert "image.answer" not in next(iter(data.val))
    assert data.info("image.hidden") == ValueInfo(shape=(1, 6, 6), dtype="bool")
    assert data.info("image.whole") == data.info("image")
    assert (data.info("image.answer"), data.info("image.answer").classes) == (ValueInfo(shape=(), dtype="int64"), 4)
    assert (data.fields["image"].hides, data.fields["image"].answers) == ({"masked"}, {"turned": 4})
    assert data.told == {"masked": {"image.hidden", "image.whole"}, "turned": {"image.answer"}}


def test_a_draw_is_the_same_wherever_an_epoch_is_taken_up() -> None:
    data = loaders(VIEWS)
    data.bind(["image.hidden", "image.answer"])
    data.train.serve(["image"], ["masked.0", "turned.0"])
    data.train.epoch = 3
    first = list(data.train)
    again = loaders(VIEWS)
    again.bind(["image.hidden", "image.answer"])
    again.train.serve(["image"], ["masked.0", "turned.0"])
    again.train.load_state_dict({"epoch": 3, "batch": 1})
    for one, other in zip(first[1:], again.train, strict=True):
        assert one.keys() == other.keys()
        assert all(torch.equal(one[key], other[key]) for key in one)
    data.train.epoch = 4
    assert not torch.equal(next(iter(data.train))["image.hidden@masked.0"], first[0]["image.hidden@masked.0"])


def test_fields_of_one_key_are_turned_alike_and_both_are_told() -> None:
    mask = Column(torch.randint(0, 3, (40, 6, 6)), "mask", classes=("a", "b", "c"))
    image = Column(mask.values.unsqueeze(1).float() / 2, "image")
    rows = torch.arange(40)
    splits = {"train": rows[:20], "val": rows[20:30], "test": rows[30:]}
    data = DataLoaders({"image": image, "mask": mask}, splits, views={"v": {"image, mask": [QuarterTurn()]}})
    data.bind(["image.answer", "mask.answer"])
    data.train.serve(["image"], ["v.0"])
    batch = next(iter(data.train))
    assert torch.equal(batch["image@v.0"][:, 0] * 2, batch["mask@v.0"].float())
    assert torch.equal(batch["image.answer@v.0"], batch["mask.answer@v.0"])


def test_a_spectrogram_is_hidden_by_frames_and_a_text_keeps_its_mask() -> None:
    views = {"v": {"sound": [Hide(0.5, ("all", 2))], "words": [Hide(0.3)]}}
    data = loaders(views, features={"sound": [LogMel(mels=16, window=200, hop=100, rate=8000)]})
    data.bind(["sound", "words", "words.mask", "sound.hidden", "words.hidden", "words.whole"])
    data.train.serve(None, ["v.0"])
    batch = next(iter(data.train))
    frames = batch["sound.hidden@v.0"]
    assert (frames.all(2) == frames.any(2)).all()
    assert torch.equal(batch["words.whole@v.0"], batch["words"])
    assert batch["words.mask@v.0"].all()
    assert (batch["words.hidden@v.0"].sum(1) == 2).all()


# --- what is refused --------------------------------------------------------------------------------------------------

REFUSED: list[tuple[dict[str, Any], str]] = [
    (
        {"augment": {"image": [Hide(0.5)]}},
        "augment, 'image': hide is for views: an objective asks the model what it did. To augment, take erase, "
        "mask_steps, mask_time, mask_frequency, mask_tokens or swap_noise.",
    ),
    (
        {"augment": {"image": [QuarterTurn()]}},
        "augment, 'image': quarter_turn is for views: an objective asks the model what it did. Leave it out of "
        "`augment`.",
    ),
    (
        {"views": {"v": {"image": [Hide(0.5), Noise(0.1)]}}},
        "view 'v', 'image': step 1 changes what the features give, which comes later; put it last.",
    ),
    (
        {"views": {"v": {"image, label": [QuarterTurn(), Mixup()]}}},
        "view 'v', 'image, label': 'label': quarter_turn is for images and masks; this field is a category.",
    ),
    (
        {"views": {"v": {"image": [QuarterTurn()], "image, label": [Mixup()]}}},
        "view 'v', 'image, label': what tells 'image.answer' of each row comes before a mixture of rows. Put that "
        "first.",
    ),
    (
        {"views": {"v": {"image": [QuarterTurn(), Jigsaw(2)]}}},
        "view 'v', 'image': a step before tells 'image.answer' already. Leave one out, or make another view of it.",
    ),
    (
        {"views": {"v": {"age": [Hide(0.5)]}}},
        "view 'v', 'age': hide leaves a part of each row, and a number has none; make it a column of a table.",
    ),
    (
        {"views": {"v": {"words": [Hide(0.5, 2)]}}},
        "view 'v', 'words': hide takes a text token by token; leave `patch` out.",
    ),
    (
        {"views": {"v": {"words": [Hide(0.5, fill="zero")]}}},
        "view 'v', 'words': expected the fill token for text fields, got zero.",
    ),
    (
        {"views": {"v": {"image": [Hide(0.5, fill="token")]}}},
        "view 'v', 'image': expected the fill mean or noise or others or zero for image fields, got token.",
    ),
    (
        {"views": {"v": {"image": [Hide(0.5, 6)]}}},
        "view 'v', 'image': a row of [1, 6, 6] is one part, so that nothing would be left. Take a smaller `patch`.",
    ),
    (
        {"views": {"v": {"sound": [Hide(0.5, (2, 3))]}}},
        "view 'v', 'sound': expected one number as `patch`, since one axis is cut of [1, 800]; got two.",
    ),
    (
        {"views": {"v": {"words": [Hide(0.5)]}}, "features": {"words": [Bag()]}},
        "view 'v', 'words': hide expects token ids; leave its features out, got [batch, 9] float32.",
    ),
    (
        {"views": {"v": {"image": [Jigsaw(4)]}}},
        "view 'v', 'image': 4 x 4 pieces would lose pixels of 6 x 6: expected a height and a width that the number "
        "divides.",
    ),
    (
        {"views": {"v": {"image": [Jigsaw(2, 30)]}}},
        "view 'v', 'image': 4 pieces have 24 orders, and 30 are asked for.",
    ),
    (
        {"views": {"v": {"image": [Reorder(3)]}}},
        "view 'v', 'image': order is for series and audio; this field is an image.",
    ),
]


@pytest.mark.parametrize(("options", "text"), REFUSED)
def test_what_cannot_be_told_is_refused(options: dict[str, Any], text: str) -> None:
    with pytest.raises(DataError) as caught:
        loaders(**{"views": {}} | options)
    assert str(caught.value) == text


@pytest.mark.parametrize(
    ("step", "field", "text"),
    [
        (
            QuarterTurn(),
            info("image", 1, 6, 4),
            "a quarter turn would change the shape: expected pictures as high as wide, got 6 x 4.",
        ),
        (Reorder(4), info("series", 3, 1), "expected no more segments than there are steps, 3; got 4."),
        (Jigsaw(2), info("series", 3, 1), "jigsaw is for images and masks; this field is a series."),
        (
            Hide(0.5),
            info("mask", 4, 4),
            "hide is for images, audio, series, texts, tables and tensors; this field is a mask.",
        ),
    ],
)
def test_a_step_says_what_it_cannot_change(step: Telling, field: FieldInfo, text: str) -> None:
    assert step.problem(field) == text


@pytest.mark.parametrize(
    ("kind", "shape", "text"),
    [
        ("image", (16,), "hide expects rows of [..., height, width], got [16]."),
        ("series", (4, 2, 2), "hide expects rows of [steps, channels], got [4, 2, 2]."),
        ("audio", (16,), "hide expects rows of [..., samples], got [16]."),
        ("table", (4, 2), "hide expects rows of [elements], got [4, 2]."),
    ],
)
def test_hiding_needs_rows_of_the_axes_that_are_cut(kind: str, shape: Sequence[int], text: str) -> None:
    assert Hide(0.5).problem_after_features(info(kind, *shape), ValueInfo(shape=tuple(shape))) == text


def test_what_no_view_tells_cannot_be_asked_for() -> None:
    data = loaders(VIEWS)
    with pytest.raises(DataError) as caught:
        data.bind(["sound.hidden"])
    assert str(caught.value) == (
        "no view tells 'sound.hidden': none has a step on 'sound' that would. There are hide, which tells .hidden and "
        ".whole, and quarter_turn, jigsaw and order, which tell .answer."
    )


FILE = """
    datasets:
      d:
        source: {kind: sklearn, name: digits}
        fields:
          image: {kind: image, column: images, shape: [1, 8, 8], range: [0, 16]}
          label: {kind: category, column: target}
    {WHERE}:
      {KEY}: [{STEP}]
"""


@pytest.mark.parametrize(
    ("where", "step", "text"),
    [
        (
            "augment",
            "hide: {share: 0.5}",
            "augment.image[0]: hide is for views: an objective asks the model what it did",
        ),
        ("views", "hide: {share: 1}", "views.v.image[0].hide.share"),
        ("views", "hide: {share: 0.5, patch: [al, 2]}", "views.v.image[0].hide.patch"),
        ("views", "jigsaw: {pieces: 3}", "views.v.image[0]: 3 x 3 pieces would lose pixels of 8 x 8"),
        ("views", "order: {segments: 6}", "views.v.image[0].order.segments"),
    ],
)
def test_a_file_is_refused_with_its_line(
    where: str, step: str, text: str, data_spec: Callable[[str], DataSpec]
) -> None:
    key, value = ("image", step) if where == "augment" else ("v", None)
    told = FILE.replace("{WHERE}", where).replace(
        "{KEY}: [{STEP}]", f"{key}: [{{{step}}}]" if value else f"v: {{image: [{{{step}}}]}}"
    )
    with pytest.raises(SpecError) as caught:
        jumpml.create_dataloader(data_spec(told))
    assert text in str(caught.value)
    assert "line 9, column" in str(caught.value)


@pytest.mark.parametrize(
    ("view", "text"),
    [
        (
            "{image: [{hide: {share: 0.5}}, {hide: {share: 0.2}}]}",
            "line 9, column 37: views.v.image[1]: a step before tells 'image.hidden' already. Leave one out, or make "
            "another view of it.",
        ),
        (
            '{image: [{quarter_turn: {}}], "image, label": [{mixup: {}}]}',
            "line 9, column 53: views.v.image, label[0]: what tells 'image.answer' of each row comes before a mixture "
            "of rows. Put that first.",
        ),
    ],
)
def test_a_file_whose_view_would_tell_wrongly_is_refused_with_its_line(
    view: str, text: str, data_spec: Callable[[str], DataSpec]
) -> None:
    with pytest.raises(SpecError) as caught:
        jumpml.create_dataloader(data_spec(FILE.replace("{WHERE}", "views").replace("{KEY}: [{STEP}]", f"v: {view}")))
    assert text in str(caught.value)


def test_a_file_asks_for_what_a_view_tells(data_spec: Callable[[str], DataSpec]) -> None:
    told = FILE.replace("{WHERE}", "views").replace(
        "{KEY}: [{STEP}]",
        "v: {image: [{hide: {share: 0.75, patch: [4, all]}}]}\n      w: {image: [{jigsaw: {pieces: 2}}]}",
    )
    data = jumpml.create_dataloader(data_spec(told))
    assert (data.fields["image"].hides, data.fields["image"].answers) == ({"v"}, {"w": 24})
    data.bind(["image.hidden"])
    data.train.serve([], ["v.0"])
    hidden = next(iter(data.train))["image.hidden@v.0"]
    assert (hidden.flatten(2).sum(2) == 32).all()
