"""Tasks that decide at positions, from files alone to the bundle's answers.

Pictures and texts are real; their labels are derived:

- segmentation: scikit-learn's digits, four on a canvas; the mask is derived: a digit's class where its ink is.
- token labelling: lines of tiny Shakespeare in small letters; the labels are derived: how each word was written.
- language modelling: tiny Shakespeare as it stands, in windows of 64 letters, its end for the test.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

import jumpml
from jumpml.core import DataError, GraphError, LearnerError, SpecError
from jumpml.deploy import Predictor

DATA = Path(os.environ.get("JUMPML_DATA", Path(__file__).parents[3] / "shared" / "data"))
SHAKESPEARE = DATA / "tiny_shakespeare" / "input.txt"
LETTERS = 60_000  # of it, so that the test is quick

needs_shakespeare = pytest.mark.skipif(not SHAKESPEARE.is_file(), reason="tiny Shakespeare is not beside the checkout")


def run(folder: Path, data: dict[str, Any], model: dict[str, Any], epochs: int, deploy: dict[str, Any]) -> Any:
    """Train, evaluate, diagnose, deploy and report, from files."""
    for name, content in {"data": data, "model": model}.items():
        (folder / f"a.{name}.yaml").write_text(json.dumps(content))
    options = {"phases": {"supervised": {"epochs": epochs}}, "optimizer": {"kind": "adam", "lr": 0.01}, "log": []}
    loaders = jumpml.create_dataloader(folder / "a.data.yaml")
    learner = jumpml.create_learner(
        loaders, jumpml.load_model(folder / "a.model.yaml", loaders, seed=0), options=options, run=folder / "run"
    )
    learner.fit()
    results = jumpml.eval_model(loaders, learner.model)
    diagnosis = jumpml.diagnose(loaders, learner.model, learner.history)
    deployment = jumpml.deploy_model(results, learner.model, {"bundle": "bundle", **deploy}, folder=folder)
    card = jumpml.report_card(results, diagnosis, deployment)
    return loaders, learner, results, diagnosis, deployment, card


# --- segmentation -----------------------------------------------------------------------------------------------------


def canvases(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Pictures of four digits, and a mask: 0 where there is no ink, 1 for digits below five, 2 for the others."""
    images, labels = load_digits(return_X_y=True)
    images = images.reshape(-1, 8, 8)
    chosen = np.random.default_rng(0).integers(0, len(images), (count, 2, 2))
    pictures = images[chosen].transpose(0, 1, 3, 2, 4).reshape(count, 16, 16)
    classes = np.kron(1 + (labels[chosen] >= 5), np.ones((8, 8), dtype=np.int64))
    mask = np.where(pictures > 4, classes, 0)
    mask[:, 0, 0] = 255  # not known
    return pictures.astype(np.float32), mask.astype(np.int64)


SEGMENTER: dict[str, Any] = {
    "nodes": {
        "body": {
            "layers": [
                {
                    "module": "torch.nn.Conv2d",
                    "args": {"in_channels": 1, "out_channels": 24, "kernel_size": 7, "padding": 3},
                },
                "torch.nn.ReLU",
                {
                    "module": "torch.nn.Conv2d",
                    "args": {"in_channels": 24, "out_channels": 24, "kernel_size": 7, "padding": 3},
                },
                "torch.nn.ReLU",
            ],
            "inputs": "image",
        },
        "map": {"module": "jumpml.blocks.PixelHead", "inputs": "body"},
    },
    "tasks": {"parts": {"kind": "segmentation", "output": "map", "target": "mask"}},
}


HALF = {"module": "torch.nn.MaxPool2d", "inputs": "body", "args": {"kernel_size": 2}}
THREE = {"module": "torch.nn.LazyLinear", "args": {"out_features": 3}}
FLAT = {"layers": ["torch.nn.Flatten", THREE], "inputs": "body"}


def test_a_class_at_each_pixel(tmp_path: Path) -> None:
    pictures, masks = canvases(240)
    np.savez(tmp_path / "digits.npz", image=pictures, mask=masks)
    data = {
        "datasets": {
            "canvases": {
                "source": {"kind": "npz", "path": "digits.npz"},
                "fields": {
                    "image": {"kind": "image", "shape": [1, 16, 16], "range": [0, 16]},
                    "mask": {"kind": "mask", "shape": [16, 16], "classes": ["none", "low", "high"], "ignore": 255},
                },
            }
        },
        "batch_size": 16,
    }
    loaders, learner, results, diagnosis, deployment, card = run(
        tmp_path,
        data,
        SEGMENTER,
        15,
        {"gate": {"metric": "parts/mean_iou", "max_drop": 0.1}, "variants": {"int8": {"quantize": {}}}},
    )
    known = np.bincount(masks[masks != 255]) / (masks != 255).sum()
    blind_to_shape = (
        known[0] + known[1:].max()
    )  # whoever sees where ink is, and calls all of it the commoner class: .803
    assert results["parts/pixel_accuracy"].low > blind_to_shape
    assert results["parts/mean_iou"].low < results["parts/mean_iou"].value < results["parts/mean_iou"].high
    record = results.record.tasks["parts"]
    assert record.positions == record.rows * (16 * 16 - 1)
    assert record.confusion is not None
    assert sum(map(sum, record.confusion)) == record.positions
    assert {part.field for part in diagnosis.record.attributions} == {"image"}
    assert diagnosis.record.attributions[0].convergence < 0.1
    assert "%" in diagnosis.record.hard_examples[0].target
    predictor = Predictor(tmp_path / "bundle")
    predictor.check_golden()
    rows = loaders.raw("test", [0, 1])
    answers = [answer["parts"] for answer in predictor.predict(rows)]
    learner.model.eval()
    with torch.no_grad():
        logits = learner.model({"image": loaders.test.decoded("image")[:2]})["parts"]
    assert np.array(answers[0]["prediction"]).shape == (16, 16)
    assert [answer["prediction"] for answer in answers] == logits.argmax(1).tolist()
    assert answers[0]["classes"] == ["none", "low", "high"]
    assert sum(answers[0]["share"].values()) == pytest.approx(1)
    assert answers[0]["confidence"] == pytest.approx(logits[0].softmax(0).amax(0).mean().item(), abs=1e-4)
    figures = deployment.record.variants["float32"].figures
    assert figures["parts/mean_iou"].value == pytest.approx(results["parts/mean_iou"].value, abs=1e-3)
    assert "mean IoU" in card.markdown
    assert len(record.maps) == 6
    assert record.maps[0].right <= record.maps[-1].right
    assert np.isnan(record.maps[0].true[0][0])  # what is not known
    assert set(np.unique(record.maps[0].decided)) <= {0.0, 0.5, 1.0}
    assert "True and decided classes, the worst pictures first" in card.html
    assert "pixels of a known class" in card.markdown
    assert learner.history.examples["parts"].margin.shape == (15, len(loaders.train.rows))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            {"nodes.map": {"module": "jumpml.blocks.PixelHead", "inputs": "body", "args": {"out_channels": 4}}},
            "the output 'map' is [batch, 4, 16, 16] float32, for 4 classes, and the target 'mask' has 3 classes.",
        ),
        (
            {"nodes.map": {"module": "jumpml.blocks.Head", "inputs": "body"}},
            "'map' is [batch, 24, 16, 3] float32, for 24 classes",
        ),
        (
            {
                "nodes.map.inputs": "half",
                "nodes.half": {"module": "torch.nn.MaxPool2d", "inputs": "body", "args": {"kernel_size": 2}},
            },
            "decides at each position of its target, which is [batch, 16, 16] int64, and 'map' is [batch, 3, 8, 8]",
        ),
        (
            {
                "nodes.map": {
                    "layers": ["torch.nn.Flatten", {"module": "torch.nn.LazyLinear", "args": {"out_features": 3}}],
                    "inputs": "body",
                }
            },
            "a segmentation task needs an output [batch, classes, height, width], and 'map' is [batch, 3] float32.",
        ),
        (
            {"tasks.parts.target": "image"},
            "a segmentation task needs a target of kind mask, and 'image' is of kind image.",
        ),
    ],
)
def test_a_model_that_does_not_fit_its_mask_is_refused(tmp_path: Path, change: dict[str, Any], text: str) -> None:
    pictures, masks = canvases(30)
    np.savez(tmp_path / "digits.npz", image=pictures, mask=np.where(masks == 255, 0, masks))
    data = {
        "datasets": {
            "canvases": {
                "source": {"kind": "npz", "path": str(tmp_path / "digits.npz")},
                "fields": {
                    "image": {"kind": "image", "shape": [1, 16, 16], "range": [0, 16]},
                    "mask": {"kind": "mask", "shape": [16, 16], "classes": ["none", "low", "high"]},
                },
            }
        }
    }
    model = json.loads(json.dumps(SEGMENTER))
    for path, value in change.items():
        *parents, last = path.split(".")
        place = model
        for key in parents:
            place = place[key]
        place[last] = value
    with pytest.raises((GraphError, SpecError)) as error:
        jumpml.load_model(model, jumpml.create_dataloader(data))
    assert text in str(error.value)


# --- token labelling --------------------------------------------------------------------------------------------------


def written(words: list[str]) -> list[str]:
    """How each word was written: derived labels."""
    return ["upper" if w.isupper() and len(w) > 1 else "title" if w[0].isupper() else "lower" for w in words]


def lines_of_shakespeare() -> list[dict[str, Any]]:
    texts = dict.fromkeys(SHAKESPEARE.read_text()[:LETTERS].split("\n"))
    parts = [re.findall(r"\w+|[^\w\s]", line) for line in texts]
    return [{"line": " ".join(words).lower(), "case": written(words)} for words in parts if len(words) > 1]


TAGGER: dict[str, Any] = {
    "nodes": {
        "vectors": {"module": "jumpml.blocks.Embedding", "inputs": "line", "args": {"width": 16}},
        "both": {
            "module": "torch.nn.GRU",
            "inputs": "vectors",
            "args": {"input_size": 16, "hidden_size": 16, "batch_first": True, "bidirectional": True},
        },
        "tags": {"module": "jumpml.blocks.Head", "inputs": "both.0"},
    },
    "tasks": {"case": {"kind": "token_labelling", "output": "tags", "target": "case"}},
}


def labelled(path: str, **options: Any) -> dict[str, Any]:
    return {
        "datasets": {
            "lines": {
                "source": {"kind": "csv" if path.endswith("csv") else "json", "path": path},
                "fields": {
                    "line": {"kind": "text", "tokenizer": {"kind": "words", "size": 800}, "length": 12},
                    "case": {"kind": "token_labels", "text": "line"},
                },
                **options,
            }
        },
        "batch_size": 32,
    }


@needs_shakespeare
def test_a_class_at_each_token(tmp_path: Path) -> None:
    rows = lines_of_shakespeare()
    (tmp_path / "lines.jsonl").write_text("\n".join(map(json.dumps, rows)))
    data = {**labelled("lines.jsonl", split={"duplicates": "together"}), "bucket": "line"}
    loaders, _, results, diagnosis, _, card = run(tmp_path, data, TAGGER, 4, {})
    widths = {batch["line"].shape[1] for batch in loaders.train}
    assert len(widths) > 1  # texts are cut, and labels with them
    assert all(batch["line"].shape == batch["case"].shape for batch in loaders.train)
    counts = Counter(label for row in rows for label in row["case"])
    assert results["case/token_accuracy"].value > counts["lower"] / counts.total() + 0.1
    assert results["case/macro_f1"].value > 0.5
    notes = " ".join(diagnosis.record.notes)
    assert "case: 'line' is a whole number to the model; it has no attribution and is held fixed." in notes
    predictor = Predictor(tmp_path / "bundle")
    predictor.check_golden()
    answer, nothing = (row["case"] for row in predictor.predict([{"line": "speak, speak. you are"}, {"line": ""}]))
    assert answer["tokens"] == ["speak", ",", "speak", ".", "you", "are"]
    assert len(answer["prediction"]) == len(answer["probability"]) == 6
    assert set(answer["prediction"]) <= {"upper", "title", "lower"}
    assert nothing["prediction"] == []
    assert "token accuracy" in card.markdown
    record = results.record.tasks["case"]
    assert sum(record.calibration.count) == record.positions
    assert len(record.texts) == 6
    assert record.texts[0].right <= record.texts[-1].right == 1
    for text in record.texts:
        words = rows[text.row]["line"].split()[:12]
        assert (list(text.tokens), [record.classes[code] for code in text.true]) == (words, rows[text.row]["case"][:12])
    assert "Labelled rows, the worst first" in card.html


def test_labels_in_a_table_are_read_between_spaces(tmp_path: Path) -> None:
    lines = ["line,case", *(f"word {number} end,A B {'A' if number % 2 else 'B'}" for number in range(30))]
    (tmp_path / "lines.csv").write_text("\n".join(lines))
    data = labelled(str(tmp_path / "lines.csv"))
    loaders = jumpml.create_dataloader(data)
    assert loaders.fields["case"].classes == ("A", "B")
    codes = loaders.train.decoded("case")
    assert codes.shape == (len(loaders.train.rows), 12)
    assert codes[:, :2].tolist() == [[0, 1]] * len(codes)
    assert (codes[:, 3:] == -1).all()
    assert loaders.raw("train", [0])[0]["case"] in (["A", "B", "A"], ["A", "B", "B"])


def test_rows_with_more_or_fewer_labels_than_tokens_are_told(tmp_path: Path) -> None:
    lines = ["line,case", *(f"word {number} end,A B B" for number in range(30)), "a word too many,A B"]
    (tmp_path / "lines.csv").write_text("\n".join(lines))
    with pytest.raises(DataError) as error:
        jumpml.create_dataloader(labelled(str(tmp_path / "lines.csv")))
    assert str(error.value) == (
        "data set 'lines', field 'case', row 30 (line 32 of lines.csv): expected a label for each of the 4 tokens of "
        "'line', got 2."
    )
    loaders = jumpml.create_dataloader(labelled(str(tmp_path / "lines.csv"), on_error="skip"))
    assert loaders.fields["case"].notes == (
        "1 rows have more or fewer labels than tokens; these labels are not known (on_error: skip).",
    )


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ({"text": "lines"}, "there is no field 'lines'. Did you mean 'line'?"),
        ({"text": "case"}, "expected a text field, got 'case', a token_labels."),
        ({"classes": ["A", "A"]}, "the class 'A' stands twice."),
    ],
)
def test_labels_of_no_text_are_refused(field: dict[str, Any], text: str, tmp_path: Path) -> None:
    (tmp_path / "lines.csv").write_text("line,case\n" + "\n".join(f"a {number},A B" for number in range(30)))
    data = labelled(str(tmp_path / "lines.csv"))
    data["datasets"]["lines"]["fields"]["case"] |= field
    with pytest.raises(SpecError) as error:
        jumpml.create_dataloader(data)
    assert text in str(error.value)


def test_pieces_of_words_have_no_labels(tmp_path: Path) -> None:
    (tmp_path / "lines.csv").write_text("line,case\n" + "\n".join(f"a {number},A B" for number in range(30)))
    data = labelled(str(tmp_path / "lines.csv"))
    data["datasets"]["lines"]["fields"]["line"]["tokenizer"] = {"kind": "bpe", "size": 40}
    with pytest.raises(SpecError) as error:
        jumpml.create_dataloader(data)
    assert (
        "the tokenizer of 'line' is of kind bpe, whose tokens nobody labels. Its kind must be words or characters."
        in str(error.value)
    )


# --- language modelling -----------------------------------------------------------------------------------------------


def windows(path: str) -> dict[str, Any]:
    return {
        "datasets": {
            "plays": {
                "source": {"kind": "text", "path": path, "unit": 64},
                "fields": {"text": {"kind": "text", "tokenizer": {"kind": "characters"}, "length": 64}},
                "split": {"time": "position"},
            }
        },
        "batch_size": 32,
    }


def language_model(width: int) -> dict[str, Any]:
    gru = {"input_size": width, "hidden_size": width, "batch_first": True}
    return {
        "nodes": {
            "vectors": {"module": "jumpml.blocks.Embedding", "inputs": "text", "args": {"width": width}},
            "past": {"module": "torch.nn.GRU", "inputs": "vectors", "args": gru},
            "next": {"module": "jumpml.blocks.Head", "inputs": "past.0"},
        },
        "tasks": {"next": {"kind": "language_modelling", "output": "next", "target": "text"}},
    }


@pytest.mark.slow
@needs_shakespeare
def test_the_next_token_at_each(tmp_path: Path) -> None:
    text = SHAKESPEARE.read_text()[:LETTERS]
    (tmp_path / "plays.txt").write_text(text)
    (tmp_path / "small.model.yaml").write_text(json.dumps(language_model(12)))
    lessons = {"into": str(tmp_path / "small.model.yaml"), "epochs": 8, "lr": 0.03}
    distilled = {"variants": {"small": {"distill": lessons}}}
    loaders, _, results, _, deployment, card = run(tmp_path, windows("plays.txt"), language_model(32), 4, distilled)
    rows = [loaders.train.rows, loaders.val.rows, loaders.test.rows]
    assert rows[0].max() < rows[1].min() <= rows[1].max() < rows[2].min()  # no test text stands in train
    counts = Counter(text[: 64 * len(rows[0])])
    unigram = -sum(math.log((counts[letter] + 1) / (counts.total() + 66)) for letter in text[-64 * len(rows[2]) :]) / (
        64 * len(rows[2])
    )
    assert results["next/log_loss"].value < unigram - 0.5  # 3.3 nats a letter for the table of letters alone
    assert results["next/perplexity"].value == pytest.approx(math.exp(results["next/log_loss"].value))
    assert results["next/bits_per_token"].value == pytest.approx(results["next/log_loss"].value / math.log(2))
    small = deployment.record.variants["small"]
    assert small.figures["next/log_loss"].value < unigram
    predictor = Predictor(tmp_path / "bundle")
    predictor.check_golden()
    (answer,) = (row["next"] for row in predictor.predict([{"text": "First Citizen:\nSpea"}]))
    assert len(answer["tokens"]) == len(answer["log_likelihood"]) + 1 == 19
    assert answer["prediction"] == max(answer["probability"], key=answer["probability"].get)
    assert len(answer["probability"]) == 10
    assert all(value < 0 for value in answer["log_likelihood"])
    assert "Perplexity" in card.markdown
    record = results.record.tasks["next"]
    assert sum(record.calibration.count) == record.positions
    (line,) = record.curves["loss along the text"]
    assert line.y[0] > np.mean(line.y[-32:])  # the first letter after one is told from that one alone
    assert [len(part.drawn) for part in record.continuations] == [32] * 3
    assert all(part.start + part.true in text for part in record.continuations)
    assert "How a few texts go on" in card.html


def test_a_text_goes_on_as_the_model_says_whatever_stands_there_in_truth(tmp_path: Path) -> None:
    """A model that has seen one alphabet over and over goes on with it, also where the truth turns round."""
    letters = "abcdefghijklmnop"
    texts = [letters] * 60 + [letters[:8] + letters[:7:-1]] * 20
    (tmp_path / "a.txt").write_text("\n".join(texts))
    data = windows(str(tmp_path / "a.txt"))
    data["datasets"]["plays"] |= {"split": {"duplicates": "allow", "time": "position"}}
    data["datasets"]["plays"]["source"]["unit"] = "line"
    data["datasets"]["plays"]["fields"]["text"]["length"] = 16
    loaders = jumpml.create_dataloader(data)
    model = jumpml.load_model(language_model(16), loaders, seed=0)
    options = {"phases": {"supervised": {"epochs": 40}}, "optimizer": {"kind": "adam", "lr": 0.03}, "log": []}
    jumpml.create_learner(loaders, model, options=options, run=tmp_path / "run").fit()
    (first, *_) = jumpml.eval_model(loaders, model).record.tasks["next"].continuations
    assert (first.start, first.true, first.drawn) == (letters[:8], letters[:7:-1], letters[8:])


def test_a_text_of_one_token_has_no_next_one(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("abcdefgh" * 40)
    data = windows(str(tmp_path / "a.txt"))
    data["datasets"]["plays"]["split"]["duplicates"] = "allow"
    data["datasets"]["plays"]["fields"]["text"]["length"] = 1
    with pytest.raises((GraphError, SpecError)) as error:
        jumpml.load_model(language_model(4), jumpml.create_dataloader(data))
    assert "a language_modelling task needs texts of two tokens or more, and 'text' has a length of 1." in str(
        error.value
    )


def test_nodes_cannot_read_what_comes_next(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("".join(f"{number} " for number in range(1000)))
    model = language_model(4)
    model["nodes"]["vectors"]["inputs"] = "text.next"
    with pytest.raises((GraphError, SpecError), match=r"reads 'text\.next', but 'text' is a field"):
        jumpml.load_model(model, jumpml.create_dataloader(windows(str(tmp_path / "a.txt"))))


def test_a_text_that_is_cut_in_batches_may_be_modelled(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("\n".join("ab" * (1 + number % 9) for number in range(80)))
    data = windows(str(tmp_path / "a.txt"))
    data["datasets"]["plays"] |= {"split": {"duplicates": "allow"}}
    data["datasets"]["plays"]["source"]["unit"] = "line"
    data["bucket"] = "text"
    loaders = jumpml.create_dataloader(data)
    model = jumpml.load_model(language_model(4), loaders, seed=0)
    options = {"phases": {"supervised": {"epochs": 1}}, "log": []}
    learner = jumpml.create_learner(loaders, model, options=options, run=tmp_path / "run")
    learner.fit()
    assert set(learner.history.epochs[0].losses) == {"next", "total"}
    flat = language_model(4)
    flat["nodes"]["next"] = {
        "layers": ["torch.nn.Flatten", {"module": "torch.nn.LazyLinear", "args": {"out_features": 8}}],
        "inputs": "past.0",
    }
    flat["tasks"] = {}
    flat["objectives"] = {"small": {"kind": "l2", "inputs": "next"}}
    with pytest.raises(LearnerError, match="`bucket` cuts"):
        jumpml.create_learner(loaders, jumpml.load_model(flat, loaders, seed=0), options=options, run=tmp_path / "two")
