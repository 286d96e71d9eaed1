"""Weights into a module, with an account of what went in."""

from __future__ import annotations

from collections import Counter
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from torch import Tensor
from torch.nn.parameter import is_lazy

from jumpml.core import PretrainedError, WeightsRecord
from jumpml.pretrained._weights import read_weights

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from pathlib import Path

    from torch import nn

    from jumpml.pretrained._weights import Weights

_OPTIONAL = "num_batches_tracked"  # older files of batch normalization lack it, and torch does without
_MOST = 5  # names that an error lists


def load_weights(
    module: nn.Module, path: Path, *, part: str | None = None, strip: str = "", prefix: str = "", strict: bool = True
) -> WeightsRecord:
    """Fill a module from a file of weights, of which nothing is run.

    Args:
        module: It changes only where this returns.
        path: See `read_weights`.
        part: See `read_weights`.
        strip: What the file's names begin with and the module's do not; other names of the file are passed over.
        prefix: What the module's names begin with and the file's do not.
        strict: Whether module and file must have the same weights; otherwise what fits is taken.

    Raises:
        PretrainedError: The file cannot be read, or does not fit.

    Example:
        >>> import tempfile, torch
        >>> from pathlib import Path
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder) / "net.pt"
        ...     torch.save({"module.weight": torch.ones(2, 3), "module.bias": torch.zeros(2)}, file)
        ...     record = load_weights(torch.nn.Linear(3, 2), file, strip="module.")
        >>> record.matched, record.whole
        (('weight', 'bias'), True)
    """
    return fill(module, read_weights(path, part=part), strip=strip, prefix=prefix, strict=strict)


def fill(
    module: nn.Module, weights: Weights, *, strip: str = "", prefix: str = "", strict: bool = True
) -> WeightsRecord:
    """Fill a module from weights that are read; see `load_weights`.

    Raises:
        PretrainedError: They do not fit; the module is as it was.
    """
    record, matched = match(module, weights, strip=strip, prefix=prefix, strict=strict)
    module.load_state_dict(matched, strict=False)
    return record


def match(
    module: nn.Module, weights: Weights, *, strip: str = "", prefix: str = "", strict: bool = True
) -> tuple[WeightsRecord, dict[str, Tensor]]:
    """What `fill` would put into a module, and what is to be told of it.

    Raises:
        PretrainedError: They do not fit.
    """
    own = {name: value for name, value in module.state_dict(keep_vars=True).items() if isinstance(value, Tensor)}
    given = {prefix + name[len(strip) :]: value for name, value in weights.tensors.items() if name.startswith(strip)}
    if not given:
        told = f"{weights.source} has no weight whose name begins with {strip!r}"
        raise PretrainedError(f"{told}; it begins with {_listed(_beginnings(weights.tensors))}.")
    matched = {name: given[name] for name in own if name in given and not _difference(own[name], given[name])}
    record = WeightsRecord(
        source=weights.source,
        sha256=weights.sha256,
        matched=tuple(matched),
        missing=tuple(_lacking(own, given)),
        unexpected=tuple(strip + name[len(prefix) :] for name in given if name not in own),
        unlike={name: told for name in own if name in given and (told := _difference(own[name], given[name]))},
    )
    if not matched or (strict and not record.whole):
        raise PretrainedError(_misfit(module, record, own, weights.tensors, (strip, prefix)))
    return record, matched


def _difference(own: Tensor, given: Tensor) -> str:
    """How a weight of the module and one of the file differ in kind; empty where one can take the other's place."""
    if is_lazy(own):  # takes any shape
        return ""
    if own.shape == given.shape and own.is_floating_point() == given.is_floating_point():
        return ""
    return f"the file's is {_told(given)}, the module's {_told(own)}"


def _told(value: Tensor) -> str:
    return f"{list(value.shape)} {str(value.dtype).removeprefix('torch.')}"


def _lacking(own: Mapping[str, Any], given: Collection[str]) -> Iterable[str]:
    """The module's weights that the file has under no name; of tied weights, files hold one."""
    tied = {id(own[name]) for name in given if name in own}
    return (name for name, value in own.items() if not (name in given or id(value) in tied or name.endswith(_OPTIONAL)))


def _misfit(
    module: nn.Module,
    record: WeightsRecord,
    own: Mapping[str, Tensor],
    given: Mapping[str, Tensor],
    said: tuple[str, str],
) -> str:
    what = "nothing fits" if not record.matched else f"{len(record.matched)} of {len(own)} fit"
    lines = [f"{record.source}: these are not the weights of {type(module).__name__}: {what}."]
    if record.missing:
        lines.append(f"Not in the file: {_listed(_near(record.missing, record.unexpected))}.")
    if record.unexpected:
        lines.append(f"Not in the module: {_listed(record.unexpected)}.")
    if record.unlike:
        lines.append(f"Of another shape or type: {_listed(f'{k} ({v})' for k, v in record.unlike.items())}.")
    better = _renaming(own, given, len(record.matched), said)
    if better:
        lines.append(better)
    elif record.matched:
        lines.append("`strict: false` takes what fits.")
    return " ".join(lines)


def _near(missing: Iterable[str], unexpected: Collection[str]) -> list[str]:
    """Missing names, each with the name of the file that it looks like."""
    near = {name: get_close_matches(name, unexpected, n=1, cutoff=0.8) for name in missing}
    return [f"{name} (the file has {found[0]!r})" if found else name for name, found in near.items()]


def _renaming(own: Mapping[str, Tensor], given: Mapping[str, Tensor], count: int, said: tuple[str, str]) -> str:
    """The beginning of names that explains most of a misfit, where one does."""
    best: Counter[tuple[str, str]] = Counter()
    for name, value in given.items():
        for tail in _tails(name):
            if tail in own and not _difference(own[tail], value):
                best[name.removesuffix(tail), ""] += 1
    for name, value in own.items():
        for tail in _tails(name)[1:]:
            if tail in given and not _difference(value, given[tail]):
                best["", name.removesuffix(tail)] += 1
    if not best:
        return ""
    renaming, fitting = best.most_common(1)[0]
    if fitting <= count or renaming == said:
        return ""
    keys = " and ".join(f"`{key}: {value}`" for key, value in zip(("strip", "prefix"), renaming, strict=True) if value)
    return f"With {keys or 'neither strip nor prefix'} {fitting} of {len(own)} fit."


def _tails(name: str) -> list[str]:
    """A dotted name, and what is left of it without its first parts."""
    parts = name.split(".")
    return [".".join(parts[start:]) for start in range(len(parts))]


def _beginnings(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(f"{name.split('.')[0]}." if "." in name else name for name in names))


def _listed(names: Iterable[str]) -> str:
    known = list(names)
    more = len(known) - _MOST
    return ", ".join(known[:_MOST]) + (f" and {more} more" if more > 0 else "")
