"""Weights by name, read from files of which nothing is run."""

from __future__ import annotations

import pickle
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, final

import torch
from torch import Tensor

from jumpml.core import PretrainedError, did_you_mean
from jumpml.pretrained._places import AVERAGE, find_weights, lineage_beside

if TYPE_CHECKING:
    from pathlib import Path

_OF_A_MODEL = re.compile(r"(node|objective)_([^.]+)\.")
_FORBIDDEN = re.compile(r"GLOBAL ([\w.]+)")


@final
@dataclass(frozen=True)
class Weights:
    """Tensors by name, and where they come from.

    Attributes:
        source: The file.
        sha256: Its checksum.
        tensors: On the CPU.
        lineage: Of a run's, the surgeries that its model has had, as `jumpml.graph.Model.lineage` has them.
    """

    source: str
    sha256: str
    tensors: Mapping[str, Tensor]
    lineage: Sequence[Mapping[str, Any]] = ()

    @property
    def nodes(self) -> tuple[str, ...]:
        """The nodes of the JumpML model that these are the weights of; empty where they are no such model's."""
        found = [_OF_A_MODEL.match(name) for name in self.tensors]
        if not all(found):
            return ()
        return tuple(dict.fromkeys(match[2] for match in found if match and match[1] == "node"))

    def of_node(self, node: str) -> Weights:
        """The weights of one node of a JumpML model, by the names inside its module.

        Raises:
            PretrainedError: These are no JumpML model's, or there is no such node with weights.
        """
        if not self.nodes:
            raise PretrainedError(f"{self.source} is no JumpML model's, so that it has no node {node!r}.")
        key = node.replace(".", "__")  # a node of a nested graph is `graph.node`
        # a node called `names` is `node_names_` in its model, which has an attribute of that name
        prefix = f"node_{key}." if key in self.nodes else f"node_{key}_."
        inner = {name.removeprefix(prefix): value for name, value in self.tensors.items() if name.startswith(prefix)}
        if not inner:
            near = did_you_mean(node, (name.replace("__", ".") for name in self.nodes))
            raise PretrainedError(f"{self.source} has no weights of a node {node!r}. {near}".rstrip())
        return replace(self, tensors=inner, lineage=_within(self.lineage, node))


def read_weights(path: Path, *, part: str | None = None) -> Weights:
    """Read weights; nothing in the file is run.

    Args:
        path: A safetensors file; one that ``torch.save`` wrote of a ``state_dict``, or of a dict that holds one; the
            folder of a JumpML checkpoint or run, or any that holds a ``model.safetensors``.
        part: Of a torch file with several state_dicts, which; of a checkpoint ``average``, for the averaged weights.

    Raises:
        PretrainedError: There is no such file, it is damaged, it would run code, or it holds no weights.
    """
    place = find_weights(path, part)
    if place.file.suffix != ".safetensors":
        tensors = _state_dict(place.file, _loaded(place.file), place.part)
    elif place.part is not None:
        raise PretrainedError(f"{path}: a safetensors file has no parts; leave {part!r} out.")
    else:
        tensors = _safetensors(place.file)
    if place.begins:
        tensors = {n.removeprefix(place.begins): v for n, v in tensors.items() if n.startswith(place.begins)}
        if not tensors:
            raise PretrainedError(f"{path}: the run kept no average of its weights, so that it has no {AVERAGE!r}.")
    if not tensors:
        raise PretrainedError(f"{path} holds no weights.")
    return Weights(source=str(path), sha256=place.sha256, tensors=tensors, lineage=lineage_beside(place.file))


def _within(lineage: Sequence[Mapping[str, Any]], node: str) -> list[Mapping[str, Any]]:
    """What of a lineage was done to one node, with the modules inside it by their paths, and itself by an empty one."""
    found = []
    for entry in lineage:
        own = {name: told for name, told in entry["at"].items() if name == node or name.startswith(f"{node}.")}
        if own:
            found.append({**entry, "at": {name[len(node) :].removeprefix("."): told for name, told in own.items()}})
    return found


def _safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        told = f"this is no whole safetensors file of {path.stat().st_size:,} bytes: {first_line(error)}."
        raise PretrainedError(f"{path}: {told} Fetch or write it again.") from error


def _loaded(path: Path) -> Any:
    """What ``torch.save`` put there, as far as it is tensors and plain values."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that it may not understand what it refuses anyway
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        forbidden = _FORBIDDEN.search(str(error))
        what = f"it asks for {forbidden[1]}, which is no tensor" if forbidden else "it holds more than tensors"
        raise PretrainedError(
            f"{path} is refused, and nothing of it was run: {what}. Reading such a file can run any code. Take a "
            "safetensors file; or, if you trust where it comes from, load it yourself and save its state_dict() alone."
        ) from error
    except Exception as error:  # a damaged file fails in many ways
        told = f"no weights can be read ({type(error).__name__}: {first_line(error)})"
        raise PretrainedError(f"{path}: {told}. It is damaged, cut off, or no file of torch.save.") from error


def _state_dict(path: Path, loaded: Any, part: str | None) -> Mapping[str, Tensor]:
    if not isinstance(loaded, Mapping):
        got = f"a {type(loaded).__name__}"
        raise PretrainedError(f"{path}: expected a state_dict, tensors by name; got {got}.")
    parts = {str(name): value for name, value in loaded.items() if _is_state(value)}
    if part is not None:
        if part not in parts:
            raise PretrainedError(f"{path} has no state_dict {part!r}. {did_you_mean(part, parts)}".rstrip())
        return parts[part]
    if _is_state(loaded):
        return loaded
    if len(parts) > 1:
        raise PretrainedError(f"{path} holds several state_dicts; say which `part`: {', '.join(parts)}.")
    if not parts:
        keys = ", ".join(map(str, list(loaded)[:10])) or "nothing"
        raise PretrainedError(f"{path}: expected a state_dict, tensors by name; got a dict of {keys}.")
    return next(iter(parts.values()))


def _is_state(value: Any) -> bool:
    return (
        isinstance(value, Mapping)
        and bool(value)
        and all(isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in value.items())
    )


def first_line(error: BaseException) -> str:
    """What an error of another library says, without what it advises."""
    return str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__
