"""Values inside a node: what one of its inner modules gives."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, final

from jumpml.core import GraphError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from torch import nn


class Inner(NamedTuple):
    """Where a value inside a node comes from.

    Attributes:
        path: The inner module's, such as ``layer3.1.relu``.
        part: The index or key of an element of what it gives, if it is not all of it.
    """

    path: str
    part: int | str | None


def find_inner(module: nn.Module, reference: str) -> Inner | None:
    """The inner module that a dotted path names, with what is left of the path as a part; None where there is none.

    Example:
        >>> from torch import nn
        >>> net = nn.Sequential(nn.LSTM(4, 8), nn.Identity())
        >>> find_inner(net, "0"), find_inner(net, "0.0"), find_inner(net, "2")
        (Inner(path='0', part=None), Inner(path='0', part=0), None)
    """
    names = reference.split(".")
    paths = {path for path, _ in module.named_modules(remove_duplicate=False) if path}
    for length in (len(names), len(names) - 1):
        path = ".".join(names[:length])
        if path in paths:
            rest = names[length:]
            return Inner(path, (int(rest[0]) if rest[0].isdecimal() else rest[0]) if rest else None)
    return None


@final
class Tap:
    """Notes what an inner module gives, while it is open. Of several calls the last one counts.

    It is a forward hook that stays: ``torch.compile`` traces through one that is there before, and a copy of the model
    has a tap of its own. Closed, it does nothing.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._open = False
        self._given: tuple[Any, ...] = ()

    @classmethod
    def on(cls, module: nn.Module, path: str) -> Tap:
        """The tap of an inner module, which gets one if it has none."""
        inner = module.get_submodule(path)
        known = next((hook for hook in inner._forward_hooks.values() if isinstance(hook, Tap)), None)
        if known is None:
            known = cls(path)
            inner.register_forward_hook(known)
        return known

    def __call__(self, module: nn.Module, args: Any, output: Any) -> None:
        """Torch calls this when the inner module has been called."""
        if self._open:
            self._given = (output,)

    def open(self) -> None:
        """Begin to note."""
        self._open = True

    def close(self) -> tuple[Any, ...]:
        """What was noted, in a tuple that is empty if there was no call; nothing is kept."""
        given, self._given, self._open = self._given, (), False
        return given


@contextmanager
def tapping(module: nn.Module, inner: Iterable[Inner]) -> Iterator[dict[str, tuple[Any, ...]]]:
    """Note what inner modules give in the calls inside: afterwards by path, in a tuple that is empty if not called."""
    taps, given = {place.path: Tap.on(module, place.path) for place in inner}, {}
    for tap in taps.values():
        tap.open()
    try:
        yield given
    finally:
        given.update({path: tap.close() for path, tap in taps.items()})


def tapped(module: Callable[..., Any], taps: Sequence[tuple[Tap, int | str | None]]) -> Callable[..., tuple[Any, ...]]:
    """A module that also gives what its inner modules gave: its output, then theirs.

    Args:
        module: The node's.
        taps: Each with the part of it that is wanted.
    """
    # by number: modules that were wrapped before, each alone, have taps of the same path
    each = list(dict.fromkeys(tap for tap, _ in taps))
    picks = [(tap.path, each.index(tap), part) for tap, part in taps]

    def call(*values: Any, **named: Any) -> tuple[Any, ...]:
        for tap in each:
            tap.open()
        try:
            output = module(*values, **named)
        finally:
            given = [tap.close() for tap in each]
        return (output, *(_picked(path, given[number], part) for path, number, part in picks))

    return call


def _picked(path: str, given: tuple[Any, ...], part: int | str | None) -> Any:
    if not given:
        raise GraphError(f"its inner module {path!r} is not called in this pass, so that it gives nothing.")
    return given[0] if part is None else given[0][part]
