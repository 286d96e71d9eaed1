"""What can be taken out of a learner file, and what then stands in its place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from jumpml.core import InitializeSpec, LearnerSpec, Mistake, SpecError, did_you_mean, load_spec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Removal(NamedTuple):
    """How a part is taken out.

    Attributes:
        values: By dotted key of the learner file, what it then says.
        instead: What is done in its place, in words; empty where nothing is.
    """

    values: Mapping[str, Any]
    instead: str = ""


_NOT_LEARNED = ("adapt", "channels_last", "compile", "embeddings", "statistics")  # they move no weight, or a last bit
_CURRICULUM = {
    "teacher": ("uniform", "every arm as often as any other"),
    "pacing": (None, "all rows from the start"),
    "examples": (None, "all rows alike"),
}
OPTION = "--ablate"


def removals(spec: LearnerSpec) -> dict[str, Removal]:
    """By key, everything that a learner file has and that can be taken out of it, in the file's order.

    Args:
        spec: The learner file.

    Example:
        >>> [*removals(LearnerSpec.model_validate({"balance": {"kind": "upgrad"}, "clip_norm": 1.0}))]
        ['clip_norm', 'balance']
    """
    return {key: removal for key, removal in _parts(spec).items() if _with(spec, removal) != spec}


def _parts(spec: LearnerSpec) -> dict[str, Removal]:
    found: dict[str, Removal] = {}
    for key, field in LearnerSpec.model_fields.items():
        value = getattr(spec, key)
        if key == "phases":
            named = [name for name, phase in spec.phases.items() if phase.epochs != 0 and name != "supervised"]
            found |= {f"phases.{name}": Removal({f"phases.{name}.epochs": 0}) for name in named}
        elif key == "curriculum":
            found |= _curriculum(spec)
        elif value == field.default or key in _NOT_LEARNED or (key == "balance" and value.kind == "sum"):
            continue
        elif key == "balance":
            found[key] = Removal({key: {"kind": "sum"}}, "objectives are added up")
        elif key == "initialize":
            found[key] = Removal({key: {}}, "weights as their modules draw them")
        elif _is_nothing(field.default):
            found[key] = Removal({key: field.default})
    return found


def removed(spec: LearnerSpec, keys: Sequence[str]) -> dict[str, Removal]:
    """How each of some keys is taken out.

    Args:
        spec: The learner file.
        keys: Dotted keys of it.

    Raises:
        SpecError: A key is named twice, the file does not have it, or it cannot be taken out; all of these at once.
    """
    known = removals(spec)
    mistakes = [_mistake(spec, key, known) for key in dict.fromkeys(keys) if key not in known]
    twice = [key for key in dict.fromkeys(keys) if keys.count(key) > 1]
    mistakes += [Mistake(key="", problem=f"{key}: named twice; its twin learns once.") for key in twice]
    if not keys:
        mistakes.append(Mistake(key="", problem="expected a key of the learner file, such as balance; got none."))
    if mistakes:
        raise SpecError(OPTION, mistakes)
    return {key: known[key] for key in keys}


def _curriculum(spec: LearnerSpec) -> dict[str, Removal]:
    """The curriculum as a whole, and its parts; where there are arms, they are the same in the twin."""
    parts = [part for part in _CURRICULUM if getattr(spec.curriculum, part, None) is not None]
    found = {"curriculum": _without(spec, parts, "uniform sampling")} if parts else {}
    return found | {f"curriculum.{part}": _without(spec, [part], _CURRICULUM[part][1]) for part in parts}


def _without(spec: LearnerSpec, parts: Sequence[str], instead: str) -> Removal:
    """Some parts of the curriculum taken out, and with the last one all of it."""
    left = [part for part in _CURRICULUM if part not in parts and getattr(spec.curriculum, part, None) is not None]
    if not left and "teacher" not in parts:
        return Removal({"curriculum": None}, instead)
    removal = Removal({f"curriculum.{part}": _CURRICULUM[part][0] for part in parts}, instead)
    try:
        _with(spec, removal)
    except SpecError:  # nothing asks how hard rows are any more
        removal = Removal({**removal.values, "curriculum.difficulty": "data"}, instead)
    return removal


def _with(spec: LearnerSpec, removal: Removal) -> LearnerSpec:
    return load_spec(LearnerSpec, spec, removal.values)


def _mistake(spec: LearnerSpec, key: str, known: Mapping[str, Removal]) -> Mistake:
    can = f"What can be taken out: {', '.join(known)}." if known else "Nothing in it can be taken out."
    first, _, rest = key.partition(".")
    if first == "learner" and rest:
        return Mistake(key="", problem=f"{key}: the keys are those of the learner file.", fix=f"Write {rest}.")
    if first not in LearnerSpec.model_fields:
        near = did_you_mean(key, {*known, *LearnerSpec.model_fields})
        return Mistake(key="", problem=f"{key}: the learner file knows no such key.", fix=near)
    if first in _NOT_LEARNED:
        return Mistake(key="", problem=f"{key}: nothing that is learned depends on it.", fix=can)
    if key in _parts(spec):
        return Mistake(key="", problem=f"{key}: its twin would be the run itself.", fix=can)
    if _absent(spec, key):
        return Mistake(key="", problem=f"{key}: {spec.source} does not have it.", fix=can)
    return Mistake(key="", problem=f"{key}: it cannot be taken out, only changed.", fix=can)


def _absent(spec: LearnerSpec, key: str) -> bool:
    """Whether a file says nothing at a key."""
    value: Any = spec
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else getattr(value, part, None)
    return _is_nothing(value) or getattr(value, "kind", "") == "sum" or value == InitializeSpec()


def _is_nothing(value: Any) -> bool:
    return value is None or value is False or value == ()
