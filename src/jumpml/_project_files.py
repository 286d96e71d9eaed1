"""The four files of a folder: how they are found, and how they are written so that the folder alone repeats a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jumpml.core import SPECS, Mistake, ModelSpec, SpecError, anchored, load_spec, to_yaml, write_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from jumpml.core import FileSpec

_SUFFIXES = (".yaml", ".yml", ".json", ".py")
_NEEDED = ("data", "model")


def split_overrides(overrides: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """By kind of file, values by dotted key within it.

    Raises:
        SpecError: A key begins with no kind.
    """
    by_kind: dict[str, dict[str, Any]] = {kind: {} for kind in SPECS}
    for key, value in overrides.items():
        kind, _, rest = key.partition(".")
        if kind not in by_kind or not rest:
            problem = f"expected a key that begins with data., model., learner. or deploy., got {key!r}."
            raise SpecError("--set", [Mistake(key="", problem=problem)])
        by_kind[kind][rest] = value
    return by_kind


def find_files(folder: Path) -> dict[str, Path]:
    """The files of a folder by kind; those that may be missing are left out where they are.

    Raises:
        SpecError: One that is needed is missing, or there are several and none is named as the data file is.
    """
    if not folder.is_dir():
        raise SpecError(folder, [Mistake(key="", problem="there is no such folder.")])
    found = {kind: _candidates(folder, kind) for kind in SPECS}
    mistakes = [
        Mistake(key="", problem=f"the folder holds no *.{kind}.yaml.", fix="`jumpml new` makes a folder to start from.")
        for kind in _NEEDED
        if not found[kind]
    ]
    if mistakes:
        raise SpecError(folder, mistakes)
    stem = found["data"][0].name.partition(".")[0]
    paths = {}
    for kind, candidates in found.items():
        own = [path for path in candidates if path.name.partition(".")[0] == stem] or candidates
        if len(candidates) > 1 and (kind == "data" or len(own) > 1):
            names = ", ".join(path.name for path in candidates)
            raise SpecError(folder, [Mistake(key="", problem=f"expected one {kind} file, found {names}.")])
        if own:
            paths[kind] = own[0]
    return paths


def _candidates(folder: Path, kind: str) -> list[Path]:
    return sorted(
        path
        for path in folder.iterdir()
        if path.is_file() and path.name.endswith(tuple(f".{kind}{s}" for s in _SUFFIXES))
    )


def save_files(name: str, specs: Mapping[str, FileSpec], folder: Path) -> None:
    """Write resolved files, which find what lies outside from anywhere.

    Args:
        name: Theirs, up to the first dot.
        specs: By kind.
        folder: Where they go; files that they nest go into folders in it.
    """
    for kind, spec in specs.items():
        write_file(folder / f"{name}.{kind}.yaml", to_yaml(_resolved(kind, name, folder, spec)))


def _resolved(kind: str, name: str, folder: Path, spec: Any) -> dict[str, Any]:
    value = spec.model_dump(mode="json")
    if kind == "data":
        value["root"] = str(spec.folder.resolve())
    if kind == "model":
        value = _with_graphs(spec, value, folder)
        if value["data"] is not None:
            value["data"] = f"{name}.data.yaml"
    if kind == "learner":
        _anchor(value["initialize"]["checkpoint"], "file", spec.folder)
        _anchor((value["curriculum"] or {}).get("difficulty"), "run", spec.folder)
    if kind == "deploy":
        for key, variant in value["variants"].items():
            if variant["distill"]:
                source = load_spec(ModelSpec, spec.folder / variant["distill"]["into"])
                variant["distill"]["into"] = _save_model(source, folder, key)
    return value


def _save_model(spec: ModelSpec, folder: Path, name: str) -> str:
    """Write a model file, and those that it nests, into a folder of its own, so that it can bear any name."""
    place = folder / name
    place.mkdir(parents=True, exist_ok=True)
    write_file(place / f"{spec.stem}.model.yaml", to_yaml(_with_graphs(spec, spec.model_dump(mode="json"), place)))
    return f"{name}/{spec.stem}.model.yaml"


def _anchor(told: Any, key: str, folder: Path) -> None:
    """Let a path that a file may say be found from anywhere; text in the place of the mapping says none."""
    if isinstance(told, dict):
        told[key] = str((folder / told[key]).resolve())


def _with_graphs(spec: ModelSpec, value: dict[str, Any], folder: Path) -> dict[str, Any]:
    """A model file's values, which find what lies outside; the files that it nests are written into the folder."""
    for name, node in spec.nodes.items():
        value["nodes"][name] = anchored(value["nodes"][name], spec.folder)
        if node.graph is not None:
            inner = load_spec(ModelSpec, spec.folder / node.graph)
            value["nodes"][name]["graph"] = _save_model(inner, folder, name)
    return value
