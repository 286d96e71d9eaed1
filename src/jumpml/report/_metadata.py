"""The front matter of a model card on Hugging Face: https://huggingface.co/docs/hub/model-cards."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import yaml

from jumpml.report import _words as words
from jumpml.report._record import decides

if TYPE_CHECKING:
    from jumpml.core import TaskEvaluation
    from jumpml.report._record import CardRecord

# Of https://huggingface.co/docs/hub/repositories-licenses; any other name is given as `other` with a `license_name`.
# fmt: off
_LICENSES = frozenset({
    "afl-3.0", "agpl-3.0", "apache-2.0", "artistic-2.0", "bsd-2-clause", "bsd-3-clause", "bsl-1.0", "cc0-1.0",
    "cc-by-3.0", "cc-by-4.0", "cc-by-nc-4.0", "cc-by-nc-nd-4.0", "cc-by-nc-sa-4.0", "cc-by-nd-4.0", "cc-by-sa-3.0",
    "cc-by-sa-4.0", "epl-2.0", "eupl-1.2", "gpl-2.0", "gpl-3.0", "isc", "lgpl-2.1", "lgpl-3.0", "mit", "mpl-2.0",
    "odbl", "openrail", "other", "osl-3.0", "pddl", "unknown", "unlicense", "zlib",
})
# fmt: on
_METRICS = {
    "macro_f1": "f1",
    "micro_f1": "f1",
    "auroc": "roc_auc",
    "r2": "r_squared",
}  # as https://hf.co/metrics names them


def front_matter(record: CardRecord) -> str:
    """The YAML between two lines of dashes."""
    data = metadata(record)
    return f"---\n{yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=100)}---\n"


def metadata(record: CardRecord) -> dict[str, Any]:
    """Licence, tags, library and results, as `huggingface_hub.ModelCardData` reads them."""
    tags = ["jumpml", "pytorch", *(["onnx"] if record.deployment else [])]
    kinds = sorted({_task_type(record, task) for task in record.evaluation.tasks.values()})
    pipeline = {"pipeline_tag": kinds[0]} if len(kinds) == 1 and kinds[0] in _PIPELINES else {}
    results = [
        result for name, task in record.evaluation.tasks.items() if (result := _result(record, name, task))["metrics"]
    ]
    index = [{"name": words.name(record.run.name) if record.run else "model", "results": results}]
    metrics = list(dict.fromkeys(metric["type"] for result in results for metric in result["metrics"]))
    return {
        **_license(record.about("model", "license")),
        "library_name": "jumpml",
        **pipeline,
        "tags": tags,
        **({"metrics": metrics, "model-index": index} if results else {}),
    }


def _license(given: str) -> dict[str, str]:
    identifier = words.prose(given).lower()
    if not identifier:
        return {}
    if identifier in _LICENSES:
        return {"license": identifier}
    return {"license": "other", "license_name": re.sub(r"[^a-z0-9.]+", "-", identifier).strip("-") or "custom"}


_PIPELINES = (
    "image-classification",
    "audio-classification",
    "text-classification",
    "tabular-classification",
    "tabular-regression",
    "time-series-forecasting",
    "feature-extraction",
    "image-feature-extraction",
    "image-segmentation",
    "token-classification",
    "text-generation",
)
_OWN_TYPES = {
    "forecasting": "time-series-forecasting",
    "segmentation": "image-segmentation",
    "token_labelling": "token-classification",
    "language_modelling": "text-generation",
}


def _task_type(record: CardRecord, task: TaskEvaluation) -> str:
    """The hub's word for a task: what comes in decides as much as what comes out."""
    if task.kind in _OWN_TYPES:
        return _OWN_TYPES[task.kind]
    fields = [
        field
        for dataset in record.spec("data").get("datasets", {}).values()
        for field in dataset.get("fields", {}).items()
    ]
    kinds = {field.get("kind") for name, field in fields if name != task.target}
    what = next((kind for kind in ("image", "audio", "text") if kind in kinds), "tabular")
    if decides(task) == "embedding":
        return "image-feature-extraction" if what == "image" else "feature-extraction"
    return f"{what}-{'regression' if decides(task) == 'numbers' else 'classification'}"


def _result(record: CardRecord, name: str, task: TaskEvaluation) -> dict[str, Any]:
    dataset = next(iter(record.spec("data").get("datasets", {})), "unknown")
    metrics = [
        {"type": _METRICS.get(key, words.prose(key)), "value": figure.value, "name": words.metric(key)}
        for key, figure in task.figures.items()
        if math.isfinite(figure.value)
    ]
    return {
        "task": {"type": _task_type(record, task), "name": words.name(name)},
        "dataset": {
            "name": words.name(dataset),
            "type": re.sub(r"[^A-Za-z0-9._-]+", "-", dataset).strip("-.") or "unknown",
            "split": words.prose(record.evaluation.split),
        },
        "metrics": metrics,
    }
