"""Files that are there whole or not at all."""

from __future__ import annotations

import hashlib
import io
import json
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from jumpml.core import sha256_of, write_file, write_json

if TYPE_CHECKING:
    from collections.abc import Iterator


def _no_space(*_: Any) -> None:
    raise OSError(28, "No space left on device")


class _FullDisk(io.FileIO):
    """A file that takes half of what is written."""

    def write(self, data: Any) -> int:
        super().write(data[: len(data) // 2])
        raise OSError(28, "No space left on device")


def _open_full(path: Path, mode: str) -> _FullDisk:
    return _FullDisk(path, mode)


def test_text_and_bytes_are_written_and_folders_made(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "c.txt"
    write_file(path, "größe\n")
    assert path.read_bytes() == "größe\n".encode()
    write_file(path, b"\x00\x01")
    assert path.read_bytes() == b"\x00\x01"
    assert [p.name for p in path.parent.iterdir()] == ["c.txt"]


@pytest.mark.parametrize("broken", ["write", "sync", "rename"])
@pytest.mark.parametrize("before", [None, "old"])
def test_a_failed_write_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str, before: str | None
) -> None:
    path = tmp_path / "a.txt"
    if before is not None:
        path.write_text(before)
    with monkeypatch.context() as patch:
        if broken == "write":
            patch.setattr(Path, "open", _open_full)
        elif broken == "sync":
            patch.setattr(os, "fsync", _no_space)
        else:
            patch.setattr(Path, "replace", _no_space)
        with pytest.raises(OSError, match="No space left on device"):
            write_file(path, "new")
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == ([("a.txt", before)] if before else [])


def test_a_file_is_written_part_by_part_or_not_at_all(tmp_path: Path) -> None:
    write_file(tmp_path / "a", (f"{row}\n" for row in range(3)))
    assert (tmp_path / "a").read_text() == "0\n1\n2\n"

    def failing() -> Iterator[str]:
        yield "new"
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        write_file(tmp_path / "a", failing())
    assert (tmp_path / "a").read_text() == "0\n1\n2\n"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_file_is_synced_before_it_takes_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.txt"
    seen: list[str] = []
    sync, replace = os.fsync, Path.replace

    def record_sync(descriptor: int) -> None:
        seen.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        sync(descriptor)

    def record_replace(self: Path, target: Path) -> Path:
        seen.append("rename")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", record_sync)
    monkeypatch.setattr(Path, "replace", record_replace)
    write_file(path, "new")
    assert seen == ["file", "rename", "folder"]


def test_json_is_indented_and_keeps_its_letters(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"größe": [1, 2.5, None]})
    assert path.read_text(encoding="utf-8").startswith('{\n  "größe": [\n')
    assert json.loads(path.read_text(encoding="utf-8")) == {"größe": [1, 2.5, None]}


@pytest.mark.parametrize("size", [0, 1, (1 << 20) + 1])
def test_the_checksum_is_that_of_the_whole_file(tmp_path: Path, size: int) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"x" * size)
    assert sha256_of(path) == hashlib.sha256(b"x" * size).hexdigest()
