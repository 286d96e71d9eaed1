"""Records of a run on scikit-learn's digits: real rows, real mistakes of a quick classifier, the rest made by hand."""

from __future__ import annotations

from collections import Counter
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from jumpml.core import (
    SPECS,
    AttributedExample,
    Attribution,
    Calibration,
    Curve,
    DeploymentRecord,
    DiagnosisRecord,
    EpochRecord,
    EvaluationRecord,
    Figure,
    GateAnswer,
    GraphRecord,
    HardExample,
    ObjectiveNote,
    OutOfDomain,
    RunRecord,
    TaskEvaluation,
    TaskNote,
    VariantRecord,
    load_spec,
)

if TYPE_CHECKING:
    from collections.abc import Callable

CLASSES = tuple("0123456789")
EXAMPLE = Path(__file__).parents[2] / "examples" / "digits"


def grid(array: Any) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(float(x) for x in row) for row in np.atleast_2d(array))


@pytest.fixture(scope="session")
def digits() -> dict[str, Any]:
    """Pictures in [0, 1], labels, and a Gaussian naive Bayes classifier's probabilities on the last 270 rows."""
    from sklearn.datasets import load_digits
    from sklearn.naive_bayes import GaussianNB

    x, y = load_digits(return_X_y=True)
    x = x / 16
    model = GaussianNB(var_smoothing=0.05).fit(x[:1527], y[:1527])
    return {"x": x, "y": y, "p": model.predict_proba(x[1527:]), "means": model.theta_}


@pytest.fixture(scope="session")
def evaluation(digits: dict[str, Any]) -> EvaluationRecord:
    truth, p = digits["y"][1527:], digits["p"]
    decided = p.argmax(1)
    confusion = np.zeros((10, 10), int)
    np.add.at(confusion, (truth, decided), 1)
    accuracy = float((truth == decided).mean())
    task = TaskEvaluation(
        kind="multiclass",
        target="label",
        rows=len(truth),
        missing=0,
        classes=CLASSES,
        figures={
            "accuracy": Figure(value=accuracy, low=accuracy - 0.04, high=accuracy + 0.035, n=len(truth)),
            "macro_f1": Figure(value=0.8821, low=0.8421, high=0.9152, n=len(truth)),
            "auroc": Figure(value=0.9874, low=0.9801, high=0.9932, n=len(truth)),
            "log_loss": Figure(value=0.4213, low=0.3511, high=0.5012, n=len(truth)),
            "mean_distance": Figure(value=0.41, low=0.28, high=0.55, n=len(truth)),
        },
        higher_is_better={"accuracy": True, "macro_f1": True, "auroc": True, "log_loss": False, "mean_distance": None},
        confusion=grid_of_counts(confusion),
        calibration=calibration(p.max(1), truth == decided),
        curves={"Receiver operating characteristic": roc(truth, p)},
    )
    return EvaluationRecord(split="test", tasks={"digit": task}, averaged_weights=True)


def grid_of_counts(array: Any) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(int(x) for x in row) for row in array)


def calibration(confidence: Any, right: Any) -> Calibration:
    edges = np.linspace(0, 1, 11)
    bins = [(confidence > low) & (confidence <= high) for low, high in pairwise(edges)]
    bins = [chosen for chosen in bins if chosen.any()]
    c, a = [float(confidence[b].mean()) for b in bins], [float(right[b].mean()) for b in bins]
    n = [int(b.sum()) for b in bins]
    error = sum(k * abs(x - y) for k, x, y in zip(n, c, a, strict=True)) / sum(n)
    return Calibration(
        error=error, null_low=0.011, null_high=0.034, confidence=tuple(c), accuracy=tuple(a), count=tuple(n)
    )


def roc(truth: Any, p: Any) -> tuple[Curve, ...]:
    from sklearn.metrics import roc_curve

    curves = []
    for code, name in enumerate(CLASSES):
        x, y, _ = roc_curve(truth == code, p[:, code])
        labels = {"x_label": "false positive rate", "y_label": "true positive rate", "label": name}
        curves.append(Curve(x=tuple(map(float, x)), y=tuple(map(float, y)), **labels))
    return tuple(curves)


@pytest.fixture(scope="session")
def diagnosis(digits: dict[str, Any]) -> DiagnosisRecord:
    x, y, means = digits["x"], digits["y"], digits["means"]
    weights = means - means.mean(0)
    examples = []
    for row, guess in zip(range(1527, 1538), digits["p"].argmax(1), strict=False):
        share = x[row] * weights[guess]
        shown = {"value": grid(x[row].reshape(8, 8)), "attribution": grid(share.reshape(8, 8))}
        examples.append(AttributedExample(row=row, target=str(y[row]), predicted=str(guess), **shown))
    attribution = Attribution(
        task="digit",
        field="image",
        kind="image",
        mean_absolute=grid(np.abs(weights).mean(0).reshape(8, 8)),
        examples=tuple(examples),
        insertion=Figure(value=0.812, low=0.795, high=0.829, n=256),
        random_insertion=Figure(value=0.561, low=0.541, high=0.581, n=256),
        deletion=Figure(value=0.214, low=0.199, high=0.229, n=256),
        random_deletion=Figure(value=0.522, low=0.501, high=0.543, n=256),
        convergence=0.0031,
    )
    hard = [
        HardExample(
            task="digit",
            row=40 * i + 7,
            target=str(y[40 * i + 7]),
            suggestion=str((y[40 * i + 7] + 5) % 10) if i % 4 != 3 else "",
            margin=-4.2 + 0.31 * i,
            loss=3.1 - 0.1 * i,
            suspicious=i < 3,
            picture=grid(x[40 * i + 7].reshape(8, 8)),
        )
        for i in range(20)
    ]
    foreign = [
        OutOfDomain(
            method=method,
            node="encoder",
            threshold=threshold,
            test_above=Figure(value=0.0556, low=0.0341, high=0.0894, n=270),
            auroc={
                "noise": Figure(value=0.9991, low=0.998, high=1.0, n=540),
                "shuffled_pixels": Figure(value=0.942, low=0.921, high=0.961, n=540),
                "inverted": Figure(value=0.987, low=0.978, high=0.994, n=540),
            },
        )
        for method, threshold in (("mahalanobis", 12.41), ("knn", 0.2231))
    ]
    return DiagnosisRecord(
        attributions=(attribution,),
        hard_examples=tuple(hard),
        out_of_domain=tuple(foreign),
        warnings=("digit: the training loss still fell by 8% over the last 3 epochs. Train for longer.",),
        notes=("Attributions were computed on 256 test rows, drawn with seed 0.",),
    )


@pytest.fixture(scope="session")
def deployment() -> DeploymentRecord:
    def variant(change: str, size: int, accuracy: float, gate: GateAnswer | None, **more: Any) -> VariantRecord:
        figures = {
            "digit/accuracy": Figure(value=accuracy, low=accuracy - 0.02, high=accuracy + 0.01, n=270),
            "digit/log_loss": Figure(value=0.07, low=0.05, high=0.1, n=270),
        }
        return VariantRecord(change=change, bytes=size, figures=figures, gate=gate, **more)

    def gate(answer: str, low: float, drop: float, high: float, reason: str) -> GateAnswer:
        figure = Figure(value=drop, low=low, high=high, n=270)
        return GateAnswer(answer=answer, metric="digit/accuracy", max_drop=0.025, drop=figure, reason=reason)

    return DeploymentRecord(
        bundle="bundles/digits",
        rows=270,
        failed={"wild": "fine-tuning wild: the weights became non-finite by the update of step 20."},
        variants={
            "float32": variant(
                "unchanged",
                81_400,
                0.985,
                None,
                parameters=19_466,
                milliseconds=0.081,
                max_difference=2.1e-6,
                bundled=True,
            ),
            "int8": variant(
                "static int8, calibrated on 512 train rows",
                27_300,
                0.981,
                gate("pass", -0.004, 0.0037, 0.0148, "the drop is at most 0.0148, within 0.025"),
                parameters=19_466,
                milliseconds=0.064,
                max_difference=0.31,
                bundled=True,
            ),
            "slim": variant(
                "linear layers at half rank, tuned for 2 epochs",
                79_900,
                0.963,
                gate("undecided", 0.0, 0.022, 0.041, "270 rows cannot tell whether the drop is within 0.025"),
                parameters=18_902,
                milliseconds=0.083,
                max_difference=1.4,
                bundled=False,
                notes=("Only 1 of 3 layers got smaller.",),
            ),
            "student": variant(
                "distilled into small.model.yaml",
                9_200,
                0.912,
                gate("refuse", 0.041, 0.073, 0.105, "the drop is at least 0.041, more than 0.025"),
                parameters=1_730,
                milliseconds=0.032,
                max_difference=9.2,
                bundled=False,
            ),
        },
    )


@pytest.fixture(scope="session")
def epochs() -> tuple[EpochRecord, ...]:
    rng = np.random.default_rng(0)
    records = []
    for e in range(1, 6):
        loss = 28 * float(np.exp(-e / 4)) + 8 + float(rng.normal(0, 0.3))
        losses = {"total": loss, "views_agree": loss}
        records.append(EpochRecord(phase="self_supervised", epoch=e, step=20 * e, losses=losses, lr=0.01, seconds=0.61))
    for e in range(1, 21):
        digit = 1.9 * float(np.exp(-e / 3)) + 0.05 + abs(float(rng.normal(0, 0.01)))
        small = 0.42 + 0.01 * e
        records.append(
            EpochRecord(
                phase="supervised",
                epoch=e,
                step=100 + 20 * e,
                losses={"total": digit + 1e-4 * small, "digit": digit, "small_code": small},
                val={"digit/accuracy": 0.985 - 0.5 * float(np.exp(-e / 3)), "loss": 1.7 * float(np.exp(-e / 3)) + 0.09},
                lr=0.05 * (1 + float(np.cos(np.pi * (e - 1) / 20))),
                seconds=0.42,
            )
        )
    return tuple(records)


@pytest.fixture(scope="session")
def run() -> RunRecord:
    specs = {
        kind: load_spec(SPECS[kind], EXAMPLE / f"digits.{kind}.yaml").model_dump(mode="json")
        for kind in ("data", "model", "learner", "deploy")
    }
    return RunRecord(
        name="digits",
        created="2026-01-31T12:00:00Z",
        specs=specs,
        environment={"jumpml": "0.1.0", "torch": "2.13.0", "python": "3.11.2", "machine": "x86_64, 2 cores, no GPU"},
        data={
            "name": "digits",
            "batch_size": 64,
            "rows": {"train": 1257, "val": 270, "test": 270},
            "fields": {
                "image": {"kind": "image", "shape": [1, 8, 8], "missing": 0, "classes": [], "range": [0, 16]},
                "label": {"kind": "category", "shape": [], "missing": 0, "classes": list(CLASSES), "range": None},
            },
            "features": {"image": ["standardize"], "label": []},
            "findings": ["2 val rows also stand in train, such as row 812 (train row 44)"],
        },
        graph=GraphRecord(
            inputs={"image": "[batch, 1, 8, 8] float32"},
            nodes=(
                {
                    "node": "encoder",
                    "module": "jumpml.blocks.ConvEncoder",
                    "inputs": ["image"],
                    "shape": "[batch, 64] float32",
                    "parameters": 18_816,
                    "flops": 1_204_224,
                    "objectives": {"small_code": ["supervised"]},
                    "shares": None,
                },
                {
                    "node": "digit",
                    "module": "torch.nn.Linear",
                    "inputs": ["encoder"],
                    "shape": "[batch, 10] float32",
                    "parameters": 650,
                    "flops": 1_280,
                    "objectives": {"digit": ["supervised"]},
                    "shares": None,
                },
            ),
            tasks={"digit": TaskNote(kind="multiclass", output="digit", target="label")},
            objectives={
                "digit": ObjectiveNote(kind="CrossEntropy", inputs=("digit", "label"), when=("supervised",)),
                "small_code": ObjectiveNote(kind="L1", inputs=("encoder",), weight="0.0001", when=("supervised",)),
            },
        ),
        command="jumpml run examples/digits --set learner.seed=0",
    )


@pytest.fixture(scope="session")
def records(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Arguments of `report_card` for the whole run."""
    return {name: request.getfixturevalue(name) for name in ("evaluation", "diagnosis", "deployment", "epochs", "run")}


class Parsed(HTMLParser):
    """What a browser would find in a page.

    Attributes:
        tags: Every element with its attributes.
        texts: Every text, with the tag that it stands in.
        problems: Elements that are not closed, or closed out of turn.
    """

    _VOID = frozenset({"meta", "img", "br", "link", "input", "hr"})

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.texts: list[tuple[str, str]] = []
        self.problems: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        self.problems += [f"{tag} is not closed" for tag in self._open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {key: value or "" for key, value in attrs}))
        if tag not in self._VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {key: value or "" for key, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.problems.append(f"{tag} is closed out of turn")

    def handle_data(self, data: str) -> None:
        self.texts.append((self._open[-1] if self._open else "", data))

    def of(self, tag: str) -> list[dict[str, str]]:
        """The attributes of every such element."""
        return [attributes for name, attributes in self.tags if name == tag]

    def text(self, *tags: str) -> str:
        """All text, or that of some elements, on one line."""
        return " ".join(" ".join(data for tag, data in self.texts if not tags or tag in tags).split())


@pytest.fixture(scope="session")
def parse() -> type[Parsed]:
    return Parsed


@pytest.fixture(scope="session")
def faults() -> Callable[[str], list[str]]:
    """What is wrong with a page: for a browser, for who does not see it, and for who must not be called by it."""
    return _faults


def _faults(html: str) -> list[str]:
    page = Parsed(html)
    found = list(page.problems)
    found += [f"<{tag}> is not for a card" for tag in ("script", "iframe", "object", "embed", "form") if page.of(tag)]
    for tag, attributes in page.tags:
        for key, value in attributes.items():
            if key.startswith("on"):
                found.append(f"{tag} handles {key}")
            if key in {"src", "href", "xlink:href", "action", "data", "srcset", "poster"}:
                found += [] if value.startswith(("#", "data:image/png;base64,")) else [f"{tag} asks for {value}"]
            if "url(" in value and "url(#" not in value:
                found.append(f"{tag} asks for {value}")
    style = page.text("style")
    found += [f"the style holds {word}" for word in ("url(", "@import", "@font-face") if word in style]
    identities = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    found += [f"#{identity} stands {n} times" for identity, n in Counter(identities).items() if n > 1]
    links = [attributes["href"][1:] for _, attributes in page.tags if attributes.get("href", "").startswith("#")]
    found += [f"#{link} leads nowhere" for link in links if link not in identities]
    found += ["an image has no text" for image in page.of("img") if not image.get("alt")]
    charts = [chart for chart in page.of("svg") if "aria-hidden" not in chart]
    found += [
        "a drawing has no label" for chart in charts if not (chart.get("aria-label") and chart.get("role") == "img")
    ]
    found += ["a table has no caption"] if len(page.of("table")) != len(page.of("caption")) else []
    levels = [int(tag[1]) for tag, _ in page.tags if tag in {"h1", "h2", "h3", "h4"}]
    found += [f"h{b} follows h{a}" for a, b in pairwise([0, *levels]) if b > a + 1]
    return found
