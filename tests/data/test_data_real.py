"""Real data: the digits, scikit-learn's tables, Palmer's penguins, and the census table `adult`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from jumpml.core import DataSpec, SpecError, load_spec
from jumpml.data import build_dataloader

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DIGITS = """
    datasets:
      digits:
        source: {kind: sklearn, name: digits}
        fields:
          image: {kind: image, column: images, shape: [1, 8, 8], range: [0, 16]}
          label: {kind: category, column: target}
        split: {stratify: label}
    features: {image: [{standardize: {}}]}
"""


def test_digits(data_spec: Callable[[str], DataSpec]) -> None:
    loaders = build_dataloader(data_spec(DIGITS))
    digits: Any = load_digits()
    # 1,797 rows: 15% are 269.55, rounded to 270 each.
    assert [len(loader.rows) for loader in (loaders.train, loaders.val, loaders.test)] == [1257, 270, 270]
    assert loaders.fields["label"].classes == tuple("0123456789")
    rows = loaders.test.rows.numpy()
    assert torch.equal(loaders.test.decoded("label"), torch.from_numpy(digits.target[rows]))
    assert torch.equal(loaders.test.decoded("image")[:, 0], torch.from_numpy(digits.images[rows] / 16).float())
    shares = np.bincount(digits.target) / 1797
    for loader in (loaders.train, loaders.val, loaders.test):
        assert np.abs(loader.decoded("label").bincount().numpy() - shares * len(loader.rows)).max() <= 1.5
    whole = torch.cat([batch["image"] for batch in loaders.train.plain()])
    assert abs(whole.mean()) < 1e-5
    assert abs(whole.std() - 1) < 1e-4
    assert loaders.raw("test", [0])[0] == {
        "image": digits.images[rows[0]][None].tolist(),
        "label": str(digits.target[rows[0]]),
    }
    assert loaders.findings() == []


@pytest.mark.parametrize(("name", "count"), [("iris", 150), ("wine", 178), ("breast_cancer", 569)])
def test_tables_of_scikit_learn(data_spec: Callable[[str], DataSpec], name: str, count: int) -> None:
    text = f"""
        datasets:
          {name}:
            source: {{kind: sklearn, name: {name}}}
            fields:
              data: {{kind: tensor, shape: [{ {"iris": 4, "wine": 13, "breast_cancer": 30}[name] }]}}
              target: {{kind: category}}
            split: {{stratify: target, duplicates: together}}
    """
    loaders = build_dataloader(data_spec(text))
    assert sum(len(loader.rows) for loader in (loaders.train, loaders.val, loaders.test)) == count
    assert loaders.findings() == []


def test_iris_holds_one_flower_twice(data_spec: Callable[[str], DataSpec]) -> None:
    text = """
        datasets:
          iris:
            source: {kind: sklearn, name: iris}
            fields: {data: {kind: tensor, shape: [4]}, target: {kind: category}}
            split: {train: 0.4, val: 0.1, test: 0.5, seed: %d}
    """
    answers = set()
    for seed in range(8):  # whether the two stand in two splits is a matter of the seed
        try:
            build_dataloader(data_spec(text % seed))
        except SpecError as error:
            answers.add(str(error.mistakes[0].problem))
    assert answers <= {
        f"{later} rows that also stand in {earlier}: 1; the first is row {row}, equal to row {other} of {earlier}."
        for later, earlier in (("val", "train"), ("test", "train"), ("test", "val"))
        for row, other in ((101, 142), (142, 101))
    }
    assert answers


def test_diabetes_is_a_regression(data_spec: Callable[[str], DataSpec]) -> None:
    text = """
        datasets:
          diabetes:
            source: {kind: sklearn, name: diabetes}
            fields: {bmi: {kind: number}, bp: {kind: number}, s5: {kind: number}, target: {kind: number}}
        features: {target: [{standardize: {}}]}
    """
    loaders = build_dataloader(data_spec(text))
    batch = next(iter(loaders.test))
    torch.testing.assert_close(
        loaders.to_raw("target", batch["target"]), loaders.test.decoded("target")[: len(batch["target"])]
    )


PENGUINS = """
datasets:
  penguins:
    source: {kind: csv, path: %s}
    fields:
      species: {kind: category}
      island: {kind: category}
      sex: {kind: category, classes: [female, male]}
      bill: {kind: number, column: bill_length_mm}
      mass: {kind: number, column: body_mass_g}
    split: {stratify: species, seed: 1, duplicates: together}
"""


def test_penguins(data_spec: Callable[[str], DataSpec], shared_data: Path) -> None:
    loaders = build_dataloader(data_spec(PENGUINS % (shared_data / "penguins" / "penguins.csv")))
    # Counted in the file: 344 rows, 11 without sex, 2 without measurements.
    assert sum(len(loader.rows) for loader in (loaders.train, loaders.val, loaders.test)) == 344
    assert {name: info.missing for name, info in loaders.fields.items()} == {
        "species": 0,
        "island": 0,
        "sex": 11,
        "bill": 2,
        "mass": 2,
    }
    assert loaders.fields["species"].classes == ("Adelie", "Chinstrap", "Gentoo")
    loaders.bind(["sex", "bill", "island"])
    for loader in (loaders.train, loaders.val, loaders.test):
        for batch in loader:
            assert all(batch[name].isfinite().all() for name in ("sex", "bill", "island"))
            assert (batch["sex"].sum(1) == batch["sex.present"]).all()
    first = next(row for row in loaders.raw("train", range(len(loaders.train.rows))) if row["bill"] == 39.1)
    assert first == {"species": "Adelie", "island": "Torgersen", "sex": "male", "bill": 39.1, "mass": 3750.0}


def test_adult(data_spec: Callable[[str], DataSpec], shared_data: Path, tmp_path: Path) -> None:
    names = "age,workclass,fnlwgt,education,years,marital,occupation,relation,race,sex,gain,loss,hours,country,income"
    rows = (shared_data / "adult" / "adult-train.csv").read_text()
    (tmp_path / "adult.csv").write_text(f"{names}\n{rows}")
    loaders = build_dataloader(
        data_spec("""
            datasets:
              adult:
                source: {kind: csv, path: adult.csv}
                fields:
                  age: {kind: number}
                  occupation: {kind: category}
                  country: {kind: category}
                  hours: {kind: number}
                  fnlwgt: {kind: number}
                  income: {kind: category, classes: ["<=50K", ">50K"]}
                split: {stratify: income, duplicates: together}
            batch_size: 1000
        """)
    )
    # The documentation of the data: 32,561 rows, 1,843 without occupation, 583 without country; 7,841 above 50K.
    assert sum(len(loader.rows) for loader in (loaders.train, loaders.val, loaders.test)) == 32561
    assert loaders.fields["occupation"].missing == 1843
    assert loaders.fields["country"].missing == 583
    rich = sum(int((loader.decoded("income") == 1).sum()) for loader in (loaders.train, loaders.val, loaders.test))
    assert rich == 7841
    loaders.bind(["age", "occupation", "country", "hours"])
    batch = next(iter(loaders.train))
    assert batch["occupation"].shape == (1000, 14)
    assert batch["country"].shape == (1000, 41)


def test_the_example_is_read_as_it_stands() -> None:
    from pathlib import Path

    path = Path(__file__).parents[2] / "examples" / "digits" / "digits.data.yaml"
    loaders = build_dataloader(load_spec(DataSpec, path))
    assert loaders.view_fields == {"strong": frozenset({"image"})}
