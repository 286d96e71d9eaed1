"""A dotted name from a file to a class, if what it resolves to comes from a trusted package."""

from __future__ import annotations

import importlib
import inspect
import sys
from typing import TYPE_CHECKING

from jumpml.core._errors import JumpMLError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

TRUSTED = ("torch.nn", "jumpml")
_OWN_LIBRARY = "It is of Python's own library: name a function of a package of yours."
_USUAL = ("torch.nn", "jumpml.blocks")  # where most names that people write come from


class UntrustedNameError(JumpMLError):
    """A file names something that no trusted package defines, or nothing at all."""


def resolve_class(name: str, base: type, trust: Collection[str] = ()) -> type:
    """Find the class that a file names.

    Nothing outside the trusted packages is imported or walked through, and what the name resolves to must itself be
    defined in one: an alias inside a trusted package does not open the door to what it points to.

    Args:
        name: A dotted name, such as ``torch.nn.Linear``.
        base: What the class must derive from.
        trust: Packages beside ``torch.nn`` and ``jumpml`` that the user trusts by name.

    Raises:
        UntrustedNameError: The name is unknown, is no such class, or comes from elsewhere.

    Example:
        >>> resolve_class("collections.OrderedDict", dict, trust=["collections"])
        <class 'collections.OrderedDict'>
    """
    allowed = (*TRUSTED, *trust)
    if not _within(name, allowed):
        raise UntrustedNameError(
            f"{name!r} is outside the trusted packages ({', '.join(allowed)}). {_way_in(name, base)}"
        )
    found = _find(name, allowed)
    if not (inspect.isclass(found) and issubclass(found, base)):
        what = f"the class {found.__qualname__}" if inspect.isclass(found) else f"a {type(found).__name__}"
        raise UntrustedNameError(f"{name!r} is {what}; expected a class that derives from {base.__name__}.")
    if not _within(f"{found.__module__}.", allowed):
        raise _outside(name, f"{found.__module__}.{found.__qualname__}", allowed)
    return found


def resolve_function(name: str, trust: Collection[str] = ()) -> Callable[..., object]:
    """Find the function that a file names; only packages that the user trusts by name may define it.

    Args:
        name: Such as ``my_package.my_module:function``.
        trust: Packages that the user trusts by name.

    Raises:
        UntrustedNameError: The name is unknown, is no function, or comes from elsewhere.

    Example:
        >>> resolve_function("statistics:mean", trust=["statistics"]).__name__
        'mean'
    """
    module, colon, function = name.partition(":")
    if not colon or not all(part.isidentifier() for part in (*module.split("."), *function.split("."))):
        raise UntrustedNameError(f"{name!r} names no function; write it as module:function.")
    dotted = f"{module}.{function}"
    if not _within(dotted, trust):
        way = _OWN_LIBRARY if _standard(dotted) else _trusting(dotted)
        raise UntrustedNameError(f"{name!r} is outside the trusted packages ({', '.join(trust) or 'none'}). {way}")
    found = _find(dotted, trust)
    if not inspect.isfunction(found):
        raise UntrustedNameError(f"{name!r} is a {type(found).__name__}; expected a function.")
    if not _within(f"{found.__module__}.", trust):
        raise _outside(name, f"{found.__module__}.{found.__qualname__}", trust)
    return found


def _within(name: str, packages: Collection[str]) -> bool:
    return any(name.startswith(f"{package}.") for package in packages)


def _outside(name: str, what: str, allowed: Collection[str]) -> UntrustedNameError:
    return UntrustedNameError(
        f"{name!r} leads to {what}, which is outside the trusted packages ({', '.join(allowed)})."
    )


def _way_in(name: str, base: type) -> str:
    """Name the class that was probably meant, or say how to trust the package, where that could be of use."""
    package, _, last = name.rpartition(".")
    for usual in _USUAL:
        if inspect.isclass(getattr(importlib.import_module(usual), last, None)):
            return f"Did you mean '{usual}.{last}'?"
    if not package or not name.partition(".")[0].isidentifier():
        return "Write the whole name, such as torch.nn.Linear."
    if _standard(name):
        return f"Python's own library has no class that derives from {base.__name__}."
    known = _known(name)
    if known is None or (inspect.isclass(known) and issubclass(known, base)):
        return _trusting(name)
    what = f"the class {known.__qualname__}" if inspect.isclass(known) else f"a {type(known).__name__}"
    return f"It is {what}; expected a class that derives from {base.__name__}."


def _standard(name: str) -> bool:
    return name.partition(".")[0] in sys.stdlib_module_names


def _trusting(name: str) -> str:
    top = name.partition(".")[0]
    return f"If you trust the package that defines it, say so: trust=[{top!r}] in Python, --trust {top} in a shell."


def _known(name: str) -> object:
    """What a name stands for in what is imported already; None where that is not known. Nothing is imported for it."""
    parts = name.split(".")
    for length in range(len(parts) - 1, 0, -1):
        found: object = sys.modules.get(".".join(parts[:length]))
        if found is not None:
            for part in parts[length:]:
                found = vars(found).get(part) if hasattr(found, "__dict__") else None
            return found
    return None


def _find(name: str, allowed: Collection[str]) -> object:
    parts = name.split(".")
    if any(part.startswith("__") for part in parts):  # such as __main__, which would run
        raise UntrustedNameError(f"{name!r}: names that begin with two underscores are refused.")
    for length in range(len(parts) - 1, 0, -1):
        module = ".".join(parts[:length])
        try:
            found = importlib.import_module(module)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{module}.".startswith(f"{error.name}."):
                raise UntrustedNameError(f"importing {module!r} failed: {error}.") from error
        except Exception as error:  # a package that the user trusts may fail in any way
            raise UntrustedNameError(f"importing {module!r} failed: {type(error).__name__}: {error}.") from error
        else:
            return _walk(name, found, parts, length, allowed)
    raise UntrustedNameError(f"{name!r}: there is no package {parts[0]!r}; is it installed?")


def _walk(name: str, found: object, parts: list[str], start: int, allowed: Collection[str]) -> object:
    for depth, part in enumerate(parts[start:], start=start):
        if not hasattr(found, part):
            near = did_you_mean(part, [known for known in dir(found) if not known.startswith("_")])
            problem = f"{'.'.join(parts[:depth])!r} has no {part!r}."
            raise UntrustedNameError(f"{problem} {near}" if near.startswith("Did") else problem)
        found = getattr(found, part)
        if inspect.ismodule(found) and not _within(f"{found.__name__}.", allowed):
            raise _outside(name, f"the module {found.__name__}", allowed)
    return found
