"""Plain values to YAML text that our reader reads back."""

from __future__ import annotations

from typing import Any

import yaml

from jumpml.core._yaml import reads_as_text


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    # PyYAML quotes what YAML 1.1 would not read as text. Here is quoted what 1.2 would not, such as 0E0, and what only
    # quotes have escapes for: U+0085 would be read as the end of a line.
    style = None if reads_as_text(value) and value.isprintable() else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def to_yaml(value: Any) -> str:
    """Dicts, lists and scalars as YAML text.

    Args:
        value: Plain values.

    Example:
        >>> print(to_yaml({"lr": 0.1, "name": "1e3"}), end="")
        lr: 0.1
        name: "1e3"
    """
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
