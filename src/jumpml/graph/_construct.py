"""The modules of a model file: the classes that it names, called with the arguments that it gives."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from torch import nn

from jumpml.core import FieldInfo, JumpMLError, Problem, Task, UntrustedNameError, did_you_mean, resolve_class
from jumpml.graph._elsewhere import make_pretrained, node_of_run
from jumpml.graph._node import class_name, signature_text
from jumpml.graph._random import own_draws
from jumpml.graph._repeat import Repeat
from jumpml.graph._tasks import output_width
from jumpml.graph.blocks._lazy import lazy_layers_are_meant

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from jumpml.core import NodeSpec, PretrainedNode


@dataclass(frozen=True, kw_only=True)
class Constructor:
    """Makes the modules of a model file.

    Attributes:
        tasks: All tasks: a head takes its width from its own.
        fields: The data's fields, as far as they are known.
        trust: Packages from which modules may come.
        seed: Of the weights, together with the node's name; torch's global generator draws them where None.
    """

    tasks: Mapping[str, Task]
    fields: Mapping[str, FieldInfo]
    trust: Collection[str]
    seed: int | None

    def make(self, name: str, node: NodeSpec, folder: Path) -> nn.Module | list[Problem]:
        """A node's module, or what is wrong with it.

        Args:
            name: The node's name.
            node: What the file says; it has a module, layers, or a pretrained model.
            folder: Where the file's paths start.
        """
        if node.pretrained is not None:
            return self._from_elsewhere(name, node.pretrained, folder)
        copies = [self._one(name, node, (str(index),) if node.repeat > 1 else ()) for index in range(node.repeat)]
        modules = [made for made in copies if isinstance(made, nn.Module)]
        if len(modules) < len(copies):
            return next(made for made in copies if not isinstance(made, nn.Module))
        return modules[0] if len(modules) == 1 else Repeat(modules)

    def _from_elsewhere(self, name: str, told: PretrainedNode, folder: Path) -> nn.Module | list[Problem]:
        path = ("nodes", name, "pretrained", told.origin)
        try:
            if told.run is None:
                with own_draws(self.seed, "node", name):
                    return make_pretrained(told, folder)
            found = node_of_run(name, told, folder)
        except JumpMLError as error:
            return [Problem(path, str(error))]
        if isinstance(found, Problem):
            return [found]
        made = replace(self, tasks={}).make(name, *found)
        return made if isinstance(made, nn.Module) else [Problem(path, f"in that run: {p.text}", p.fix) for p in made]

    def _one(self, name: str, node: NodeSpec, index: tuple[str, ...]) -> nn.Module | list[Problem]:
        if node.layers is None:
            made = self.construct(name, ("nodes", name), str(node.module), node.args, index)
            return [made] if isinstance(made, Problem) else made
        layers: list[nn.Module | Problem] = []
        for position, layer in enumerate(node.layers):
            path, purpose = ("nodes", name, "layers", position), (*index, str(position))
            module, args = (layer, {}) if isinstance(layer, str) else (layer.module, layer.args)
            layers.append(self.construct(name, path, module, args, purpose))
        problems = [made for made in layers if isinstance(made, Problem)]
        return problems or nn.Sequential(*(made for made in layers if isinstance(made, nn.Module)))

    def construct(
        self,
        name: str,
        path: tuple[str | int, ...],
        module: str,
        args: Mapping[str, Any],
        index: tuple[str, ...] = (),
    ) -> nn.Module | Problem:
        """One module, or what is wrong with it.

        Args:
            name: The node's name.
            path: Where the file says it.
            module: The dotted name of its class.
            args: The class's arguments.
            index: Which of the node's modules it is: each draws weights of its own.
        """
        place, arguments = (*path, "args"), dict(args)
        try:
            cls = resolve_class(module, nn.Module, self.trust)
        except UntrustedNameError as error:
            return Problem((*path, "module"), str(error))
        own_width: str | None = getattr(cls, "width_of_task", None)
        if own_width is not None and own_width not in arguments:
            width = _head_width(name, self.tasks, self.fields, own_width)
            if isinstance(width, str):
                return Problem(place, f"{own_width} is left out, {width}")
            arguments[own_width] = width
        problem = _misfit(place, cls, arguments)
        if problem is not None:
            return problem
        try:
            with own_draws(self.seed, "node", name, *index), lazy_layers_are_meant():
                return cls(**arguments)
        except Exception as error:  # a constructor may raise anything when it dislikes what the file gives it
            said = f"{type(error).__name__}: {str(error).strip().rstrip('.')}"
            return Problem(place, f"{_called(cls)} does not take these arguments. {said}.")


def _misfit(path: tuple[str | int, ...], cls: type[nn.Module], arguments: Mapping[str, Any]) -> Problem | None:
    """Arguments that the constructor does not know, or lacks."""
    parameters = inspect.signature(cls).parameters
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        for argument in arguments:
            if argument not in parameters:
                near = did_you_mean(argument, parameters)
                return Problem(
                    (*path, argument), f"{_called(cls)} has no such argument.", near if near.startswith("Did") else ""
                )
    needed = [
        p.name for p in parameters.values() if p.default is p.empty and p.kind not in {p.VAR_KEYWORD, p.VAR_POSITIONAL}
    ]
    missing = [repr(argument) for argument in needed if argument not in arguments]
    return Problem(path, f"{_called(cls)} also needs {', '.join(missing)}.") if missing else None


def _called(cls: type[nn.Module]) -> str:
    return f"{class_name(cls)}{signature_text(cls)}"


def _head_width(node: str, tasks: Mapping[str, Task], fields: Mapping[str, FieldInfo], argument: str) -> int | str:
    """The number of outputs that the tasks of a node need, or why that is not known."""
    widths: dict[str, int] = {}
    for name, task in tasks.items():
        if task.output != node:
            continue
        if task.brings.decides == "embedding":
            return f"and the embedding of task {name!r} may be of any width. Give out_features, such as 64."
        if task.brings.one_logit:
            widths[name] = 1
        elif task.target in fields:
            widths[name] = output_width(task, fields[task.target])
        else:
            return (
                f"and nothing is known of {task.target!r}, the target of task {name!r}. Give {argument}, or give the "
                "data: load_model(file, dataloader), or the key data in the file."
            )
    if not widths:
        return f"and no task has this node as its output. Give {argument}."
    if len(set(widths.values())) > 1:
        needs = ", ".join(f"{name!r} needs {width}" for name, width in widths.items())
        return f"and its tasks need different widths: {needs}. Give each task a head of its own."
    return next(iter(widths.values()))
