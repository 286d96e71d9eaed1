"""What the site takes from the program itself: the keys of the four files, and the help of each command.

A page says ``<!-- keys: data -->`` or ``<!-- help: run -->`` on a line of its own where the text belongs, so that no
page can fall behind the code.
"""

from __future__ import annotations

import json
import re
from typing import Any

Schema = dict[str, Any]


def on_page_markdown(markdown: str, **_: object) -> str:
    """Replace the marks of one page; MkDocs calls this."""
    markdown = re.sub(r"^<!-- keys: (\w+) -->$", lambda mark: file_keys(mark[1]), markdown, flags=re.MULTILINE)
    return re.sub(r"^<!-- help: ([\w -]+?) -->$", lambda mark: command_help(mark[1]), markdown, flags=re.MULTILINE)


def command_help(command: str) -> str:
    """What ``jumpml COMMAND --help`` prints, as Markdown."""
    from typer.testing import CliRunner

    from jumpml.cli import app

    result = CliRunner().invoke(app, [*command.split(), "--help"], prog_name="jumpml", color=False)
    if result.exit_code:
        raise ValueError(f"jumpml has no command {command!r}: {result.output}")
    return f"```text\n{result.output.strip()}\n```"


def file_keys(kind: str) -> str:
    """Every key of one of the four files, as Markdown: a section for each mapping, a row for each key."""
    from jumpml.core import json_schema

    schema = json_schema(kind)
    definitions = schema["$defs"]
    sections = [_section(schema, "The whole file", "file")]
    for name, path in _places(schema, definitions).items():
        sections.append(_section(definitions[name], _title(definitions[name], path), _anchor(name)))
    return "\n\n".join(sections)


def _places(schema: Schema, definitions: dict[str, Schema]) -> dict[str, str]:
    """Where each definition first appears, in the order of the file: its name -> its path."""
    places: dict[str, str] = {}

    def walk(node: Schema, path: str) -> None:
        for key, value in node.get("properties", {}).items():
            for name, suffix in _references(value):
                if name in definitions and definitions[name] and name not in places:
                    places[name] = f"{path}{key}{suffix}"
                    walk(definitions[name], f"{path}{key}{suffix}.")

    walk(schema, "")
    return places


def _references(node: Schema, suffix: str = "") -> list[tuple[str, str]]:
    """The definitions that a value may be made of, each with what its path has behind the key."""
    if "$ref" in node:
        return [(_name(node), suffix)]
    found = [pair for member in node.get("anyOf", []) + node.get("oneOf", []) for pair in _references(member, suffix)]
    if (values := _named_values(node)) is not None:
        found += _references(values, f"{suffix}.NAME")
    if "items" in node:
        found += _references(node["items"], suffix)
    return found


def _section(node: Schema, title: str, anchor: str) -> str:
    rows = []
    for key, value in node.get("properties", {}).items():
        if key == "kind" and "const" in value:
            continue  # the section's title tells it
        meaning = " ".join(value.get("description", "").split())
        rows.append(f"| `{key}` | {_words(value)} | {_default(key, value, node)} | {_cell(meaning)} |")
    table = (
        "\n".join(["| key | value | default | meaning |", "|---|---|---|---|", *rows])
        if rows
        else "It has no keys of its own."
    )
    return f"### {title} {{#{anchor}}}\n\n{node.get('description', '')}\n\n{table}"


def _title(node: Schema, path: str) -> str:
    kind = node.get("properties", {}).get("kind", {}).get("const")
    return f"`{path}`" + (f" of kind `{kind}`" if kind else "")


def _default(key: str, value: Schema, node: Schema) -> str:
    if key in node.get("required", []):
        return "*required*"
    default = value.get("default")
    if isinstance(default, dict) and default and _references(value):
        return f"`{default['kind']}`" if "kind" in default else "its own"
    return f"`{_cell(json.dumps(default))}`"


def _words(node: Schema) -> str:
    """What a value may be, in words."""
    if "$ref" in node:
        return f"[mapping](#{_anchor(_name(node))})" if _name(node) != "JsonValue" else "any value"
    if "discriminator" in node:
        links = [f"[`{kind}`](#{_anchor(ref)})" for kind, ref in node["discriminator"]["mapping"].items()]
        return f"mapping of kind {', '.join(links)}"
    if "anyOf" in node or "oneOf" in node:
        return ", or ".join(dict.fromkeys(_words(member) for member in node.get("anyOf") or node["oneOf"]))
    if "const" in node or "enum" in node:
        return ", ".join(f"`{json.dumps(choice).strip(chr(34))}`" for choice in node.get("enum", [node.get("const")]))
    return _WORDS[node.get("type", "")](node)


def _number(word: str, node: Schema) -> str:
    bounds = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}
    return (
        f"{word} {' and '.join(f'{words} {_plain(node[key])}' for key, words in bounds.items() if key in node)}".strip()
    )


def _plain(number: float) -> str:
    return str(int(number)) if number == int(number) else str(number)


def _list(node: Schema) -> str:
    if "prefixItems" in node:
        return f"list of {len(node['prefixItems'])}: {_words(node['prefixItems'][0])} each"
    return f"list of {_words(node['items'])}"


def _mapping(node: Schema) -> str:
    if "properties" in node:
        return f"`{{{', '.join(node['properties'])}: ...}}`"
    values = _named_values(node)
    return "mapping" if values is None else f"by name: {_words(values)}"


def _named_values(node: Schema) -> Schema | None:
    """What a mapping with names of the user's own holds under each of them."""
    values = node.get("additionalProperties") or next(iter(node.get("patternProperties", {}).values()), None)
    return values if isinstance(values, dict) else None


_WORDS = {
    "": lambda node: "any value",
    "null": lambda node: "`null`",
    "string": lambda node: "one character" if node.get("maxLength") == 1 else "text",
    "boolean": lambda node: "`true`, `false`",
    "integer": lambda node: _number("whole number", node),
    "number": lambda node: _number("number", node),
    "array": _list,
    "object": _mapping,
}


def _name(node: Schema) -> str:
    return node["$ref"].rpartition("/")[2]


def _anchor(name: str) -> str:
    return name.rpartition("/")[2].lower()


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
