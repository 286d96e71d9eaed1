"""Traps that are planted in data are found, and clean data raises no alarm."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from jumpml.core import DataError, DataSpec, FieldInfo, ValueInfo, load_spec
from jumpml.data import Column, DataLoaders, build_dataloader, profile, random_split
from jumpml.data.profiling._drawing import draw_profile
from jumpml.data.profiling._text import spark

if TYPE_CHECKING:
    from pathlib import Path

    from jumpml.data import Profile, Suspicion

ROWS = 400
SPLITS = random_split(ROWS)
PNG = b"\x89PNG\r\n"


def _draws(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _numbers(seed: int) -> torch.Tensor:
    return torch.randn(ROWS, 1, generator=_draws(seed))


def _clean() -> dict[str, Column]:
    """Fields without any trap, and a target that they tell something of."""
    size, codes = _numbers(0), torch.randint(0, 3, (ROWS,), generator=_draws(1))
    target = (size[:, 0] + 0.7 * _numbers(2)[:, 0] > 0).long()
    return {
        "size": Column(size, "number"),
        "colour": Column(codes, "category", classes=("blue", "green", "red")),
        "sold": Column(target, "category", classes=("no", "yes")),
    }


def _profile(columns: dict[str, Column], target: str | None = "sold", **options: Any) -> Profile:
    return profile(DataLoaders(columns, SPLITS), target, **options)


def _only(found: Profile, what: str) -> Suspicion:
    (suspicion,) = [each for each in found.suspicions if each.what == what]
    return suspicion


def _variable(found: Profile, name: str) -> Any:
    return next(variable for variable in found.variables if variable.name == name)


def test_clean_fields_raise_no_alarm_and_no_note() -> None:
    assert _profile(_clean()).suspicions == ()


def test_helpers_fail_where_nothing_is_found() -> None:
    with pytest.raises(ValueError, match="not enough values"):
        _only(_profile(_clean()), "shift")


@pytest.mark.parametrize(("name", "shape", "field"), [("iris", [4], "data"), ("wine", [13], "data")])
def test_clean_real_data_raises_no_alarm(name: str, shape: list[int], field: str) -> None:
    source = {"kind": "sklearn", "name": name}
    fields = {field: {"kind": "tensor", "shape": shape}, "target": {"kind": "category"}}
    split = {"stratify": "target", "duplicates": "together"}
    told = {"datasets": {name: {"source": source, "fields": fields, "split": split}}}
    found = profile(build_dataloader(load_spec(DataSpec, told)), "target")
    assert found.alarms == ()
    assert max(variable.alone or 0 for variable in found.variables) > 0.5  # a petal's width, flavanoids


def test_a_column_that_gives_a_category_away() -> None:
    columns = _clean()
    columns["invoice"] = Column(columns["sold"].values[:, None] * 100.0 + _numbers(5), "number")
    suspicion = _only(_profile(columns), "gives_target_away")
    assert (suspicion.where, suspicion.level) == ("invoice", "alarm")
    assert str(suspicion) == (
        "invoice: it alone predicts sold almost perfectly on held-out rows (1.000 of 1). "
        "Is it known before the target is? If not, leave it out."
    )


def test_a_column_that_gives_a_number_away() -> None:
    columns = _clean() | {"price": Column(_numbers(7), "number")}
    columns["tax"] = Column(columns["price"].values * 0.19, "number")
    found = _profile(columns, "price")
    assert _only(found, "gives_target_away").where == "tax"
    assert found.alarms == (_only(found, "gives_target_away"),)


def test_a_name_for_each_class_gives_it_away_too() -> None:
    columns = _clean()
    columns["state"] = Column(columns["sold"].values, "category", classes=("open", "closed"))
    assert _only(_profile(columns), "gives_target_away").where == "state"


def test_what_tells_little_scores_little_and_the_target_is_not_asked() -> None:
    found = _profile(_clean())
    assert 0.3 < _variable(found, "size").alone < 0.8
    assert _variable(found, "colour").alone < 0.2
    assert _variable(found, "sold").alone is None
    assert _variable(_profile(_clean(), None), "size").alone is None


@given(seed=st.integers(0, 1000))
def test_chance_is_zero_and_never_an_alarm(seed: int) -> None:
    columns = {
        "noise": Column(_numbers(seed), "number"),
        "sold": Column(torch.randint(0, 2, (ROWS,), generator=_draws(seed + 1)), "category", classes=("no", "yes")),
    }
    found = _profile(columns)
    assert 0 <= _variable(found, "noise").alone < 0.35  # 280 train rows: chance has a deviation of 0.06 around 0
    assert not [each for each in found.suspicions if each.what == "gives_target_away"]


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (torch.arange(ROWS), "it rises from each row to the next."),
        (-torch.arange(ROWS) / 7, "it falls from each row to the next."),
        (torch.randperm(ROWS, generator=_draws()) + 5000, "almost every row has another whole number, and hardly"),
    ],
)
def test_numbers_of_rows_are_identifiers(values: torch.Tensor, text: str) -> None:
    suspicion = _only(_profile(_clean() | {"id": Column(values.float()[:, None], "number")}), "identifier")
    assert (suspicion.where, suspicion.level) == ("id", "alarm")
    assert suspicion.text.startswith(text)
    assert suspicion.text.endswith("A model could only learn it by heart: leave it out.")


def test_names_of_rows_are_identifiers_and_half_of_that_is_a_note() -> None:
    def table(distinct: int) -> Column:
        info = FieldInfo(
            name="key",
            kind="category",
            value=ValueInfo(shape=(), dtype="int64", classes=distinct),
            classes=tuple(f"n{place}" for place in range(distinct)),
        )
        return Column(torch.arange(ROWS).remainder(distinct).float()[:, None], "table", columns=(info,))

    alarm = _only(_profile(_clean() | {"t": table(ROWS)}), "identifier")
    assert (alarm.where, alarm.level) == ("t.key", "alarm")
    assert alarm.text.startswith("100% of the rows have a name that is new.")
    assert _only(_profile(_clean() | {"t": table(3 * ROWS // 5)}), "identifier").level == "note"
    assert not [e for e in _profile(_clean() | {"t": table(ROWS // 4)}).suspicions if e.what == "identifier"]


def test_a_constant_column_is_told() -> None:
    found = _profile(_clean() | {"unit": Column(torch.ones(ROWS, 1), "number")})
    assert _only(found, "finding").text == "unit: all train rows have the same value."


def test_a_shifted_test_split_is_found() -> None:
    columns = _clean()
    for name, shift in (("size", 1.5), ("colour", 1)):
        values = columns[name].values.clone()
        values[SPLITS["test"]] = (values[SPLITS["test"]] + shift) % (3 if name == "colour" else 1000)
        columns[name] = Column(values, columns[name].kind, classes=columns[name].classes)
    columns["colour"] = Column(
        torch.where(torch.arange(ROWS) % 2 == 0, 0, columns["colour"].values), "category", classes=("b", "g", "r")
    )
    values = columns["colour"].values.clone()
    values[SPLITS["test"]] = 2
    columns["colour"] = Column(values, "category", classes=("b", "g", "r"))
    found = [each for each in _profile(columns, None).suspicions if each.what == "shift"]
    assert [(each.where, each.level) for each in found] == [("size", "alarm"), ("colour", "alarm")]
    assert re.fullmatch(
        r"the test rows differ from the train rows by \d\d% of the rows \(p = \S+, allowing for the number of tests\). "
        r"Figures will tell of other data than what was learned from; is that meant\?",
        found[0].text,
    )


def test_a_split_by_time_is_a_note_on_its_date() -> None:
    seconds = torch.full((ROWS,), 10**9)
    for later, split in enumerate(("train", "val", "test")):
        seconds[SPLITS[split]] += later * 10**7 + torch.arange(len(SPLITS[split])).flip(0)
    found = _profile(_clean() | {"day": Column(seconds, "date")})
    assert {(each.what, each.where, each.level) for each in found.suspicions} == {("shift", "day", "note")}
    assert _variable(found, "day").kind == "date"
    assert "2001-09-09 .. 2001-09-09 .. 2002-04-28" in found.summary()  # 10**9 is 9 September 2001


def test_values_that_are_missing_in_one_split_are_found() -> None:
    columns = _clean()
    values = columns["size"].values.clone()
    values[SPLITS["val"][: len(SPLITS["val"]) // 2]] = torch.nan
    columns["size"] = Column(values, "number")
    suspicion = _only(_profile(columns), "missing_by_split")
    assert (suspicion.where, suspicion.level) == ("size", "alarm")
    assert suspicion.text.startswith("values are missing most often in val: the shares differ by 50% (p = ")
    assert suspicion.text.endswith("What is missing depends on the split; is the split one of time or place?")


def test_what_is_missing_at_random_is_no_alarm() -> None:
    columns = _clean()
    gone = torch.rand(ROWS, generator=_draws(9)) < 0.3
    columns["size"] = Column(columns["size"].values.masked_fill(gone[:, None], torch.nan), "number")
    found = _profile(columns)
    assert found.alarms == ()
    assert _variable(found, "size").missing == pytest.approx(float(gone.float().mean()))


def test_rare_classes_of_the_target_are_told() -> None:
    columns = _clean()
    columns["sold"] = Column((torch.arange(ROWS) % 20 == 0).long(), "category", classes=("no", "yes"))
    suspicion = _only(_profile(columns), "imbalance")
    assert (suspicion.where, suspicion.level) == ("sold", "note")
    assert suspicion.text.startswith("'no' has 95.0% of the rows, 'yes' 20. Look at each class's figures;")


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (lambda v: v.index_fill(0, torch.tensor([5]), 1e4), "1 values lie far outside the middle half, such as 10000."),
        (
            lambda v: torch.zeros_like(v).index_copy(0, torch.tensor([1, 2]), torch.tensor([[1.0], [900.0]])),
            "100% of the values are 0, others reach 900.",
        ),
    ],
)
def test_outliers_are_told(spoil: Any, text: str) -> None:
    found = _profile(_clean() | {"gain": Column(spoil(_numbers(3)), "number")})
    suspicion = _only(found, "outliers")
    assert (suspicion.where, suspicion.level) == ("gain", "note")
    assert suspicion.text == f"{text} Are they right? `clip`, `log` or `quantile` among the features tame them."


@pytest.mark.parametrize(
    ("target", "text"),
    [
        ("sould", "the target: there is no field 'sould'. Did you mean 'sold'?"),
        ("image", "the target: expected a field of kind category or number, got 'image', which is of kind image."),
    ],
)
def test_a_target_that_cannot_be_is_refused(target: str, text: str) -> None:
    columns = _clean() | {"image": Column(torch.rand(ROWS, 1, 4, 4, generator=_draws()), "image")}
    with pytest.raises(DataError) as error:
        _profile(columns, target)
    assert str(error.value) == text


def _of_every_kind() -> dict[str, Column]:
    return _clean() | {
        "image": Column(torch.rand(ROWS, 3, 10, 10, generator=_draws(1)), "image"),
        "sound": Column(torch.rand(ROWS, 1, 100, generator=_draws(2)), "audio", options={"rate": 100}),
        "past": Column(torch.rand(ROWS, 70, 2, generator=_draws(3)), "series"),
        "tags": Column(torch.rand(ROWS, 2, generator=_draws(4)).round(), "multilabel", classes=("a", "b")),
        "few": Column(torch.rand(ROWS, 2, generator=_draws(5)), "tensor"),
        "words": Column(
            torch.randint(0, 3, (ROWS, 5), generator=_draws(6)),
            "text",
            options={"tokenizer": {"vocabulary": ["[PAD]", "[UNK]", "hi"], "padding": 0}},
            originals=["hi <b>there</b>"] * ROWS,
        ),
        "parts": Column(torch.randint(0, 2, (ROWS, 4, 4), generator=_draws(7)), "mask", classes=("sky", "sea")),
    }


def test_each_kind_is_measured_by_something() -> None:
    found = _profile(_of_every_kind())
    assert {variable.name: variable.kind for variable in found.variables} == {
        "size": "number",
        "colour": "category",
        "sold": "category",
        "image (mean)": "number",
        "image (spread)": "number",
        "sound (mean)": "number",
        "sound (spread)": "number",
        "past (mean)": "number",
        "past (spread)": "number",
        "tags.a": "category",
        "tags.b": "category",
        "few[0]": "number",
        "few[1]": "number",
        "words (tokens)": "number",
        "parts (share of sky)": "number",
        "parts (share of sea)": "number",
    }
    assert all(variable.alone is not None for variable in found.variables if variable.field != "sold")
    tokens = _variable(found, "words (tokens)")
    counts = (_of_every_kind()["words"].values != 0).sum(1)
    assert tokens.bars == tuple(torch.bincount(counts)[int(counts.min()) :].tolist())


def test_shares_of_classes_are_of_all_rows_where_not_all_have_a_bar() -> None:
    names = tuple(f"n{place}" for place in range(100))
    found = _profile(_clean() | {"town": Column(torch.arange(ROWS) % 100, "category", classes=names)})
    town = _variable(found, "town")
    assert (len(town.classes), len(town.bars), town.known) == (20, 20, {"train": 280, "val": 60, "test": 60})
    assert "n0 1%, n1 1%, n2 1%, n3 1%, 96 more" in found.summary()


def test_outliers_of_a_measure_are_rows_to_look_at() -> None:
    images = 0.5 + 0.1 * torch.rand(ROWS, 1, 10, 10, generator=_draws(1))
    images[7] = 1.0
    suspicion = _only(_profile(_clean() | {"image": Column(images, "image")}), "outliers")
    assert str(suspicion) == ("image (mean): 1 values lie far outside the middle half, such as 1. Look at those rows.")


def test_what_is_measured_of_large_values_leaves_gaps_out() -> None:
    series = torch.zeros(ROWS, 70, 2)
    series[:, 0], series[:, 1] = 3.0, torch.nan
    series[0] = torch.nan
    mask = torch.zeros(ROWS, 4, 4, dtype=torch.int64)
    mask[:, 0], mask[:, 1] = 1, -1
    mask[1] = -1
    found = _profile(
        _clean() | {"past": Column(series, "series"), "parts": Column(mask, "mask", classes=("sky", "sea"))}
    )
    assert _variable(found, "past (mean)").quantiles == pytest.approx([3 / 69] * 5)
    assert sum(_variable(found, "past (mean)").bars) == ROWS - 1
    assert _variable(found, "past (spread)").quantiles == pytest.approx([3 * 68**0.5 / 69] * 5)  # of one 3 in 69
    assert _variable(found, "parts (share of sea)").quantiles == pytest.approx([1 / 3] * 5)
    assert sum(_variable(found, "parts (share of sea)").bars) == ROWS - 1


def test_the_histogram_counts_each_known_row_once() -> None:
    found = _profile(_of_every_kind())
    for variable in found.variables:
        for split, counts in variable.counts.items():
            assert sum(counts) == len(SPLITS[split]), variable.name


def test_a_sample_is_said_and_its_size_held() -> None:
    found = _profile(_of_every_kind(), rows=100)
    assert found.looked_at == 100
    assert "looked at 100 of 400 rows, drawn by chance" in found.summary()
    assert {field.rows for field in found.fields} == {100}
    assert "looked at" not in _profile(_of_every_kind()).summary()


def test_few_rows_of_what_may_be_files_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    from jumpml.data.profiling import _variables

    monkeypatch.setattr(_variables, "LARGE_ROWS", 40)
    found = _profile(_of_every_kind())
    assert "looked at 40 rows of image; 40 rows of sound; 40 rows of past" in found.summary()
    assert {field.name for field in found.fields if field.rows == 40} == {"image", "sound", "past"}
    assert _variable(found, "image (mean)").alone is None  # 28 train rows are too few to say


def test_rows_that_are_in_no_split_are_told(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("x,s\n" + "".join(f"{row * 7 % 50},{row % 3}\n" for row in range(60)))
    fields = {"past": {"kind": "series", "columns": ["x"], "window": [-3, 0]}, "s": {"kind": "category"}}
    told = {"datasets": {"d": {"source": {"kind": "csv", "path": str(tmp_path / "t.csv")}, "fields": fields}}}
    found = profile(build_dataloader(load_spec(DataSpec, told)))
    assert sum(found.left_out.values()) == 60 - sum(found.rows.values()) > 0
    assert f"in no split: {next(iter(found.left_out.values()))} rows" in found.summary()


def test_the_summary_shows_each_variable_and_a_terminal_shows_the_same() -> None:
    found = _profile(_clean())
    lines = found.summary().splitlines()
    assert lines[0] == "data: 400 rows: train 280 (70%), val 60 (15%), test 60 (15%)"
    assert lines[1] == "  target: sold; `alone` is how well a column predicts it by itself, from 0 to 1"
    assert lines[3].split() == ["field", "kind", "missing", "different", "alone", "values"]
    assert lines[4].split()[:2] == ["size", "number"]
    assert re.search(r"colour +category +3 +0\.\d\d +[█▇▆]{3} +\w+ \d\d%, \w+ \d\d%, \w+ \d\d%$", lines[5])
    assert "alarming:\n  nothing\n\nworth knowing:\n  nothing" in found.summary()
    console = Console(force_terminal=True, color_system=None, width=300, highlight=False)
    with console.capture() as captured:
        console.print(found)
    assert captured.get() == found.summary() + "\n"
    assert "alone" not in _profile(_clean(), None).summary()


@given(counts=st.lists(st.integers(0, 10**6), max_size=30))
def test_a_bar_is_empty_where_no_row_is_and_full_where_most_are(counts: list[int]) -> None:
    bars = spark(counts)
    assert len(bars) == len(counts)
    assert all((bar == " ") == (count == 0) for bar, count in zip(bars, counts, strict=True))
    assert all(bar == "█" for bar, count in zip(bars, counts, strict=True) if count == max(counts) > 0)


def test_everything_is_saved_and_the_page_needs_nothing_else(tmp_path: Path) -> None:
    found = _profile(_of_every_kind())
    page = found.save(tmp_path / "looks")
    assert page == tmp_path / "looks" / "profile.html"
    text = page.read_text(encoding="utf-8")
    assert "hi &lt;b&gt;there&lt;/b&gt;" in text
    assert "<b>" not in text
    assert not re.findall(r"(?:src|href)=\"(?!data:)", text)
    assert text.count("data:image/png;base64,iVBOR") == 2  # histograms, first pictures
    assert (tmp_path / "looks" / "profile.png").read_bytes().startswith(PNG)
    assert found.pictures.startswith(PNG)
    told = json.loads((tmp_path / "looks" / "profile.json").read_text())
    assert told == found.record()
    assert told["fields"][0]["variables"][0]["name"] == "size"
    assert [each["what"] for each in told["suspicions"]] == [each.what for each in found.suspicions]


def test_no_pictures_where_nothing_can_be_seen() -> None:
    found = _profile(_clean())
    assert found.pictures == b""
    assert draw_profile(found).startswith(PNG)


def test_a_field_without_any_value_is_shown_as_such() -> None:
    found = _profile(_clean() | {"gone": Column(torch.full((ROWS, 1), torch.nan), "number")})
    variable = _variable(found, "gone")
    assert (variable.missing, variable.distinct, variable.bars, variable.alone) == (1.0, 0, (), 0.0)
    assert re.search(r"gone +number +100.0% +0 +0\.00 +no value", found.summary())
    assert draw_profile(found).startswith(PNG)


@pytest.mark.parametrize("values", [[3.4e38, -3.4e38], [1e-30, 2e-30], [1e8, 1e8 + 8]])
def test_extreme_numbers_are_drawn(values: list[float]) -> None:
    column = Column(torch.tensor(values).repeat(ROWS // 2)[:, None], "number")
    found = _profile(_clean() | {"x": column})
    assert sum(_variable(found, "x").bars) == ROWS
    assert draw_profile(found).startswith(PNG)


def test_real_tables(shared_data: Path) -> None:
    source = {"kind": "csv", "path": str(shared_data / "penguins" / "penguins_raw.csv")}
    fields = {"Species": {"kind": "category"}, "rest": {"kind": "table", "columns": "infer"}}
    told = {"datasets": {"penguins": {"source": source, "fields": fields}}}
    found = profile(build_dataloader(load_spec(DataSpec, told)), "Species")
    assert found.alarms == ()
    texts = [str(each) for each in found.suspicions]
    assert "rest: all train rows have the same value of Region." in texts
    assert any(text.startswith("rest.Individual ID: 55% of the rows have a name that is new.") for text in texts)
