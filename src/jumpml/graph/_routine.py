"""A program written out as one straight Python function.

A loop over a list of steps costs more a node than calling the node's module does, and ``torch.compile`` would have to
guard every tuple of that list. Written out, a node costs a look into the model's table of modules and a call.
"""

from __future__ import annotations

from functools import lru_cache
from keyword import iskeyword
from traceback import walk_tb
from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec, final

import torch

from jumpml.core import GraphError
from jumpml.graph._brought import Brought
from jumpml.graph._inferred import describe
from jumpml.graph._inner import tapped
from jumpml.graph._node import class_name
from jumpml.graph._program import NOTHING, Program, Step, key
from jumpml.graph._rows import at_rows, on_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from types import CodeType

    from torch import Tensor


P = ParamSpec("P")
_CALLED = {"tapped": tapped, "on_rows": on_rows, "at_rows": at_rows}


class LossStep(NamedTuple):
    """One objective's call."""

    objective: str
    module: str
    positions: tuple[int, ...]
    present: tuple[int, ...]


class Line(NamedTuple):
    """A line of the function, and the call that stands on it: a failure there is this call's."""

    text: str
    call: Step | LossStep | None = None


@final
class Routine:
    """Runs a program, and objectives on its values.

    Args:
        program: What is computed.
        named: By name, the position of a value that is returned.
        losses: The objectives' calls.
    """

    def __init__(self, program: Program, named: Mapping[str, int], losses: Sequence[LossStep] = ()) -> None:
        self._program, self._named, self._losses = program, dict(named), tuple(losses)
        self._modules: Any = program.modules
        self._lines = _lines(program, self._named, self._losses)
        # Equal programs share their code, so that torch.compile knows the plan of a copied model again.
        code = _code("\n".join(line.text for line in self._lines))
        scope: dict[str, Any] = {
            "no_grad": torch.no_grad,
            "differentiable": _differentiable,
            **_CALLED,
            **_constants(program),
        }
        exec(code, scope)
        self._run = scope["run"]

    def __call__(self, batch: Mapping[str, Tensor]) -> tuple[dict[str, Any], dict[str, Any]]:
        """The losses by objective, and the named values.

        Raises:
            GraphError: The batch lacks a field.
        """
        try:
            return self._run(batch, self._modules)
        except Exception as error:
            lacking = self._explain(error, batch)
            if lacking is None:
                raise
        raise lacking

    def __reduce__(self) -> tuple[type[Routine], tuple[Any, ...]]:
        return Routine, (self._program, self._named, self._losses)

    def _explain(self, error: Exception, batch: Mapping[str, Tensor]) -> GraphError | None:
        """Note at an error where it came from; a field that the batch lacks is an error of its own."""
        places = ((frame, line) for frame, line in walk_tb(error.__traceback__) if frame.f_code is self._run.__code__)
        frame, line = next(places, (None, 0))
        if frame is None:
            return None
        call = self._lines[line - 1].call
        if isinstance(call, Step):
            error.add_note(self._where(call, frame.f_locals))
        elif isinstance(call, LossStep):
            error.add_note(f"in objective {call.objective!r}")
        elif isinstance(error, KeyError):
            missing = ", ".join(repr(name) for name in self._program.fields if name not in batch)
            return GraphError(f"the batch lacks {missing}; it holds: {', '.join(batch) or 'nothing'}.")
        return None

    def _where(self, step: Step, values: Mapping[str, Any]) -> str:
        names = {position: key(request) for request, position in self._program.slots.items()}
        read = ", ".join(
            f"{names[position]} {describe(values[f'v{position}'])}"
            for position in step.positions
            if position != NOTHING
        )
        return f"in node {step.node!r} ({class_name(type(self._modules[step.module]))}), which was given {read}"


def run_while_tracing(method: Callable[P, None]) -> Callable[P, None]:
    """Let ``torch.compile`` call a method instead of tracing it, for what it leaves behind.

    The mark is all that ``torch.compiler.assume_constant_result`` sets; but that imports the compiler, for a second.
    """
    method._dynamo_marked_constant = True  # pyright: ignore[reportFunctionMemberAccess]
    return method


@lru_cache(maxsize=256)
def _code(source: str) -> CodeType:
    return compile(source, "<jumpml plan>", "exec")


def _lines(program: Program, named: Mapping[str, int], losses: Sequence[LossStep]) -> list[Line]:
    lines = [Line("def run(batch, modules):")]
    lines += [Line(f" v{position} = batch[{name!r}]") for position, name in enumerate(program.fields)]
    lines += [Line(f" {_traced(position)}") for position in range(len(program.fields)) if position in program.traced]
    read = {position for loss in losses for position in (*loss.positions, *loss.present)}
    unused = _unused(program, read.union(named.values()))
    if program.frozen:
        lines.append(Line(" with no_grad():"))
    for indent, steps in (("  ", program.frozen), (" ", program.live)):
        for step in steps:
            lines.append(Line(f"{indent}{_call(step)}", step))
            lines += [
                Line(f"{indent}v{position} = v{step.output}[{_constant(step.output, number, part)}]", step)
                for number, (position, part) in enumerate(step.parts)
                if not isinstance(part, Brought)
            ]
            lines += [Line(f"{indent}{text}", step) for text in _brought(step)]
            made = [step.output, *(position for position, _ in step.parts)]
            lines += [Line(f"{indent}{_traced(position)}", step) for position in made if position in program.traced]
            if step.output in unused:
                lines.append(Line(f"{indent}del {', '.join(_values(unused[step.output]))}"))
    for number, loss in enumerate(losses):
        given = _values(loss.positions)
        if loss.present:
            given.append(f"present={' & '.join(_values(loss.present))}")
        lines.append(Line(f" l{number} = modules[{loss.module!r}]({', '.join(given)})", loss))
    results = ", ".join(f"{loss.objective!r}: l{number}" for number, loss in enumerate(losses))
    values = ", ".join(f"{name!r}: v{position}" for name, position in named.items())
    return [*lines, Line(f" return {{{results}}}, {{{values}}}")]


def _traced(position: int) -> str:
    return f"v{position} = differentiable(v{position})"


def _differentiable(value: Tensor) -> Tensor:
    """A value that a gradient can be taken by; one that has none is cut off from what it was made of, as it was."""
    return value if value.requires_grad else value.detach().requires_grad_()


def _brought(step: Step) -> list[str]:
    """A module forgets its losses when it is asked for them, so each is asked once."""
    wanted = [(position, part) for position, part in step.parts if isinstance(part, Brought)]
    owners = dict.fromkeys(owner for _, part in wanted for owner in part.owners)
    names = {owner: f"b{step.output}_{number}" for number, owner in enumerate(owners)}
    lines = []
    for owner, name in names.items():
        module = f"modules[{step.module!r}]" + (f".get_submodule({owner!r})" if owner else "")
        lines.append(f"{name} = {module}.losses()")
    for position, part in wanted:
        value = " + ".join(f"{names[owner]}[{part.name!r}]" for owner in part.owners)
        rows = " & ".join(_values(step.covers))
        lines.append(f"v{position} = at_rows({value}, {rows})" if rows else f"v{position} = {value}")
    return lines


def _unused(program: Program, kept: Collection[int]) -> dict[int, list[int]]:
    """By step (the number of its output), the values that nothing reads after it: without gradient they are memory."""
    last: dict[int, int] = {}
    for step in (*program.frozen, *program.live):
        given = (step.output, *(position for position, *_ in (*step.parts, *step.inner)))
        last |= dict.fromkeys((*given, *step.positions), step.output)
    unused: dict[int, list[int]] = {}
    for position, output in last.items():
        if position >= len(program.fields) and position not in kept:
            unused.setdefault(output, []).append(position)
    return unused


def _call(step: Step) -> str:
    """The module's call; with what takes the values inside it out, and runs it on some rows alone, where asked."""
    called, arguments = f"modules[{step.module!r}]", _arguments(step)
    outputs = _values((step.output, *(position for position, *_ in step.inner)))
    module = called
    if step.inner:
        called = f"tapped({called}, t{step.output})"
    if step.covers:
        rows = " & ".join(_values(step.covers))
        alone = any(isinstance(part, Brought) and not part.per_example for _, part in step.parts)
        called, arguments = "on_rows", f"{module}, {called}, {rows}, {step.two}, {alone}, {arguments}"
    return f"{', '.join(outputs)} = {called}({arguments})"


def _arguments(step: Step) -> str:
    values = _values(step.positions)
    if step.arguments is None:
        return ", ".join(values)
    pairs = zip(step.arguments, values, strict=True)
    # Python reads identifiers beyond ASCII as their normal forms, and would call another argument.
    plain = {name for name in step.arguments if name.isidentifier() and name.isascii() and not iskeyword(name)}
    return ", ".join(f"{name}={value}" if name in plain else f"**{{{name!r}: {value}}}" for name, value in pairs)


def _values(positions: Sequence[int]) -> list[str]:
    return ["None" if position == NOTHING else f"v{position}" for position in positions]


def _constant(output: int, number: int, part: object) -> str:
    """A part's key as the text of a program: written out, or by a name of its own where that cannot be."""
    return repr(part) if type(part) in {int, str} else f"k{output}_{number}"


def _constants(program: Program) -> dict[str, object]:
    """What cannot be written out: taps, and keys such as an enumeration's members."""
    taps: dict[str, object] = {
        f"t{step.output}": tuple((tap, part) for _, tap, part in step.inner)
        for step in (*program.frozen, *program.live)
        if step.inner
    }
    return taps | {
        _constant(step.output, number, part): part
        for step in (*program.frozen, *program.live)
        for number, (_, part) in enumerate(step.parts)
        if type(part) not in {int, str, Brought}
    }
