"""A dotted name from a file to a class, if what it resolves to comes from a trusted package."""

from __future__ import annotations

import importlib
import inspect
from typing import TYPE_CHECKING

from jumpml.core._errors import JumpMLError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Collection

TRUSTED = ("torch.nn", "jumpml")


class UntrustedNameError(JumpMLError):
    """A file names something that no trusted package defines, or nothing at all."""


def resolve_class(name: str, base: type, trust: Collection[str] = ()) -> type:
    """Find the class that a file names.

    Nothing outside the trusted packages is imported, and what the name resolves to must itself be defined in one: an
    alias inside a trusted package does not open the door to what it points to.

    Args:
        name: A dotted name, such as ``torch.nn.Linear``.
        base: What the class must derive from.
        trust: Packages beside ``torch.nn`` and ``jumpml`` that the user trusts by name.

    Raises:
        UntrustedNameError: The name is unknown, is no such class, or comes from elsewhere.
    """
    allowed = (*TRUSTED, *trust)
    if not _within(name, allowed):
        raise UntrustedNameError(
            f"{name!r} is outside the trusted packages ({', '.join(allowed)}). If you trust the package that defines it, "
            f"say so: trust=[{name.partition('.')[0]!r}] in Python, --trust {name.partition('.')[0]} in a shell."
        )
    found = _find(name)
    if not (inspect.isclass(found) and issubclass(found, base)):
        raise UntrustedNameError(f"{name!r} is no {base.__name__} class but a {type(found).__name__}.")
    if not _within(found.__module__ + ".", allowed):
        raise UntrustedNameError(
            f"{name!r} resolves to {found.__module__}.{found.__qualname__}, which is outside the trusted packages "
            f"({', '.join(allowed)})."
        )
    return found


def _within(name: str, packages: Collection[str]) -> bool:
    return any(name.startswith(f"{package}.") for package in packages)


def _find(name: str) -> object:
    parts = name.split(".")
    found: object = None
    for length in range(len(parts) - 1, 0, -1):
        module = ".".join(parts[:length])
        try:
            found = importlib.import_module(module)
        except ModuleNotFoundError as error:
            if not f"{module}.".startswith(f"{error.name}."):
                raise UntrustedNameError(f"importing {module!r} failed: {error}.") from None
            continue
        for depth, part in enumerate(parts[length:], start=length):
            if part.startswith("__") or not hasattr(found, part):
                known = [n for n in dir(found) if not n.startswith("_")]
                here = ".".join(parts[:depth])
                raise UntrustedNameError(f"{here!r} has no {part!r}. {_near(part, known)}".rstrip())
            found = getattr(found, part)
        return found
    raise UntrustedNameError(f"there is no package {parts[0]!r}; is it installed?")


def _near(part: str, known: list[str]) -> str:
    near = did_you_mean(part, known)
    return near if near.startswith("Did") else ""
