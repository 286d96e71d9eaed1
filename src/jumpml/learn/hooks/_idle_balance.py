"""Balancers that have nothing to compare, since a teacher leaves each update one objective."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jumpml.learn.hooks._balancing import Balancing, balanced
from jumpml.learn.hooks._cosines import Cosines
from jumpml.learn.teaching._arms import find_arms
from jumpml.learn.teaching._teaching import Teaching

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jumpml.learn._learner import Learner


def idle_balance(learner: Learner) -> Iterator[str]:
    """What is balanced or compared in vain, a sentence a phase: it changes nothing, so it is not wrong.

    Args:
        learner: Its hooks say who balances and who teaches.
    """
    teaching = next((hook for hook in learner.hooks if isinstance(hook, Teaching)), None)
    hook = next((hook for hook in learner.hooks if isinstance(hook, (Balancing, Cosines))), None)
    if teaching is None or hook is None or (isinstance(hook, Balancing) and hook.balancer.alone):
        return
    for name, phase in learner.phases.items():
        names = balanced(hook.over, learner.model, name)
        if not phase.epochs or len(names) < 2 or not {name, "all"} & {*teaching.when}:
            continue
        arms = find_arms(teaching.axes, learner.model, learner.loaders, name, phase.data)
        if len(arms) > 1 and all(arm.runs is not None and len({*arm.runs} & {*names}) < 2 for arm in arms):
            what = f"{hook.balancer.kind} changes" if isinstance(hook, Balancing) else "cosines tell"
            told = f"each arm of the teacher has one of the objectives {', '.join(names)}"
            yield f"phase {name!r}: {told}, so {what} nothing. Leave it out, or choose from other arms."
