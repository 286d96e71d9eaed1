"""Whether nodes do without what they read as optional."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jumpml.core import GraphError, Problem, refusal
from jumpml.graph._problem import refuse

if TYPE_CHECKING:
    from collections.abc import Callable

    from jumpml.graph._inferred import Inferred
    from jumpml.graph._wiring import Wiring


def check_optional(run: Callable[..., Inferred], wiring: Wiring, whole: Inferred) -> None:
    """Pass two rows once more, with None for every optional field; outputs must look as they do with it.

    Args:
        run: Passes rows, with ``optional=False`` for that.
        wiring: The graph's edges.
        whole: What was inferred with all that is there.

    Raises:
        GraphError: A node fails without its optional inputs, or gives something else.
    """
    optional = {
        name: [read for read in sorted(reads) if wiring.names.split(read)[0] not in wiring.names]
        for name, reads in wiring.optional.items()
    }
    optional = {name: fields for name, fields in optional.items() if fields}
    if not optional:
        return
    try:
        without = run(optional=False)
    except GraphError as error:
        problems = [
            Problem(problem.path, f"without what is optional: {problem.text}", problem.fix)
            for problem in error.problems
        ]
        raise refusal(GraphError, problems) from error
    refuse(
        [
            Problem(
                ("nodes", name),
                f"gives {whole.values[name]}, and {without.values[name]} without {', '.join(map(repr, reads))}, which "
                "it reads as optional.",
                "Give both the same shape.",
            )
            for name, reads in optional.items()
            if name in whole.values and whole.values[name] != without.values.get(name)
        ]
    )
