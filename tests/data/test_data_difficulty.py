"""How hard rows are, as the data file says: from a field, a column or a function; and what is wrong with it."""

from __future__ import annotations

import sys
import types
from typing import TYPE_CHECKING, Any

import pytest
import torch

import jumpml
from jumpml.core import DataError, SpecError
from jumpml.data import Column, DataLoaders

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import Tensor


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "table.csv"
    rows = [f"{i},{i * i % 7}.5,{'yes' if i % 3 else 'no'},{'' if i == 5 else i / 10}" for i in range(30)]
    path.write_text("\n".join(["a,ink,c,gaps", *rows]))
    return path


def data(table: Path, difficulty: Any, **fields: Any) -> dict[str, Any]:
    given = {"a": {"kind": "number"}, "c": {"kind": "category"}, **fields}
    source = {"kind": "csv", "path": str(table)}
    return {"datasets": {"d": {"source": source, "fields": given, "difficulty": difficulty}}}


def by_row(loaders: DataLoaders) -> tuple[Tensor, list[int]]:
    assert loaders.difficulty is not None
    assert loaders.difficulty.dtype == torch.float64
    return loaders.difficulty, loaders.train.rows.tolist()


@pytest.mark.parametrize("fields", [{}, {"ink": {"kind": "number"}}])
def test_a_column_says_it_whether_it_is_a_field_or_not(table: Path, fields: Any) -> None:
    loaders = jumpml.create_dataloader(data(table, {"column": "ink"}, **fields))
    found, rows = by_row(loaders)
    assert found.tolist() == [row * row % 7 + 0.5 for row in rows]
    assert loaders.record()["difficulty"] == {"range": [float(found.min()), float(found.max())], "missing": 0}
    assert ("ink" in loaders.fields) == bool(fields)


def test_a_column_that_a_table_would_guess_is_left_out_of_it(table: Path) -> None:
    loaders = jumpml.create_dataloader(data(table, {"column": "ink"}, rest={"kind": "table", "columns": "infer"}))
    assert [column.name for column in loaders.fields["rest"].columns] == ["gaps"]


def test_what_is_missing_is_told(table: Path) -> None:
    loaders = jumpml.create_dataloader(data(table, {"column": "gaps"}))
    found, rows = by_row(loaders)
    assert found.isnan().tolist() == [row == 5 for row in rows]


def test_files_without_it_and_data_sets_without_it(table: Path) -> None:
    said = data(table, {"column": "ink"})
    plain = {key: value for key, value in said["datasets"]["d"].items() if key != "difficulty"}
    assert jumpml.create_dataloader({"datasets": {"d": plain}}).difficulty is None
    assert "difficulty" not in jumpml.create_dataloader({"datasets": {"d": plain}}).record()
    both = jumpml.create_dataloader({"datasets": {"e": plain, "d": said["datasets"]["d"]}})
    found, rows = by_row(both)
    assert found.isnan().tolist() == [row < 30 for row in rows]


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[..., Any]], str]:
    def make(function: Callable[..., Any]) -> str:
        module = types.ModuleType("my_hardness")
        function.__module__ = "my_hardness"
        module.hard = function  # pyright: ignore[reportAttributeAccessIssue]
        package = types.ModuleType("my_package")
        package.__path__ = []
        function.__module__ = "my_package.my_hardness"
        monkeypatch.setitem(sys.modules, "my_package", package)
        monkeypatch.setitem(sys.modules, "my_package.my_hardness", module)
        return "my_package.my_hardness:hard"

    return make


def test_a_function_says_it(table: Path, own: Any) -> None:
    def hard(fields: dict[str, Tensor]) -> Tensor:
        assert {*fields} == {"a", "c"}
        return -fields["a"]

    loaders = jumpml.create_dataloader(data(table, {"python": own(hard)}), trust=["my_package"])
    found, rows = by_row(loaders)
    assert found.tolist() == [-float(row) for row in rows]


def test_a_function_that_fails_or_gives_something_else_is_told_of(table: Path, own: Any) -> None:
    def error(function: Any) -> str:
        with pytest.raises(DataError) as caught:
            jumpml.create_dataloader(data(table, {"python": own(function)}), trust=["my_package"])
        return str(caught.value)

    def short(fields: Any) -> list[float]:
        return [1.0, 2.0]

    def broken(fields: Any) -> list[float]:
        raise KeyError("ink")

    where = "data set 'd', difficulty: my_package.my_hardness:hard"
    assert error(short) == f"{where}: expected a number for each of 30 rows, got the shape [2]."
    assert error(broken) == f"{where} failed: KeyError: 'ink'"


def test_what_is_not_there_is_refused_before_a_row_is_read(table: Path) -> None:
    def error(difficulty: Any) -> str:
        with pytest.raises(SpecError) as caught:
            jumpml.create_dataloader(data(table, difficulty))
        return str(caught.value)

    assert "datasets.d.difficulty.column" in error({"column": "inks"})
    assert "there is no field and no column 'inks'. Did you mean 'ink'?" in error({"column": "inks"})
    assert "expected a number field or a column of the source, got 'c', a category." in error({"column": "c"})
    assert "'my_package:hard' is outside the trusted packages (none)" in error({"python": "my_package:hard"})
    assert "expected exactly one step, one of: column, python; got column, python" in error(
        {"column": "ink", "python": "a:b"}
    )


def test_in_python_it_is_an_argument() -> None:
    columns = {"x": Column(torch.rand(6, 1), "number")}
    splits = {"train": torch.tensor([5, 0, 2]), "val": torch.tensor([1]), "test": torch.tensor([3, 4])}
    loaders = DataLoaders(columns, splits, difficulty=torch.arange(6.0))
    assert loaders.difficulty is not None
    assert loaders.difficulty.tolist() == [5, 0, 2]
    with pytest.raises(DataError, match=r"difficulty: expected a number for each of 6 rows, got the shape \[3\]"):
        DataLoaders(columns, splits, difficulty=torch.zeros(3))
