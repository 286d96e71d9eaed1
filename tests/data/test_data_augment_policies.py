"""Which field is changed by what: keys of several fields, steps after features, mixed rows, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

import jumpml
from jumpml.core import DataError, DataSpec, FieldInfo, SpecError, ValueInfo, load_spec
from jumpml.data import (
    Affine,
    Colour,
    Column,
    CutMix,
    DataLoaders,
    Flip,
    Gain,
    LogMel,
    MaskFrequency,
    MaskTime,
    Mixup,
    Noise,
    OneHot,
    Shift,
    Standardize,
    SwapNoise,
)
from jumpml.data.augment._policies import PLAIN, Policies
from jumpml.diagnose import diagnose

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from jumpml.data.augment._augmentation import Change

ROWS = 40
AT = {"seed": 0, "epoch": 1, "batch": 2}


def info(name: str, kind: str, *shape: int, classes: int = 0, missing: int = 0) -> FieldInfo:
    names = tuple("abcdefgh"[:classes])
    return FieldInfo(name=name, kind=kind, value=ValueInfo(shape=shape), classes=names, missing=missing)


FIELDS = {
    each.name: each
    for each in (
        info("image", "image", 3, 8, 8),
        info("second", "image", 3, 8, 8),
        info("small", "image", 3, 4, 4),
        info("mask", "mask", 8, 8, classes=3),
        info("label", "category", classes=3),
        info("age", "number", 1),
    )
}


def values() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    made = {
        name: torch.rand(ROWS, *each.value.shape, generator=generator)
        for name, each in FIELDS.items()
        if each.kind in {"image", "number"}
    }
    made["mask"] = torch.randint(0, 3, (ROWS, 8, 8), generator=generator)
    made["label"] = torch.arange(ROWS) % 3
    return made


def drawn(augment: dict[str, Sequence[Change]], given: dict[str, Tensor] | None = None, **at: int) -> dict[str, Tensor]:
    return Policies(augment, {}, FIELDS).apply(PLAIN, given or values(), **AT | at)


# --- several fields in one key ----------------------------------------------------------------------------------------


def test_fields_of_one_key_move_alike_and_colour_changes_the_pictures_alone() -> None:
    steps = [Affine(20.0, 0.1), Colour(0.5), Flip(0.5), Noise(0.1)]
    batch = values()
    batch["mask"] = (batch["image"][:, 0] > 0.5).long()
    batch["image"] = batch["mask"].unsqueeze(1).expand(ROWS, 3, 8, 8).float()
    moving = drawn({"image, mask": [steps[0], steps[2]]}, batch)
    sure = (moving["image"][:, 0] - 0.5).abs() > 0.251
    assert torch.equal(moving["image"][:, 0][sure] > 0.5, moving["mask"][sure] == 1)
    out = drawn({"image, mask": steps}, batch)
    assert set(out["mask"].unique().tolist()) == {-1, 0, 1}
    assert torch.equal(batch["mask"], (batch["image"][:, 0] > 0.5).long()), "what came in is left as it is"


def test_what_does_not_move_is_drawn_anew_for_each_field() -> None:
    batch = values()
    batch["second"] = batch["image"]
    out = drawn({"image, second": [Noise(0.1)]}, batch)
    assert not torch.equal(out["image"], out["second"])
    out = drawn({"image, second": [Shift(2), Flip(0.5)]}, batch)
    assert torch.equal(out["image"], out["second"])


def test_keys_are_gone_through_in_the_order_of_the_file() -> None:
    first = drawn({"image": [Shift(3)], "image, mask": [Flip(1.0)]})
    assert torch.equal(first["image"], drawn({"image": [Shift(3)]})["image"].flip(3))
    assert torch.equal(first["mask"], values()["mask"].flip(2))


@pytest.mark.parametrize("change", [{"seed": 1}, {"epoch": 0}, {"batch": 1}])
def test_a_draw_is_a_function_of_seed_epoch_and_batch(change: dict[str, int]) -> None:
    augment = {"image, mask": [Shift(2)], "image, label": [Mixup(1.0)]}
    first, again, other = drawn(augment), drawn(augment), drawn(augment, None, **change)
    assert first.keys() == {"image", "mask", "label"}
    for name in first:
        assert torch.equal(first[name], again[name])
        assert not torch.equal(first[name], other[name])


def test_a_policy_made_again_draws_the_same_in_any_order() -> None:
    policies = Policies({}, {"v": {"image, mask": [Shift(2)]}}, FIELDS)
    made = [policies.apply("v.0", values(), seed=0, epoch=0, batch=number)["mask"] for number in (0, 1, 2)]
    for number in (2, 0, 1):
        assert torch.equal(policies.apply("v.0", values(), seed=0, epoch=0, batch=number)["mask"], made[number])
    assert not torch.equal(policies.apply("v.1", values(), seed=0, epoch=0, batch=0)["mask"], made[0])


# --- loaders ----------------------------------------------------------------------------------------------------------


def loaders(**options: Any) -> DataLoaders:
    batch = values()
    columns = {
        "image": Column(batch["image"], "image", range=(0.0, 1.0)),
        "small": Column(batch["small"], "image", range=(0.0, 1.0)),
        "label": Column(batch["label"], "category", classes=("a", "b", "c")),
        "sound": Column(batch["image"][:, 0] * 2, "tensor"),
        "age": Column(batch["age"].where(torch.arange(ROWS)[:, None] > 2, torch.nan), "number"),
    }
    rows = torch.arange(ROWS)
    splits = {"train": rows[:20], "val": rows[20:30], "test": rows[30:]}
    return DataLoaders(columns, splits, **{"batch_size": 8, **options})


MIXED = {"augment": {"image": [Shift(1)], "image, label": [CutMix()]}}


def test_a_picture_and_its_mask_are_served_alike() -> None:
    mask = torch.zeros(ROWS, 16, 16, dtype=torch.int64)
    mask[:, 3:9, 5:12] = 1
    columns = {
        "image": Column(mask.unsqueeze(1).float(), "image"),
        "mask": Column(mask, "mask", classes=("ground", "thing")),
    }
    rows = torch.arange(ROWS)
    splits = {"train": rows[:20], "val": rows[20:30], "test": rows[30:]}
    steps = [Shift(3), Flip(0.5, 0.5), Colour(contrast=0.5)]
    data = DataLoaders(columns, splits, augment={"image, mask": steps}, views={"v": {"image, mask": steps}})
    data.train.serve(None, ["v.0"])
    (batch,) = data.train
    for draw in ("", "@v.0"):
        picture, codes = batch[f"image{draw}"][:, 0], batch[f"mask{draw}"]
        thing = torch.where(codes == 1, picture, torch.nan)
        other = torch.where(codes == 1, torch.nan, picture)
        low, high = thing.nan_to_num(9.0).amin((1, 2)), other.nan_to_num(-9.0).amax((1, 2))
        assert (low > high).all(), "in every row the thing is brighter than all else"
        assert len(codes.flatten(1).unique(dim=0)) > 5
        assert (codes == -1).any(), "what comes in has no class"


def test_mixed_labels_come_as_shares_and_validation_keeps_codes() -> None:
    data = loaders(**MIXED)
    for batch in data.train:
        assert batch["label"].dtype == torch.float32
        assert batch["label"].shape == (len(batch["image"]), 3)
        torch.testing.assert_close(batch["label"].sum(1), torch.ones(len(batch["label"])))
    assert next(iter(data.val))["label"].dtype == torch.int64
    assert next(data.train.plain())["label"].dtype == torch.int64
    assert data.mixes_rows
    assert not loaders(augment={"image": [Shift(1)]}).mixes_rows
    assert not loaders(views={"v": {"image, label": [Mixup()]}}).mixes_rows


def test_a_field_is_drawn_alike_whether_its_partner_is_served_or_not() -> None:
    both, alone = loaders(**MIXED), loaders(**MIXED)
    alone.train.serve(["image"], [])
    for first, second in zip(both.train, alone.train, strict=True):
        assert set(second) == {"image"}
        assert torch.equal(first["image"], second["image"])


def test_mixed_batches_resume_exactly() -> None:
    whole = [batch for _ in range(2) for batch in loaders(**MIXED).train]
    data = loaders(**MIXED)
    iterator = iter(data.train)
    next(iterator)
    again = loaders(**MIXED)
    again.train.load_state_dict(data.train.state_dict())
    for batch, expected in zip(again.train, whole[1:3], strict=True):
        for key in expected:
            torch.testing.assert_close(batch[key], expected[key], atol=0, rtol=0, equal_nan=True)


def test_masks_of_a_spectrogram_come_after_the_features() -> None:
    # After standardizing, the mean of a whole row is what is hidden becomes: no decoded value's doing.
    steps = [MaskTime(1.0), MaskFrequency(0.5)]
    data = loaders(
        features={"sound": [Standardize()]}, augment={"sound": steps}, views={"v": {"sound": [MaskTime(1.0)]}}
    )
    plain = {int(row): each for row, each in zip(data.train.rows, _plain(data, "sound"), strict=True)}
    data.train.serve(None, ["v.0", "v.1"])
    order, start = data.train.order(0), 0
    for batch in data.train:
        size = len(batch["sound"])
        known = torch.stack([plain[int(data.train.rows[place])] for place in order[start : start + size]])
        start += size
        mean = known.mean((1, 2), keepdim=True)
        for key in ("sound", "sound@v.0", "sound@v.1"):
            hidden = batch[key] != known
            assert hidden.any()
            assert ((batch[key] - mean).abs()[hidden] < 1.0).all()
        first = batch["sound@v.0"] != known
        torch.testing.assert_close(batch["sound@v.0"][first], mean.expand_as(known)[first])
        assert not torch.equal(batch["sound@v.0"], batch["sound@v.1"])
    assert torch.equal(_plain(data, "sound")[0], plain[int(data.train.rows[0])])


def test_a_recording_is_changed_before_its_spectrogram_and_masked_after_it() -> None:
    sound = torch.rand(ROWS, 1, 2000, generator=torch.Generator().manual_seed(0)) * 2 - 1
    rows = torch.arange(ROWS)
    splits = {"train": rows[:20], "val": rows[20:30], "test": rows[30:]}
    options: dict[str, Any] = {"columns": {"sound": Column(sound, "audio")}, "splits": splits}
    features = {"sound": [LogMel(mels=16, window=200, hop=100, rate=8000)]}
    data, louder = (
        DataLoaders(**options, features=features, augment={"sound": [Gain(20.0), *masks]})
        for masks in ([MaskTime(0.4), MaskFrequency(0.4)], [])
    )
    masked, heard = next(iter(data.train))["sound"], next(iter(louder.train))["sound"]
    hidden = masked != heard
    stretches, bands = hidden.all(2, keepdim=True), hidden.all(3, keepdim=True)
    assert torch.equal(hidden, stretches | bands), "nothing but whole stretches and whole bands"
    assert stretches.any()
    assert bands.any()
    with pytest.raises(DataError, match="Give the field the feature log_mel"):
        DataLoaders(**options, augment={"sound": [MaskTime(0.4)]})


def _plain(data: DataLoaders, field: str) -> Tensor:
    return torch.cat([batch[field] for batch in data.train.plain()])


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            {"augment": {"image, small": [Shift(1)]}},
            "augment, 'image, small': expected fields of one size, since they change together; "
            "'image' has 8 x 8 and 'small' has 4 x 4.",
        ),
        (
            {"augment": {"image, small, label": [CutMix()]}},
            "augment, 'image, small, label': expected fields of one size, since they change together; "
            "'image' has 8 x 8 and 'small' has 4 x 4.",
        ),
        (
            {"augment": {"image, label": [Flip(0.5)]}},
            "augment, 'image, label': 'label': flip is for images; this field is a category.",
        ),
        (
            {"views": {"v": {"label, sound": [Colour(0.5)]}}},
            "view 'v', 'label, sound': 'label': colour is for images; this field is a category.",
        ),
        (
            {"augment": {"image, labl": [Mixup()]}},
            "augment: there is no field 'labl'. Did you mean 'label'?",
        ),
        (
            {"augment": {"image, age": [Mixup()]}},
            "augment, 'image, age': 'age': 3 values are missing, and a row cannot be mixed with what is not there. "
            "Leave those rows out, or take another step.",
        ),
        (
            {"augment": {"image, image": [Flip(0.5)]}},
            "augment, 'image, image': the key names a field twice.",
        ),
        (
            {"augment": {"sound": [MaskTime(0.5), Noise(0.1)]}},
            "augment, 'sound': step 1 changes what the features give, which comes later; put it last.",
        ),
        (
            {"augment": {"image, label": [Mixup()]}, "features": {"label": [OneHot()]}},
            "field 'label': a mixture turns its codes into shares of classes, which neither features nor nodes can "
            "read. Only a target without features can be mixed.",
        ),
    ],
)
def test_what_cannot_be_drawn_is_refused(options: dict[str, Any], text: str) -> None:
    with pytest.raises(DataError) as caught:
        loaders(**options)
    assert str(caught.value) == text


def test_a_mixed_category_is_no_input() -> None:
    data = loaders(**MIXED)
    data.bind(["image"])
    with pytest.raises(DataError, match="field 'label': a mixture turns its codes into shares of classes"):
        data.bind(["label"])


def test_masks_need_the_shape_of_a_spectrogram() -> None:
    batch = values()
    columns = {"x": Column(batch["age"].expand(ROWS, 5).contiguous(), "tensor")}
    rows = torch.arange(ROWS)
    splits = {"train": rows[:20], "val": rows[20:30], "test": rows[30:]}
    views = {"v": {"x": [MaskFrequency(0.5)]}}
    with pytest.raises(DataError) as caught:
        DataLoaders(columns, splits, views=views, features={"x": []})
    with pytest.raises(DataError, match="time], got"):
        DataLoaders(columns, splits, views=views).bind(["x"])  # only then its default features are known
    assert str(caught.value) == "view 'v', 'x': expected rows of [..., frequency, time], got [5]."
    problem = MaskTime(0.5).problem_after_features(info("a", "audio", 1, 16000), ValueInfo(shape=(1, 16000)))
    assert problem == ("expected rows of [..., frequency, time], got [1, 16000]. Give the field the feature log_mel.")


FILE = """
    datasets:
      d:
        source: {kind: sklearn, name: digits}
        fields:
          image: {kind: image, column: images, shape: [1, 8, 8], range: [0, 16]}
          label: {kind: category, column: target}
    augment:
      image: [{STEP}]
"""


@pytest.mark.parametrize(
    ("step", "text"),
    [
        ("flip: {}", "nothing would change; give at least one of horizontal, vertical"),
        ("affine: {}", "nothing would change; give at least one of degrees, translate, scale, shear"),
        (
            "colour: {probability: 0.5}",
            "nothing would change; give at least one of brightness, contrast, saturation, hue",
        ),
        ("crop: {scale: [0.9, 0.1]}", "expected the lower end first, got [0.9, 0.1]"),
        ("crop: {scale: [0.5, 1.1]}", "augment.image[0].crop.scale[1]"),
        ("blur: {sigma: [0, 1]}", "augment.image[0].blur.sigma[0]"),
        ("colour: {hue: 0.6}", "augment.image[0].colour.hue"),
        ("affine: {shear: 90}", "augment.image[0].affine.shear"),
        ("rand_augment: {magnitude: 31}", "augment.image[0].rand_augment.magnitude"),
        ("mixup: {alpha: 0}", "augment.image[0].mixup.alpha"),
        ("mask_tokens: {probability: 0}", "augment.image[0].mask_tokens.probability"),
        ("permute: {segments: 1}", "augment.image[0].permute.segments"),
        ("mixup: {}", "augment.image[0]: mixup mixes rows, so their label has to be mixed alike"),
        ("drop_tokens: {probability: 0.5}", "augment.image[0]: drop_tokens is for texts; this field is an image."),
    ],
)
def test_a_file_that_asks_for_what_cannot_be_is_refused_with_its_line(
    step: str, text: str, data_spec: Callable[[str], DataSpec]
) -> None:
    with pytest.raises(SpecError) as caught:
        jumpml.create_dataloader(data_spec(FILE.replace("{STEP}", f"{{{step}}}")))
    assert text in str(caught.value)
    assert "line 9, column" in str(caught.value)


def test_a_key_of_several_fields_is_checked_field_by_field(data_spec: Callable[[str], DataSpec]) -> None:
    with pytest.raises(SpecError) as caught:
        jumpml.create_dataloader(data_spec(FILE.replace("image: [{STEP}]", '"imag, labl": [{mixup: {}}]')))
    assert [mistake.problem for mistake in caught.value.mistakes] == [
        "there is no field 'imag'.",
        "there is no field 'labl'.",
    ]


# --- end to end -------------------------------------------------------------------------------------------------------

DIGITS = {
    "datasets": {
        "digits": {
            "source": {"kind": "sklearn", "name": "digits"},
            "fields": {
                "image": {"kind": "image", "column": "images", "shape": [1, 8, 8], "range": [0, 16]},
                "label": {"kind": "category", "column": "target"},
            },
            "split": {"stratify": "label"},
        }
    },
    "features": {"image": [{"standardize": {}}]},
}
NET = {
    "seed": 0,
    "nodes": {
        "flat": {"module": "torch.nn.Flatten", "inputs": "image"},
        "body": {"module": "jumpml.blocks.MLP", "inputs": "flat", "args": {"widths": [64, 32]}},
        "out": {"module": "jumpml.blocks.Head", "inputs": "body"},
    },
    "tasks": {"digit": {"kind": "multiclass", "output": "out", "target": "label"}},
}


@pytest.mark.parametrize("step", [{"mixup": {"alpha": 0.4}}, {"cutmix": {"probability": 0.5}}])
def test_digits_are_learned_from_mixed_rows(step: dict[str, Any], tmp_path: object) -> None:
    augment = {"image": [{"shift": {"pixels": 1}}], "image, label": [step]}
    data = jumpml.create_dataloader({**DIGITS, "augment": augment})
    model = jumpml.load_model(NET, data)
    options = {
        "optimizer": {"kind": "adam", "lr": 0.003},
        "phases": {"supervised": {"epochs": 6}},
        "log": [],
        "checkpoint": None,
    }
    learner = jumpml.create_learner(data, model, None, options, run=str(tmp_path))
    learner.fit()
    # Chance is one in ten.
    assert jumpml.eval_model(data, model)["digit/accuracy"].low > 0.6
    assert learner.history.examples == {}, "a loss of two rows is neither's"
    notes = diagnose(data, model, learner.history).record.notes
    told = "hard examples are left out: the history holds no examples; augmentation mixes rows with each other, so"
    assert any(note.startswith(told) for note in notes)


def test_a_binary_task_learns_from_mixed_rows() -> None:
    x = torch.randn(200, 2, generator=torch.Generator().manual_seed(0))
    columns = {"x": Column(x, "tensor"), "y": Column((x[:, 0] > 0).long(), "category", classes=("no", "yes"))}
    rows = torch.arange(200)
    data = DataLoaders(
        columns,
        {"train": rows[:100], "val": rows[100:150], "test": rows[150:]},
        augment={"x": [SwapNoise(0.1)], "x, y": [Mixup(0.4)]},
    )
    net = {"nodes": {"out": {"module": "jumpml.blocks.Head", "inputs": "x"}}, "seed": 0}
    model = jumpml.load_model({**net, "tasks": {"y": {"kind": "binary", "output": "out", "target": "y"}}}, data)
    batch = next(iter(data.train))
    loss = model.losses(batch)["y"]
    expected = torch.nn.functional.binary_cross_entropy_with_logits(
        model(batch)["y"].flatten(), batch["y"][:, 1], reduction="none"
    )
    torch.testing.assert_close(loss, expected)


def test_the_spec_reads_a_key_of_several_fields() -> None:
    spec = load_spec(DataSpec, {**DIGITS, "augment": {"image, label": [{"mixup": {}}]}})
    assert list(spec.augment) == ["image, label"]
