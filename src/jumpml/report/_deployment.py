"""The section on what was exported, verified and bundled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jumpml.report import _words as words
from jumpml.report._blocks import Block, Cell, Chart, Charts, Details, Items, Mark, Section, Table, Text
from jumpml.report._charts import interval_chart

if TYPE_CHECKING:
    from jumpml.core import DeploymentRecord, GateAnswer, VariantRecord
    from jumpml.report._blocks import Tone

_TONES: dict[str, Tone] = {"pass": "good", "refuse": "bad", "undecided": "unsure"}


def deployment_section(deployment: DeploymentRecord | None) -> Section:
    """The variants, what they cost and lose, and what the gate said."""
    key, title = "deployment", "Deployment"
    if deployment is None:
        return Section(
            key,
            title,
            (
                Text(
                    "Not deployed: jumpml.deploy_model(results, model, config) exports, verifies and bundles it.",
                    "note",
                ),
            ),
        )
    blocks: list[Block] = [
        Text(
            f"Every variant ran in ONNX Runtime on the same {words.plural(deployment.rows, 'test row')}. "
            f"The bundle is {words.name(deployment.bundle, 120)}."
        ),
        _variants(deployment),
    ]
    if reasons := _reasons(deployment):
        blocks.append(Items(reasons))
    if gated := {name: v.gate for name, v in deployment.variants.items() if v.gate}:
        blocks.append(Charts((_drops(gated),)))
    blocks.append(Details("All figures by variant", (_figures(deployment),)))
    return Section(key, title, tuple(blocks))


def _variants(deployment: DeploymentRecord) -> Table:
    head = ("variant", "change", "size", "parameters", "time a row", "largest difference", "gate", "bundled")
    rows = tuple(
        (
            words.name(name),
            words.prose(variant.change),
            words.size(variant.bytes),
            words.count(variant.parameters),
            f"{words.number(variant.milliseconds, 3)} ms",
            words.number(variant.max_difference, 2),
            _answer(variant.gate),
            Mark("yes", "good") if variant.bundled else Mark("no", "bad"),
        )
        for name, variant in deployment.variants.items()
    )
    caption = "Variants; the time is the median for one row on one thread, the difference that of the raw outputs"
    return Table(caption, head, rows, "llrrrrll")


def _answer(gate: GateAnswer | None) -> Cell:
    return Mark(words.name(gate.answer), _TONES.get(gate.answer, "unsure")) if gate else "\N{EN DASH}"


def _reasons(deployment: DeploymentRecord) -> tuple[str, ...]:
    lines = []
    for name, variant in deployment.variants.items():
        said = [variant.gate.reason] if variant.gate else []
        text = " ".join(words.sentences([*said, *variant.notes]))
        if not variant.bundled and not text:
            text = "Not bundled."
        if text:
            lines.append(f"{words.name(name)}: {text}")
    failed = deployment.failed.items()
    return (*lines, *(f"{words.name(name)} failed: {' '.join(words.sentences([why]))}" for name, why in failed))


def _drops(gates: dict[str, GateAnswer]) -> Chart:
    first = next(iter(gates.values()))
    labels = [words.name(name, 28) for name in gates]
    spans = [(gate.drop.low, gate.drop.value, gate.drop.high) for gate in gates.values()]
    metric = words.name(first.metric)
    parts = [
        f"{label} {words.number(value, 3)}, {words.interval(gate.drop)}"
        for label, (_, value, _), gate in zip(labels, spans, gates.values(), strict=True)
    ]
    alt = f"Drop of {metric} with its interval, at most {words.number(first.max_drop)} allowed: {'; '.join(parts)}."
    reading = "Left of the dashed line a variant holds what was asked, right of it not; across it the rows are too few."
    return interval_chart(
        f"Drop of {metric}",
        labels,
        spans,
        limit=first.max_drop,
        alt=alt,
        x_label="worse than the original by",
        reading=reading,
    )


def _figures(deployment: DeploymentRecord) -> Table:
    keys = list(dict.fromkeys(key for variant in deployment.variants.values() for key in variant.figures))
    rows = tuple(
        (words.name(name), *(_figure(variant, key) for key in keys)) for name, variant in deployment.variants.items()
    )
    caption = "Figures from the ONNX files, with 95% intervals"
    return Table(caption, ("variant", *map(words.metric, keys)), rows, "l" + "r" * len(keys))


def _figure(variant: VariantRecord, key: str) -> str:
    figure = variant.figures.get(key)
    return words.with_interval(figure) if figure else "\N{EN DASH}"
