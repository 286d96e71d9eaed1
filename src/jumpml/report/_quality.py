"""The section on how good the model is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jumpml.core import TASK_KINDS
from jumpml.drawing import STYLES, Line
from jumpml.report import _pixels as pixels
from jumpml.report import _texts as texts
from jumpml.report import _words as words
from jumpml.report._blocks import Block, Chart, Charts, Gallery, Heading, Image, Section, Table, Text, Tile
from jumpml.report._charts import confusion_chart, curve_chart, reliability_chart

if TYPE_CHECKING:
    from jumpml.core import Calibration, Curve, EvaluationRecord, TaskEvaluation

_CLASSES = 24  # a larger confusion picture cannot be read
_PAIRS = 8  # mistakes that are listed
_LABELS = 40  # a longer table of labels is not read to its end


def quality_section(evaluation: EvaluationRecord) -> Section:
    """Each task's figures, mistakes, calibration and curves."""
    blocks: list[Block] = []
    for name, task in evaluation.tasks.items():
        blocks += [Heading(f"Task {words.name(name)}"), *_task(words.name(name), task)]
    return Section("quality", "How good it is", tuple(blocks) or (Text("No task was evaluated.", "note"),))


def _task(name: str, task: TaskEvaluation) -> list[Block]:
    blocks: list[Block] = [Text(_rows(task)), figures_table(task)]
    charts: list[Chart] = []
    if measured := bool(task.confusion and any(map(any, task.confusion))):
        charts.append(_confusion(name, task))
    if task.calibration:
        charts.append(_reliability(name, task.calibration, _pooled(task)))
    charts.extend(_curves(name, words.name(title), curves) for title, curves in task.curves.items() if curves)
    if charts:
        blocks.append(Charts(tuple(charts)))
    if task.maps:
        blocks.append(_maps(task))
    blocks += [*texts.labelled(task), *texts.continued(task)]
    if task.reconstructions:
        blocks.append(_reconstructions(task))
    if task.labels:
        blocks.append(_labels(task))
    return [*blocks, *_mistakes(task)] if measured else blocks


def _rows(task: TaskEvaluation) -> str:
    nouns = ("label", "labels") if task.labels else ("class", "classes")
    of = f" of {words.plural(len(task.classes), *nouns)}" if task.classes else ""
    missing = f" {words.plural(task.missing, 'row')} without a target left out." if task.missing else ""
    kind, target, rows = (
        words.name(task.kind.replace("_", " ")),
        words.name(task.target),
        words.plural(task.rows, "row"),
    )
    article = "An" if kind[0] in "aeiou" else "A"
    at = f" with {words.plural(task.positions, _noun(task))} of a known class" if task.positions else ""
    return f"{article} {kind} task on the field {target}{of}, over {rows}{at}.{missing}"


def _noun(task: TaskEvaluation) -> str:
    """What is decided one by one."""
    kind = TASK_KINDS.get(task.kind)
    return {"pixels": "pixel", "tokens": "token"}.get(kind.at if kind else "row", "row")


def figures_table(task: TaskEvaluation) -> Table:
    """A row a metric, with its interval."""
    better = {True: "higher", False: "lower", None: "\N{EN DASH}"}
    rows = tuple(
        (
            words.metric(key),
            words.figure(figure),
            words.interval(figure),
            words.count(figure.n),
            better[task.higher_is_better.get(key)],
        )
        for key, figure in task.figures.items()
    )
    return Table(
        "Figures with their 95% intervals", ("metric", "value", "95% interval", "rows", "better"), rows, "lrrrl"
    )


def _confusion(name: str, task: TaskEvaluation) -> Chart:
    counts, classes = task.confusion or (), _classes(task)
    reading = "True classes down, predicted across; the shade is the share of the true class."
    kept = list(range(len(counts)))
    if len(kept) > _CLASSES:
        wrong = [sum(counts[i]) + sum(row[i] for row in counts) - 2 * counts[i][i] for i in kept]
        kept = sorted(sorted(kept, key=lambda i: -wrong[i])[:_CLASSES])
        reading += f" Of {len(counts)} classes these are the {_CLASSES} with most mistakes; card.json holds all counts."
    shown = [[counts[i][j] for j in kept] for i in kept]
    right, total = sum(counts[i][i] for i in range(len(counts))), sum(map(sum, counts))
    of = f"{words.count(right)} of {words.plural(total, _noun(task))}"
    alt = f"Confusion matrix of the task {name}: {of} on the diagonal."
    return confusion_chart("Confusion", shown, [words.name(classes[i], 18) for i in kept], alt=alt, reading=reading)


def _classes(task: TaskEvaluation) -> tuple[str, ...]:
    """The classes' names; their codes where the record does not name them."""
    number = len(task.confusion or ())
    return task.classes if len(task.classes) == number else tuple(map(str, range(number)))


def _mistakes(task: TaskEvaluation) -> list[Block]:
    counts = task.confusion or ()
    pairs = [(n, i, j) for i, row in enumerate(counts) for j, n in enumerate(row) if n and i != j]
    if not pairs:
        return [Text(f"No {_noun(task)} was mistaken.")]
    names = _classes(task)
    pairs.sort(key=lambda pair: (-pair[0], pair[1], pair[2]))
    rows = tuple(
        (words.name(names[i]), words.name(names[j]), words.count(n), f"{n / sum(counts[i]):.1%}")
        for n, i, j in pairs[:_PAIRS]
    )
    head = ("true", "predicted", f"{_noun(task)}s", "of its class")
    return [Table("The most frequent mistakes", head, rows, "llrr")]


def _labels(task: TaskEvaluation) -> Table:
    """How each label is found, the most frequent first."""
    named = zip(task.classes, task.labels, strict=True)
    shown = sorted(named, key=lambda pair: -pair[1].right - pair[1].missed)[:_LABELS]
    caption = (
        "Each label, the most frequent first: found is the share of its rows that were given it, right the share of "
    )
    caption += "the rows that were given it and have it"
    if len(task.labels) > _LABELS:
        caption += f"; {words.count(len(task.labels) - _LABELS)} rarer ones are in card.json"
    rows = tuple(
        (
            words.name(name),
            words.count(n.right + n.missed),
            words.count(n.right + n.wrong),
            _share(n.right, n.right + n.missed),
            _share(n.right, n.right + n.wrong),
            _share(2 * n.right, 2 * n.right + n.missed + n.wrong),
        )
        for name, n in shown
    )
    return Table(caption, ("label", "rows with it", "rows given it", "found", "right", "F1"), rows, "lrrrrr")


def _maps(task: TaskEvaluation) -> Gallery:
    tiles = tuple(
        Tile(
            (
                Image(pixels.gray(pair.true), f"Row {pair.row}: the true classes"),
                Image(pixels.gray(pair.decided), f"Row {pair.row}: the decided classes"),
            ),
            f"Row {pair.row}",
            (f"{pair.right:.1%} of pixels right",),
        )
        for pair in task.maps
    )
    reading = f"The truth is on the left. From black to white: {words.listing([words.name(n) for n in task.classes])}."
    return Gallery("True and decided classes, the worst pictures first", tiles, reading)


def _reconstructions(task: TaskEvaluation) -> Gallery:
    """Pictures beside what the model makes of them."""
    tiles = tuple(
        Tile(
            (
                Image(pixels.gray(pair.original), f"Row {pair.row} as it is"),
                Image(pixels.gray(pair.reconstruction), f"Row {pair.row} as it is reconstructed"),
            ),
            f"Row {pair.row}",
            (f"mean squared error {words.number(pair.error, 3)}",),
        )
        for pair in task.reconstructions
    )
    return Gallery("Pictures and their reconstructions, the worst first", tiles, "The original is on the left.")


def _share(part: int, whole: int) -> str:
    return words.number(part / whole, 3) if whole else "\N{EN DASH}"


def _pooled(task: TaskEvaluation) -> str:
    """What of a row is an answer, where it has several."""
    if task.labels:
        return "label's yes or no"
    return f"{_noun(task)}'s class" if task.positions else ""


def _calibration(calibration: Calibration, pooled: str) -> str:
    error, low, high = (words.number(x, 3) for x in (calibration.error, calibration.null_low, calibration.null_high))
    text = f"Every {pooled} is an answer here, as if those of one row were independent. " if pooled else ""
    text += (
        f"Stated confidence and share of right answers differ by {error} on average. Of models that are perfectly "
        f"calibrated and just as confident, 95% would show between {low} and {high} on so many answers, by chance alone"
    )
    if calibration.error <= calibration.null_high:
        return f"{text}: no miscalibration is shown."
    gap = sum(
        n * (c - a) for c, a, n in zip(calibration.confidence, calibration.accuracy, calibration.count, strict=True)
    )
    return f"{text}: the model is {'overconfident' if gap > 0 else 'underconfident'}."


def _reliability(name: str, calibration: Calibration, pooled: str) -> Chart:
    alt = (
        f"Reliability diagram of the task {name}, {words.plural(len(calibration.count), 'bin')}; "
        f"mean distance from the diagonal {words.number(calibration.error, 3)}."
    )
    reading = "The dashed diagonal is a model that knows itself; larger dots hold more answers."
    note = _calibration(calibration, pooled)
    return reliability_chart("Reliability", calibration, alt=alt, note=note, reading=reading)


def _curves(name: str, title: str, curves: tuple[Curve, ...]) -> Chart:
    crowd = len(curves) > len(STYLES)
    lines = [
        Line(
            curve.x, curve.y, None if crowd else style, words.name(curve.label, 28) if curve.label and not crowd else ""
        )
        for style, curve in enumerate(curves)
    ]
    labels = [words.name(curve.label) for curve in curves if curve.label]
    several = f", one line each for {words.listing(labels)}" if labels else ""
    x_label, y_label = words.name(curves[0].x_label, 44), words.name(curves[0].y_label, 36)
    alt = f"{title} of the task {name}: {y_label} against {x_label}{several}."
    shown = f"{title}, {len(curves)} lines" if crowd else title
    return curve_chart(shown, lines, alt=alt, x_label=x_label, y_label=y_label)
