"""The model file: what the model is."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import (
    ConfigDict,
    Field,
    PositiveInt,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from jumpml.core._objective_spec import ObjectiveSpec, TaskObjectiveSpec
from jumpml.core._pretrained_spec import PretrainedNode, WeightsSpec
from jumpml.core._spec import About, FileSpec, InputName, Name, Seed, Spec, exactly_one
from jumpml.core._tasks import brought, options_problem

Inputs = str | tuple[str, ...] | dict[str, str]


class InputSpec(Spec):
    """What a field looks like to the model, after its features."""

    shape: tuple[PositiveInt, ...]
    """The shape of one row, without the batch."""
    dtype: Literal["float32", "int64", "bool"] = "float32"
    """The type of its elements; a mask's is `bool`."""


class LayerSpec(Spec):
    """One of a node's layers."""

    module: str
    """The dotted name of a class, as a node's."""
    args: dict[str, Any] = {}
    """The class's own arguments."""


_FORMS = ("module", "layers", "graph", "shares", "pretrained")  # what a node can be made of
_BELONGS = {  # keys that only some forms have
    "args": ("module",),
    "repeat": ("module", "layers"),
    "weights": ("module", "layers", "graph", "pretrained"),
}


class NodeSpec(Spec):
    """One named step, and what it reads.

    It is a module, layers in a row, another model file, another node's weights, or a model that was made elsewhere.
    """

    model_config = ConfigDict(json_schema_extra=exactly_one(*_FORMS))

    module: str | None = None
    """The dotted name of a class: `torch.nn.*`, `jumpml.blocks.*`, or one from a package that you trust by name."""
    layers: Annotated[tuple[str | LayerSpec, ...], Field(min_length=1)] | None = None
    """Or modules in a row, each of which reads what the one before it gives: a dotted name, or one with `args`."""
    graph: str | None = None
    """Or another model file, from this file's folder; its nodes are `node.name` here. Its inputs are what `inputs`
    binds to them by name, else what bears the same name here. Its tasks and objectives stay behind."""
    shares: str | None = None
    """Or another node, whose module, with its very weights, reads something else here."""
    pretrained: PretrainedNode | None = None
    """Or a model that was made elsewhere."""
    inputs: Inputs = ()
    """A name, a list (positional arguments) or a mapping (by argument name) of fields, nodes, `node.part` or
    `node.inner.module`. A text has a mask, `field.mask`: bool `[batch, length]`, true where a token is; every field has
    `field.present`, bool `[batch]`. A name with `?` behind it is None where the data lacks it."""
    args: dict[str, Any] = {}
    """The class's own arguments, with `module`."""
    repeat: PositiveInt = 1
    """So many fresh copies in a row, with `module` or `layers`; the first input is what the copy before gives."""
    weights: WeightsSpec | None = None
    """What its weights begin as, in the place of random ones. With `graph` each of its nodes takes its own."""

    @property
    def form(self) -> str:
        """What the node is made of: `module`, `layers`, `graph`, `shares` or `pretrained`."""
        return next(form for form in _FORMS if getattr(self, form) is not None)

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        said = [form for form in _FORMS if getattr(self, form) is not None]
        if len(said) != 1:
            raise ValueError(f"expected exactly one of {', '.join(_FORMS)}; got {' and '.join(said) or 'none'}")
        for key, forms in _BELONGS.items():
            if getattr(self, key) != type(self).model_fields[key].default and said[0] not in forms:
                raise ValueError(f"{key} goes with {' or '.join(forms)}; this node has {said[0]}")
        if self.weights and self.pretrained and self.pretrained.origin in {"onnx", "run"}:
            raise ValueError(f"weights would change nothing that {self.pretrained.origin} does not bring itself")
        if self.graph is None and "inputs" not in self.model_fields_set:
            raise ValueError("inputs is missing: a node reads a field or another node")
        if self.graph is not None and isinstance(self.inputs, tuple) and self.inputs:
            raise ValueError("a graph's inputs have names; write inputs: {its name: the name here}")
        return self

    @model_serializer(mode="wrap")
    def _what_is_said(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without the other forms and their keys."""
        fields = type(self).model_fields
        return {key: value for key, value in write(self).items() if key == "inputs" or value != fields[key].default}


class TaskSpec(Spec):
    """An output node, a target field and a kind, which brings objective, prediction, metrics and pictures."""

    kind: Literal[
        "multiclass",
        "binary",
        "multilabel",
        "ordinal",
        "regression",
        "forecasting",
        "retrieval",
        "reconstruction",
        "segmentation",
        "token_labelling",
        "language_modelling",
    ]
    """What is predicted: one class of several, yes or no, any number of labels, one class of several in an order,
    numbers, the steps that follow a series, what is near to what, or what the model was given itself; a class at each
    pixel, a class at each token, or the next token at each."""
    output: str
    """The node whose output is the prediction: logits, or the numbers."""
    target: str
    """The field that holds the truth."""
    metrics: tuple[str, ...] | None = None
    """Names of metrics, where the kind's own are not wanted."""
    objective: TaskObjectiveSpec | None = TaskObjectiveSpec()
    """Changes to the task's objective, or another kind that fits the task; `null` switches it off."""
    quantiles: tuple[float, ...] | None = None
    """For regression and forecasting: the levels that are predicted of each number, such as `[0.1, 0.5, 0.9]`. The
    median is the decision, and the outer two are its interval."""
    history: str | None = None
    """For forecasting: the series that ends where the target begins. Nodes need not read it."""
    season: PositiveInt | None = None
    """For forecasting: after how many steps the series resembles itself, as after 24 hours; 1 unless said."""

    @model_validator(mode="after")
    def _own_options_fit(self) -> Self:
        problem = options_problem(
            self.kind,
            metrics=self.metrics or (),
            quantiles=self.quantiles or (),
            history=self.history,
            season=self.season,
        )
        if problem:
            raise ValueError(problem)
        return self

    @model_validator(mode="after")
    def _objective_fits_the_kind(self) -> Self:
        misfit = self.objective.misfit(brought(self.kind, self.quantiles or ())) if self.objective else ""
        if misfit:
            raise ValueError(misfit)
        return self


class ModelAbout(About):
    """What people should know of the model; it goes to the report card."""

    intended_use: str = ""
    """What it is for, and for whom."""
    limits: str = ""
    """What it is not for; where it fails."""
    owner: str = ""
    """Who answers for it."""


class ModelSpec(FileSpec):
    """The model file: what the model is."""

    seed: Seed | None = None
    """Makes the initial weights repeatable without touching torch's global generator."""
    data: str | None = None
    """A data file that gives shapes and classes, so that they need not be written twice."""
    inputs: dict[InputName, InputSpec] = {}
    """Shapes of the fields that nodes read, of texts' masks, and of `field.present`; may be left out where the data is
    known."""
    nodes: Annotated[dict[Name, NodeSpec], Field(min_length=1)]
    """The modules by name."""
    tasks: dict[Name, TaskSpec] = {}
    """What is predicted, by name."""
    objectives: dict[Name, ObjectiveSpec] = {}
    """What is minimised beside the tasks, by name."""
    about: ModelAbout = ModelAbout()
    """For the report card."""
