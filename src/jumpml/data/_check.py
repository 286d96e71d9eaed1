"""What can be found wrong in a data file before a row is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from jumpml.core import FieldInfo, JumpMLError, TextField, TokenLabelsField, did_you_mean
from jumpml.data._steps import augment_steps
from jumpml.data.augment._group import group_problems, names_of, telling_problems
from jumpml.data.features._build import build_feature
from jumpml.data.features._feature_map import steps_problem
from jumpml.data.kinds import KINDS
from jumpml.data.kinds._encoded import EncodedKind
from jumpml.data.kinds._token_labels import TOKENIZERS
from jumpml.data.splits._rules import split_mistakes

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from typing import Any

    from jumpml.core import Dataset, DataSpec, Mistake
    from jumpml.data.features._feature import Feature

IN_FILES = sorted(name for name, kind in KINDS.items() if isinstance(kind, EncodedKind))
KeyPath = tuple[str | int, ...]


@final
class Checker:
    """Collects the mistakes of a data file.

    Args:
        spec: The file.
        trust: Packages beside ``torch.nn`` and ``jumpml`` that feature modules may come from.

    Attributes:
        features: The file's feature steps by field, not fitted yet; without those that cannot be made.
    """

    def __init__(self, spec: DataSpec, trust: Collection[str] = ()) -> None:
        self.mistakes: list[Mistake] = []
        self.features: dict[str, list[Feature]] = {}
        self._trust = trust
        self._spec = spec
        self._fields = {
            name: _planned(name, field) for dataset in spec.datasets.values() for name, field in dataset.fields.items()
        }

    def check(self) -> list[Mistake]:
        """All mistakes that the file itself shows."""
        for name, dataset in self._spec.datasets.items():
            self._check_dataset(("datasets", name), dataset)
        self._check_shared_fields()
        self._check_mix()
        self._check_bucket()
        self._check_storage()
        self._check_features()
        self._check_changes(("augment",), self._spec.augment)
        for view, by_field in self._spec.views.items():
            if not by_field:
                self._add(("views", view), "the view names no field.", "Name the fields that it changes.")
            self._check_changes(("views", view), by_field)
        return self.mistakes

    def _add(self, path: KeyPath, problem: str, fix: str = "") -> None:
        self.mistakes.append(self._spec.mistake(path, problem, fix))

    def _check_dataset(self, path: KeyPath, dataset: Dataset) -> None:
        fields = {name: self._fields[name] for name in dataset.fields}
        for name, field in dataset.fields.items():
            for key, problem, fix in KINDS[field.kind].mistakes(field):
                self._add((*path, "fields", name, *key), problem, fix)
            if isinstance(field, TokenLabelsField):
                self._check_labels((*path, "fields", name, "text"), field, dataset)
        for key, problem, fix in split_mistakes(dataset, fields):
            self._add((*path, "split", *key), problem, fix)
        sample = dataset.sample
        for key, kind in (("balance", "category"), ("weight", "number")):
            name = getattr(sample, key, None)
            if name is not None and name not in fields:
                self._add((*path, "sample", key), f"there is no field {name!r}.", did_you_mean(name, fields))
            elif name is not None and fields[name].kind != kind:
                self._add((*path, "sample", key), f"expected a {kind} field, got {name!r}, a {fields[name].kind}.")

    def _check_labels(self, path: KeyPath, field: TokenLabelsField, dataset: Dataset) -> None:
        """A text of the same data set, each of whose tokens is something that people label."""
        text = dataset.fields.get(field.text)
        if text is None:
            self._add(path, f"there is no field {field.text!r}.", did_you_mean(field.text, dataset.fields))
        elif not isinstance(text, TextField):
            self._add(path, f"expected a text field, got {field.text!r}, a {text.kind}.")
        elif text.tokenizer.kind not in TOKENIZERS:
            problem = f"the tokenizer of {field.text!r} is of kind {text.tokenizer.kind}, whose tokens nobody labels."
            self._add(path, problem, f"Its kind must be {' or '.join(TOKENIZERS)}.")

    def _check_shared_fields(self) -> None:
        """A field of several data sets is one field; what is decoded for all of them together is read in one way."""
        first: dict[str, tuple[str, Any]] = {}
        for name, dataset in self._spec.datasets.items():
            for field, told in dataset.fields.items():
                other, known = first.setdefault(field, (name, told))
                keys = (
                    {"kind"} if told.kind != known.kind or not KINDS[told.kind].learns else {*type(told).model_fields}
                )
                for key in sorted(keys - {"column"}):
                    if getattr(told, key) != getattr(known, key):
                        path = ("datasets", name, "fields", field, key)
                        problem = f"{field!r} is one field, and the data set {other!r} says otherwise."
                        self._add(path, problem, "Make them equal, or give the fields different names.")

    def _check_mix(self) -> None:
        mix, names = self._spec.mix, tuple(self._spec.datasets)
        if mix is None:
            return
        if len(names) == 1:
            self._add(("mix",), "there is one data set only, so that this key would change nothing.", "Leave it out.")
        elif mix.weights is not None and set(mix.weights) != set(names):
            told = f"expected a weight for each of {', '.join(names)}, got {', '.join(mix.weights) or 'none'}."
            self._add(("mix", "weights"), told)

    def _check_bucket(self) -> None:
        name, mix = self._spec.bucket, self._spec.mix
        if name is None or not self._known(("bucket",), name):
            return
        if self._fields[name].kind != "text":
            self._add(("bucket",), f"expected a text field, got {name!r}, a {self._fields[name].kind}.")
        if mix is not None and (mix.by == "round_robin" or mix.batches == "separate"):
            told = "`by: round_robin`" if mix.by == "round_robin" else "`batches: separate`"
            problem = f"batches of rows of similar length cannot keep the data sets apart, as `mix` asks with {told}."
            self._add(("bucket",), problem, "Leave one of the two out.")

    def _check_storage(self) -> None:
        spec = self._spec
        if spec.storage == "source" and not any(info.kind in IN_FILES for info in self._fields.values()):
            self._add(("storage",), f"only fields of kind {' and '.join(IN_FILES)} can stay in their source.")
        if spec.workers and spec.storage != "source":
            fix = "Leave it out, or write `storage: source`."
            self._add(("workers",), f"with `storage: {spec.storage}` nothing is left for them to decode.", fix)

    def _check_features(self) -> None:
        for name, steps in self._spec.features.items():
            made = self.features[name] = []
            for position, step in enumerate(steps):
                try:
                    made.append(build_feature(step, self._spec.folder, self._trust))
                except JumpMLError as error:
                    self._add(("features", name, position), str(error))
            if self._known(("features", name), name) and len(made) == len(steps):
                problem = steps_problem(made, self._fields[name], self._fields)
                if problem:
                    self._add(("features", name, problem[0]), problem[1])

    def _check_changes(self, path: KeyPath, by_field: Mapping[str, tuple[Any, ...]]) -> None:
        changes = {key: augment_steps(steps) for key, steps in by_field.items()}
        for key, steps in changes.items():
            known = [self._known((*path, key), name) for name in names_of(key)]  # all of them are told
            if all(known):
                infos = [self._fields[name] for name in names_of(key)]
                for position, problem in group_problems(steps, infos, telling=path[0] == "views"):
                    self._add((*path, key, position), problem)
        for key, position, problem in telling_problems(changes):
            self._add((*path, key, position), problem)

    def _known(self, path: KeyPath, name: str) -> bool:
        if name not in self._fields:
            self._add(path, f"there is no field {name!r}.", did_you_mean(name, self._fields))
        return name in self._fields


def _planned(name: str, field: Any) -> FieldInfo:
    """What is known of a field from the file alone."""
    return FieldInfo(name=name, kind=field.kind, value=KINDS[field.kind].expected(field))
