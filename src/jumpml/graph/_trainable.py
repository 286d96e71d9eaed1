"""How a model is trained: what of it is frozen, and what it began with."""

from __future__ import annotations

import logging
from abc import abstractmethod
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self

from jumpml.core import JumpMLError, PretrainedError, did_you_mean
from jumpml.graph._structure import Structure
from jumpml.graph.growth._adapters import ADAPTERS
from jumpml.pretrained import Weights, fill, match, read_weights

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from torch import Tensor

    from jumpml.core import ModelSpec, WeightsRecord
    from jumpml.graph.growth._surgery import Growth

_LOG = logging.getLogger("jumpml")


class Trainable(Structure):
    """A `Structure` whose nodes can be frozen, and given weights from elsewhere.

    Args:
        parts: As `Structure` has them.
    """

    def __init__(self, **parts: Any) -> None:
        super().__init__(**parts)
        self._frozen: frozenset[str] = frozenset()
        self._resting: frozenset[str] = frozenset()
        self._loaded: dict[str, WeightsRecord] = {}
        self._spec: ModelSpec | None = None

    @property
    def spec(self) -> ModelSpec | None:
        """The file that it was built from, as it was read; None for a model that was made in Python.

        What has been done to the model since, such as training or other modules, is not in it. ``spec.to_yaml()`` is
        its text.
        """
        return self._spec

    @spec.setter
    def spec(self, spec: ModelSpec) -> None:
        self._spec = spec

    @property
    def loaded(self) -> Mapping[str, WeightsRecord]:
        """By node, what it began with, where that was made elsewhere."""
        return MappingProxyType(self._loaded)

    def load_weights(
        self,
        name: str,
        weights: str | Path | Weights,
        *,
        node: str | None = None,
        part: str | None = None,
        strip: str = "",
        prefix: str = "",
        strict: bool = True,
    ) -> WeightsRecord:
        """Give a node weights that were made elsewhere; nothing in the file is run.

        Args:
            name: The node.
            weights: A file, a checkpoint's or a run's folder (see `jumpml.pretrained.read_weights`), or what was read.
            node: In a JumpML model's weights, the node whose they are; the one of the same name where nothing is said.
            part: Of several state_dicts in a file, which; of a checkpoint ``average``.
            strip: What the file's names begin with and the module's do not; other names are passed over.
            prefix: What the module's names begin with and the file's do not.
            strict: Whether file and module must have the same weights; otherwise what fits is taken.

        Returns:
            What went in, what is missing, and what is unlike; `loaded` keeps it.

        Raises:
            GraphError: There is no such node.
            PretrainedError: The file cannot be read, or does not fit; the node is as it was.
        """
        module = self.node(name)
        found = weights if isinstance(weights, Weights) else read_weights(Path(weights), part=part)
        with self._shape_or_former():
            if found.nodes or node is not None:
                found = found.of_node(node or name)
                self.take_shape(name, found)
            self._loaded[name] = fill(module, found, strip=strip, prefix=prefix, strict=strict)
        return self._loaded[name]

    def load_nodes(
        self, weights: str | Path, *, nodes: Iterable[str] = ("all",), part: str | None = None, strict: bool = True
    ) -> dict[str, WeightsRecord]:
        """Give nodes the weights of their namesakes in another run; nothing in the file is run.

        Nodes without weights are passed over, and so are those that began with others' (`loaded`).

        Args:
            weights: A run's or a checkpoint's folder, or a file of a JumpML model's weights.
            nodes: Patterns of the nodes; see `select`.
            part: Of several state_dicts in a file, which; of a checkpoint ``average``.
            strict: Whether each must have a namesake with the same weights; otherwise what fits is taken.

        Returns:
            By node, what went in; `loaded` keeps it.

        Raises:
            PretrainedError: The weights cannot be read or do not fit, or no node has a namesake; with all that is
                wrong. All nodes are as they were.
            GraphError: A pattern names no node.
        """
        found = read_weights(Path(weights), part=part)
        known = {name.replace("__", ".") for name in found.nodes}
        asked = {name for name in self.select(nodes) if name not in self._loaded}
        modules = {name: self.node(name) for name in self.given if name in asked}
        owners = {id(module): name for name, module in reversed(modules.items()) if module.state_dict()}
        parts: dict[str, Weights] = {}
        matched: dict[str, tuple[WeightsRecord, dict[str, Tensor]]] = {}
        misfits: list[str] = []
        with self._shape_or_former():
            for name in reversed(owners.values()):
                if not strict and found.nodes and name not in known:
                    _LOG.warning("Node %r has no namesake in %s. %s", name, weights, did_you_mean(name, known))
                    continue
                try:
                    parts[name] = found.of_node(name)
                    self.take_shape(name, parts[name])
                except JumpMLError as error:
                    misfits.append(str(error))
                    parts.pop(name, None)
            for name, part_of_it in parts.items():
                try:
                    matched[name] = match(self.node(name), part_of_it, strict=strict)
                except JumpMLError as error:
                    misfits.append(str(error))
            if misfits or not matched:
                raise PretrainedError("\n".join(misfits) or f"{weights} has weights of none of the nodes asked for.")
        for name, (record, tensors) in matched.items():
            self.node(name).load_state_dict(tensors, strict=False)
            self._loaded[name] = record
            if not record.whole:
                _LOG.warning("Node %r begins with %s.", name, record)
        return {name: record for name, (record, _) in matched.items()}

    def train_only(self, nodes: Collection[str], *, resting: Collection[str] = ()) -> None:
        """Freeze every other node: no gradient, and evaluation mode even in training.

        Objectives keep their own parameters as they are. Plans for losses must be made anew.

        Args:
            nodes: The nodes that train, or inner modules of a wrapped one; see `select` for patterns.
            resting: Of those that are frozen, the ones that have trained in this phase before; see `awake`.

        Raises:
            GraphError: There is no such node.
        """
        for name in (*nodes, *resting):
            self.node(name)
        trained = {unit for name in nodes for unit in self._wiring.names.units(name)}
        self._frozen = frozenset(self.units) - trained
        self._resting = frozenset(unit for name in resting for unit in self._wiring.names.units(name)) - trained
        self._changed()
        for learn in (False, True):  # so that a module that several nodes share trains if one of them does
            for unit in self.units:
                if (unit in trained) is learn:
                    for parameter in self.node(unit).parameters(recurse=unit in self._attributes):
                        parameter.requires_grad_(learn and (parameter.is_floating_point() or parameter.is_complex()))
        for module in self.modules():
            if isinstance(module, ADAPTERS):  # the branch learns in the place of the weights beside it
                for parameter in module.kept():
                    parameter.requires_grad_(False)
        self.train(self.training)

    @contextmanager
    def awake(self) -> Iterator[None]:
        """Inside, what rests trains too: for what is asked of all that a phase has learned."""
        resting = self._resting
        if not resting:
            yield
            return
        trained = [unit for unit in self.units if unit not in self._frozen]
        self.train_only([*trained, *resting])
        try:
            yield
        finally:
            self.train_only(trained, resting=resting)

    def train(self, mode: bool = True) -> Self:
        """Set training or evaluation mode; frozen nodes stay in evaluation mode."""
        super().train(mode)
        for frozen in (True, False):
            for unit in self.units:
                if (unit in self._frozen) is not frozen:
                    continue
                if unit in self._attributes:
                    self.node(unit).train(mode and not frozen)
                else:  # an inner module, without what is in it
                    self.node(unit).training = mode and not frozen
        return self

    def _frozen_nodes(self) -> list[str]:
        names = self._wiring.names
        return [name for name in self.node_names if self._frozen.issuperset(names.units(name))]

    @contextmanager
    def _shape_or_former(self) -> Iterator[None]:
        """Inside, what fails leaves the model in the shape that it had."""
        before = self.lineage
        try:
            yield
        except BaseException:
            self.regrow(before)
            raise

    @property
    @abstractmethod
    def lineage(self) -> tuple[dict[str, Any], ...]:
        """What surgeries have been done to it."""

    @abstractmethod
    def regrow(self, lineage: Sequence[Mapping[str, Any]]) -> list[Growth]:
        """Bring the model into the shape of a lineage."""

    @abstractmethod
    def take_shape(self, name: str, weights: Weights) -> None:
        """Do to a node what was done to the one that weights are of, if that has grown.

        Args:
            name: The node.
            weights: Of one node.

        Raises:
            GraphError: It cannot be done.
        """

    @abstractmethod
    def _changed(self) -> None:
        """Forget what was planned for other frozen nodes."""
