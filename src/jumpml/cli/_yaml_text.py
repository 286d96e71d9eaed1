"""Lines of YAML that a person reads."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
WORDS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf"}  # that YAML reads as something else
COMMENT = 44  # where comments begin


def path_in(folder: Path, path: str) -> str:
    """A file's path as a data file in a folder says it: from the folder, an absolute one or an address as given."""
    if "://" in path:
        return path
    inside = Path(path).resolve().is_relative_to(folder.resolve())
    if inside or not Path(path).is_absolute():
        return Path(os.path.relpath(Path(path).resolve(), folder.resolve())).as_posix()
    return path


def scalar(value: Any) -> str:
    """A value as YAML on one line."""
    if isinstance(value, str):
        return value if PLAIN.fullmatch(value) and value.lower() not in WORDS else json.dumps(value, ensure_ascii=False)
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {scalar(each)}' for key, each in value.items())}}}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(scalar, value))}]"
    return json.dumps(value)


def commented(line: str, comment: str) -> str:
    """A line with a comment behind it, or above it where it is long."""
    comment = " ".join(comment.split())
    if len(line) < COMMENT + 20:
        return f"{line.ljust(COMMENT - 1)} # {comment}"
    return f"{' ' * (len(line) - len(line.lstrip()))}# {comment}\n{line}"
