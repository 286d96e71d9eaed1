"""Change, export, verify, measure, judge, bundle."""

from __future__ import annotations

import copy
import logging
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from jumpml.core import DeploymentError, DeploymentRecord, NonFiniteLossError
from jumpml.deploy._bundle import check_place, write_bundle
from jumpml.deploy._changes import Base, Unchanged
from jumpml.deploy._deployment import Deployment
from jumpml.deploy._exportable import Exportable
from jumpml.deploy._extra import require_onnx
from jumpml.deploy._measure import Original, measure_variant
from jumpml.evaluate import predict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jumpml.core import Trainer
    from jumpml.deploy._changes import Change, Made
    from jumpml.deploy._gate import Gate
    from jumpml.deploy._measure import Measured
    from jumpml.evaluate import EvalResults
    from jumpml.graph import Model

ORIGINAL = "float32"
_LOG = logging.getLogger("jumpml")


def deploy(
    results: EvalResults,
    model: Model,
    *,
    changes: Mapping[str, Change],
    gate: Gate | None,
    folder: Path,
    bundle: str,
    trainer: Trainer,
) -> Deployment:
    """Make the variants of a model, run each in ONNX Runtime on all test rows, and bundle those that hold.

    A variant whose training gives NaN or infinite values has failed: the record says so, and the others are made.

    Args:
        results: The model's evaluation: says what is measured, on which data.
        model: It stays as it is; copies are changed.
        changes: What to make beside the unchanged ``float32``, by name.
        gate: What a variant must hold to be bundled; all are where None.
        folder: Where the bundle's path starts.
        bundle: The folder to write. An older bundle there is replaced.
        trainer: Trains copies, where a change asks for it.

    Raises:
        MissingExtraError: ``jumpml[deploy]`` is not installed.
        DeploymentError: A variant cannot be made or does not compute what it should, or the bundle not be written.
    """
    require_onnx()
    place = folder / bundle
    check_place(place)
    if not model.tasks:
        raise DeploymentError(
            "the model has no tasks: there is no prediction to deploy. Name one under the key `tasks`."
        )
    originals = predict(results.loaders, model, "test")
    with tempfile.TemporaryDirectory(prefix="jumpml-") as workshop:
        base = Base(
            model=copy.deepcopy(model).cpu().eval(),
            file=Path(workshop) / f"{ORIGINAL}.onnx",
            loaders=results.loaders,
            trainer=trainer,
        )
        original = Original(Exportable(base.model, base.loaders), originals)
        measured: dict[str, Measured] = {}
        failed: dict[str, str] = {}
        for name, change in {ORIGINAL: Unchanged(), **changes}.items():
            file = Path(workshop) / f"{name}.onnx"
            try:
                made = _make(name, change, base, file)
            except NonFiniteLossError as error:  # the model itself is as good as it was
                failed[name] = str(error)
                _LOG.warning("Variant %r failed and is left out: %s", name, error)
                continue
            measured[name] = measure_variant(made, file, original, results, None if name == ORIGINAL else gate)
        kept = {name: variant for name, variant in measured.items() if variant.record.bundled}
        write_bundle(place, model.tasks, results.loaders, kept)
    record = DeploymentRecord(
        bundle=bundle,
        rows=len(results.loaders.test.rows),
        variants={name: variant.record for name, variant in measured.items()},
        failed=failed,
    )
    return Deployment(record, place)


def _make(name: str, change: Change, base: Base, file: Path) -> Made:
    try:
        return change.make(name, base, file)
    except DeploymentError as error:
        raise DeploymentError(f"variant {name!r}: {error}") from error
