"""Models of transformers, of sentences and of timm. What is not installed is stood in for by a small module."""

from __future__ import annotations

import json
import os
import sys
import types
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn

from jumpml.core import MissingExtraError, PretrainedError
from jumpml.pretrained import SentenceModel, TimmModel, TransformersModel

if TYPE_CHECKING:
    from pathlib import Path

TOKENS = torch.tensor([[2, 3, 4, 0], [5, 6, 7, 8]])


class FakeTransformer(nn.Module):
    """Token ids, or pictures, to the vectors of a table; it tells how it was loaded."""

    def __init__(self, padding: int | None = 0) -> None:
        super().__init__()
        self.config = types.SimpleNamespace(pad_token_id=padding)
        self.table = nn.Embedding.from_pretrained(torch.arange(30.0).reshape(10, 3))

    def forward(self, input_ids: Tensor | None = None, attention_mask: Tensor | None = None, **other: Tensor) -> Any:
        if input_ids is not None and attention_mask is not None:
            hidden = self.table(input_ids) + 0 * attention_mask.unsqueeze(-1)
        elif "pixel_values" in other:
            hidden = other["pixel_values"]
        else:
            hidden = other["input_values"].unsqueeze(-1)
        return types.SimpleNamespace(last_hidden_state=hidden)


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """How `transformers`, which is stood in for, was asked for models."""
    calls: list[dict[str, Any]] = []

    def from_pretrained(name: str, **how: Any) -> nn.Module:
        forced = os.environ.get("TORCH_FORCE_WEIGHTS_ONLY_LOAD")
        calls.append({"name": name, "forced": forced, **how})
        if name.endswith("nothing"):
            raise OSError(f"We couldn't connect to the hub to load {name}.\nCheck your internet connection.")
        return FakeTransformer()

    auto = types.SimpleNamespace(from_pretrained=from_pretrained)
    monkeypatch.setitem(sys.modules, "transformers", types.SimpleNamespace(AutoModel=auto))  # type: ignore[arg-type]
    none = types.SimpleNamespace(cached_file=lambda *_, **__: None)
    monkeypatch.setitem(sys.modules, "transformers.utils", none)  # type: ignore[arg-type]
    return calls


def folder_of(path: Path, pooling: dict[str, Any], *kinds: str) -> str:
    """A folder as `sentence-transformers` writes it."""
    (path / "1_Pooling").mkdir(parents=True)
    kinds = kinds or ("Transformer", "Pooling", "Normalize")
    parts = [{"path": "1_Pooling" if "Pool" in kind else "", "type": f"a.models.{kind}"} for kind in kinds]
    (path / "modules.json").write_text(json.dumps(parts))
    (path / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    vocabulary = {f"t{number}": number for number in range(9)}
    added = [{"id": 9, "content": "[MASK]"}]
    (path / "tokenizer.json").write_text(json.dumps({"model": {"vocab": vocabulary}, "added_tokens": added}))
    return str(path)


# --- transformers -----------------------------------------------------------------------------------------------------


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    text = r"^a pretrained model of the hub needs the package 'transformers', .* pip install 'jumpml\[hub\]'$"
    with pytest.raises(MissingExtraError, match=text):
        TransformersModel("any/name")


def test_only_weights_are_read(loaded: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TORCH_FORCE_WEIGHTS_ONLY_LOAD", raising=False)
    TransformersModel("any/name")
    how = {"use_safetensors": True, "trust_remote_code": False, "attn_implementation": "eager", "forced": "1"}
    assert loaded == [{"name": "any/name", **how}]
    assert "TORCH_FORCE_WEIGHTS_ONLY_LOAD" not in os.environ
    monkeypatch.setenv("TORCH_FORCE_WEIGHTS_ONLY_LOAD", "0")
    TransformersModel("any/name")
    assert os.environ["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] == "0"


@pytest.mark.usefixtures("loaded")
def test_the_mean_is_over_what_is_no_padding() -> None:
    table = torch.arange(30.0).reshape(10, 3)
    model = TransformersModel("any/name")
    torch.testing.assert_close(model(TOKENS)[0], table[2:5].mean(0))
    mask = torch.tensor([[True, True, False, False], [True] * 4])
    torch.testing.assert_close(model(TOKENS, mask)[0], table[2:4].mean(0))
    assert TransformersModel("any/name", pool=False)(TOKENS).equal(table[TOKENS])


@pytest.mark.usefixtures("loaded")
def test_pictures_are_brought_to_the_mean_that_the_model_knows(tmp_path: Path) -> None:
    told = {"image_mean": [0.5, 0.5, 0.0], "image_std": [0.5, 0.25, 1.0]}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(told))
    pictures = torch.full((2, 3, 4, 5), 0.75)
    found = TransformersModel(str(tmp_path))(pictures)
    torch.testing.assert_close(found, torch.tensor([[0.5, 1.0, 0.75]]).expand(2, 3))
    assert TransformersModel(str(tmp_path), pool=False)(pictures).shape == (2, 20, 3)
    assert TransformersModel("any/name")(pictures).equal(pictures.mean((2, 3)))
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({**told, "do_normalize": False}))
    assert TransformersModel(str(tmp_path))(pictures).equal(pictures.mean((2, 3)))
    (tmp_path / "preprocessor_config.json").write_text("{")
    with pytest.raises(PretrainedError, match=r"preprocessor_config\.json is no JSON: "):
        TransformersModel(str(tmp_path))


@pytest.mark.usefixtures("loaded")
def test_what_cannot_be_loaded_is_told(tmp_path: Path) -> None:
    text = (
        r"^transformers cannot load 'any/nothing': We couldn't connect to the hub to load any/nothing\. A name is "
        r"looked for on the Hugging Face hub; a folder is written with \./ before it\.$"
    )
    with pytest.raises(PretrainedError, match=text):
        TransformersModel("any/nothing")
    with pytest.raises(PretrainedError, match=r"There is no folder .*nothing\.$"):
        TransformersModel(str(tmp_path / "nothing"))


@pytest.mark.filterwarnings("ignore")  # transformers' own
def test_a_real_model_from_a_folder(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    config = transformers.BertConfig(vocab_size=20, **sizes)
    torch.manual_seed(0)
    transformers.BertModel(config).save_pretrained(tmp_path / "bert")
    model = TransformersModel(str(tmp_path / "bert")).eval()
    out = model(TOKENS)
    assert out.shape == (2, 8)
    torch.testing.assert_close(out[:1], model(TOKENS[:1, :3]), rtol=1e-4, atol=1e-5)  # padding changes nothing
    config.pad_token_id = 1  # RoBERTa's
    transformers.BertModel(config).save_pretrained(tmp_path / "other")
    other = TransformersModel(str(tmp_path / "other")).eval()
    padded = other(torch.tensor([[2, 3, 4, 1]]))
    torch.testing.assert_close(padded, other(torch.tensor([[2, 3, 4]])), rtol=1e-4, atol=1e-5)
    with pytest.raises(PretrainedError, match="transformers cannot load"):
        TransformersModel(str(tmp_path / "nothing"))


@pytest.mark.filterwarnings("ignore")  # transformers' own
def test_a_name_without_a_network_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("transformers")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(
        PretrainedError, match=r"^transformers cannot load 'nobody/has-this': .* on the Hugging Face hub;"
    ):
        TransformersModel("nobody/has-this")


# --- sentences --------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("loaded")
@pytest.mark.parametrize("newer", [False, True])
@pytest.mark.parametrize("pool", ["mean", "cls", "max"])
def test_sentences_are_pooled_as_the_folder_says(tmp_path: Path, pool: str, newer: bool) -> None:
    modes = {"mean": "mean_tokens", "cls": "cls_token", "max": "max_tokens"}
    older = {f"pooling_mode_{name}": kind == pool for kind, name in modes.items()}
    told = {"pooling_mode": pool} if newer else {"word_embedding_dimension": 3, **older}
    model = SentenceModel(folder_of(tmp_path / "m", told, "Transformer", "Pooling"))
    table = torch.arange(30.0).reshape(10, 3)
    expected = {"mean": table[2:5].mean(0), "cls": table[2], "max": table[4]}[pool]
    torch.testing.assert_close(model(TOKENS)[0], expected)
    unit = SentenceModel(folder_of(tmp_path / "n", told))
    torch.testing.assert_close(unit(TOKENS)[0], expected / expected.norm())
    assert unit.vocabulary == (*(f"t{number}" for number in range(9)), "[MASK]")
    mask = torch.tensor([[True, False, False, False], [True] * 4])
    torch.testing.assert_close(model(TOKENS, mask)[0], table[2])


@pytest.mark.usefixtures("loaded")
def test_other_parts_of_a_model_of_sentences_are_refused(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    text = r"plain has no modules\.json, as a model of sentences has\. Take `transformers` for it\.$"
    with pytest.raises(PretrainedError, match=text):
        SentenceModel(str(tmp_path / "plain"))
    dense = folder_of(tmp_path / "dense", {}, "Transformer", "Pooling", "Dense")
    text = r"a Transformer, a Pooling and perhaps a Normalize; got Transformer, Pooling, Dense\.$"
    with pytest.raises(PretrainedError, match=text):
        SentenceModel(dense)
    for pooling, got in (
        ({"pooling_mode_mean_sqrt_len_tokens": True}, "pooling_mode_mean_sqrt_len_tokens"),
        ({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True}, "mean, cls"),
        ({}, "nothing"),
    ):
        folder = folder_of(tmp_path / f"{len(got)} letters", pooling)
        with pytest.raises(PretrainedError, match=rf"expected to pool by mean or cls or max; got {got}\.$"):
            SentenceModel(folder)


# --- timm -------------------------------------------------------------------------------------------------------------


class FakeTimm(types.SimpleNamespace):
    """Knows one model, and remembers how it was asked for it."""

    asked: dict[str, Any]

    def create_model(self, name: str, **how: Any) -> nn.Module:
        self.asked = {"name": name, "forced": os.environ.get("TORCH_FORCE_WEIGHTS_ONLY_LOAD"), **how}
        if name != "small":
            raise RuntimeError(f"Unknown model ({name})")
        model = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        model.pretrained_cfg = {"mean": (0.5, 0.0, 0.0), "std": (0.5, 1.0, 1.0)}  # type: ignore[assignment]
        return model


def test_a_model_of_timm(monkeypatch: pytest.MonkeyPatch) -> None:
    timm = FakeTimm()
    monkeypatch.setitem(sys.modules, "timm", timm)  # type: ignore[arg-type]
    model = TimmModel("small", {"in_chans": 3})
    assert timm.asked == {"name": "small", "pretrained": True, "num_classes": 0, "in_chans": 3, "forced": "1"}
    torch.testing.assert_close(model(torch.full((2, 3, 4, 4), 1.0)), torch.ones(2, 3))
    TimmModel("small", {"pretrained": False})
    assert timm.asked["pretrained"] is False
    text = r"^timm cannot make 'smal': RuntimeError: Unknown model \(smal\)\. `timm\.list_models\(\)` lists what there"
    with pytest.raises(PretrainedError, match=text):
        TimmModel("smal")
    with pytest.raises(
        PretrainedError, match=r"^timm's checkpoint_path would read a file on a way of its own\. Use `weights`"
    ):
        TimmModel("small", {"checkpoint_path": "w.pth"})


def test_timm_that_does_not_work_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    text = (
        r"^`timm` cannot be imported \(ModuleNotFoundError: .*\)\. No extra of JumpML brings it, since it needs a "
        r"torchvision that fits your torch: pip install timm torchvision\.$"
    )
    with pytest.raises(PretrainedError, match=text):
        TimmModel("small")
