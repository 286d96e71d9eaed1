"""The bundle: whole or refused, put in its place at once, and what was measured on the way."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import jumpml
from jumpml.core import DeploymentError, DeploymentRecord
from jumpml.deploy import BundleError, Predictor, add_file
from jumpml.deploy._bundle import check_place, write_bundle
from jumpml.deploy._measure import Measured
from jumpml.deploy._rows import golden_rows
from jumpml.deploy._runtime import SealedFiles
from jumpml.evaluate import predict

if TYPE_CHECKING:
    from conftest import Deployed

GET_AGAIN = "Do not use this bundle; get it again from where it came from."


def reseal(bundle: Path, **names: str) -> None:
    """What someone who forges a bundle would do: checksums that fit, under any name."""
    files = {path.name: path.name for path in bundle.iterdir() if path.name != "SHA256SUMS"} | names
    sums = {shown: hashlib.sha256((bundle / real).read_bytes()).hexdigest() for real, shown in files.items()}
    (bundle / "SHA256SUMS").write_text(
        "".join(f"{digest}  {name}\n" for name, digest in sums.items()), encoding="utf-8"
    )


def edit(bundle: Path, name: str, change: Any) -> None:
    value = json.loads((bundle / name).read_text(encoding="utf-8"))
    change(value)
    (bundle / name).write_text(json.dumps(value), encoding="utf-8")


# --- what is in it ----------------------------------------------------------------------------------------------------


def test_every_variant_in_it_predicts_its_golden_rows(digits_deployed: Deployed, table_deployed: Deployed) -> None:
    for deployed, names in ((digits_deployed, ["float32", "int8", "slim"]), (table_deployed, ["float32", "int8"])):
        bundle = deployed.deployment.bundle
        assert list(Predictor(bundle).manifest["variants"]) == names
        assert [Predictor(bundle, name).check_golden() for name in names] == [0.0] * len(names), "the same machine"


def test_the_runtime_predicts_what_torch_predicts(digits_deployed: Deployed, table_deployed: Deployed) -> None:
    for loaders, model, _, deployment in (digits_deployed, table_deployed):
        expected = predict(loaders, model, "test")
        outputs = Predictor(deployment.bundle).outputs(loaders.raw("test", range(len(loaders.test.rows))))
        for task, predictions in expected.items():
            scale = max(1.0, float(predictions.output.abs().max()))
            apart = np.abs(
                outputs[f"{task}.output"].reshape(predictions.output.shape) - predictions.output.numpy()
            ).max()
            assert apart <= 1e-4 * scale, task


def test_int8_holds_the_accuracy_of_the_digits(digits_deployed: Deployed) -> None:
    variants = digits_deployed.deployment.record.variants
    original, int8 = variants["float32"], variants["int8"]
    assert original.figures["digit/accuracy"] == digits_deployed.results["digit/accuracy"]
    assert original.figures["digit/accuracy"].value > 0.95
    assert original.max_difference <= 1e-4
    # The project's own bar for static int8 on the digits.
    assert int8.figures["digit/accuracy"].value >= original.figures["digit/accuracy"].value - 0.025
    assert int8.bytes < original.bytes / 2


def test_what_the_gate_refuses_is_measured_and_left_out(digits_deployed: Deployed) -> None:
    deployment = digits_deployed.deployment
    student = deployment.record.variants["student"]
    assert student.gate is not None
    assert (student.gate.answer, student.bundled) == ("refuse", False)
    assert not (deployment.bundle / "student.onnx").exists()
    drop = (
        deployment.record.variants["float32"].figures["digit/accuracy"].value - student.figures["digit/accuracy"].value
    )
    assert student.gate.drop.value == pytest.approx(drop)
    assert student.gate.reason in deployment.summary()


def test_for_an_error_more_is_worse(table_deployed: Deployed) -> None:
    variants = table_deployed.deployment.record.variants
    gate = variants["int8"].gate
    assert gate is not None
    change = variants["int8"].figures["cost/rmse"].value - variants["float32"].figures["cost/rmse"].value
    assert gate.drop.value == pytest.approx(change, rel=1e-3), "beside torch's figure, not ONNX Runtime's"
    assert gate.drop.low <= gate.drop.value <= gate.drop.high


def test_the_record_survives_json(digits_deployed: Deployed) -> None:
    record = digits_deployed.deployment.record
    assert DeploymentRecord.model_validate_json(record.model_dump_json()) == record
    assert (record.bundle, record.rows) == ("bundles/digits", 270)
    assert record.variants["slim"].parameters < record.variants["float32"].parameters
    assert record.variants["slim"].change == (
        "2 of 2 linear layers with 0.6 of their singular values, then 2 epochs of training"
    )
    assert record.variants["student"].change == (
        "distilled into tiny.model.yaml at temperature 4 by 1 epoch of training"
    )


def test_the_summary_has_a_line_a_variant(digits_deployed: Deployed) -> None:
    lines = repr(digits_deployed.deployment).splitlines()
    assert lines[0].endswith("every variant measured in ONNX Runtime on 270 test rows")
    assert lines[1].split() == [
        "variant",
        "bundled",
        "kB",
        "parameters",
        "ms",
        "a",
        "row",
        "difference",
        "digit/accuracy",
    ]
    assert [line.split()[:2] for line in lines[2:6]] == [
        ["float32", "yes"],
        ["int8", "yes"],
        ["slim", "yes"],
        ["student", "no"],
    ]


def test_the_files_tell_nothing_of_this_machine(digits_deployed: Deployed) -> None:
    places = [str(Path(module.__file__ or "").parent).encode() for module in (torch, jumpml)]
    for path in digits_deployed.deployment.bundle.iterdir():
        assert not any(place in path.read_bytes() for place in places), path.name


def test_the_readme_says_how_to_predict(table_deployed: Deployed) -> None:
    text = (table_deployed.deployment.bundle / "README.md").read_text(encoding="utf-8")
    for line in (
        "- `age`: a number; null where it is missing",
        "- `sex`: one of `female`, `male`; null where it is missing",
        "- `signal`: numbers, [3]",
        "- `cost`: a number, for the field `price`",
        "- `ill`: one of `no`, `yes`, for the field `sick`",
        "- `int8`: int8 weights and activations, calibrated on 40 train rows",
        "python runtime.py rows.json",
    ):
        assert line in text


# --- what is refused --------------------------------------------------------------------------------------------------


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_any_flipped_bit_is_noticed(bundle: Path, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(sorted(bundle.iterdir())))
    content = path.read_bytes()
    at, bit = data.draw(st.integers(0, len(content) - 1)), data.draw(st.integers(0, 7))
    path.write_bytes(content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1 :])
    try:
        with pytest.raises(BundleError):
            Predictor(bundle)
    finally:
        path.write_bytes(content)


def test_any_flipped_bit_of_a_line_end_is_noticed(bundle: Path) -> None:
    path = bundle / "SHA256SUMS"
    content = path.read_bytes()
    for at in (at for at, byte in enumerate(content) if byte == ord("\n")):
        for bit in range(8):
            path.write_bytes(content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1 :])
            with pytest.raises(BundleError):
                SealedFiles(bundle)


def test_a_changed_file_is_named(bundle: Path) -> None:
    with (bundle / "float32.onnx").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(BundleError) as error:
        Predictor(bundle, "int8")
    assert str(error.value) == (
        f"{bundle}: 'float32.onnx' has changed since the bundle was sealed: its SHA-256 checksum is another. "
        f"{GET_AGAIN}"
    )


def test_a_missing_file_is_named(bundle: Path) -> None:
    (bundle / "golden.json").unlink()
    with pytest.raises(BundleError) as error:
        Predictor(bundle)
    assert str(error.value) == f"{bundle}: 'golden.json' cannot be read: No such file or directory. {GET_AGAIN}"


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BundleError) as error:
        Predictor(tmp_path / "digits")
    told = "there is no such folder; a run's bundles lie in its folder bundles/."
    assert str(error.value) == f"{tmp_path / 'digits'}: {told}"


def test_a_folder_that_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleError) as error:
        Predictor(tmp_path)
    assert str(error.value) == f"{tmp_path}: 'SHA256SUMS' cannot be read: No such file or directory. {GET_AGAIN}"


@pytest.mark.parametrize(
    "name", ["../stolen.onnx", "/etc/hostname", "a/../../stolen.onnx", "..\\stolen.onnx", "link.onnx"]
)
def test_no_path_leaves_the_folder(bundle: Path, name: str) -> None:
    (bundle.parent / "stolen.onnx").write_bytes((bundle / "float32.onnx").read_bytes())
    if name == "link.onnx":
        (bundle / name).symlink_to(bundle.parent / "stolen.onnx")
    edit(bundle, "manifest.json", lambda manifest: manifest["variants"]["float32"].update(file=name))
    reseal(bundle, **({} if name == "link.onnx" else {"float32.onnx": name}))
    with pytest.raises(BundleError) as error:
        Predictor(bundle)
    assert str(error.value) == f"{bundle}: {name!r} leads out of the bundle's folder. {GET_AGAIN}"


def test_a_file_that_nobody_sealed_is_not_used(bundle: Path) -> None:
    edit(bundle, "manifest.json", lambda manifest: manifest["variants"]["float32"].update(file="other.onnx"))
    reseal(bundle)
    with pytest.raises(BundleError) as error:
        Predictor(bundle)
    assert str(error.value) == (
        f"{bundle}: 'other.onnx' is used but not listed in SHA256SUMS, so nobody vouches for it. {GET_AGAIN}"
    )


def test_damaged_checksums_are_told(bundle: Path) -> None:
    (bundle / "SHA256SUMS").write_text("zz  manifest.json\n", encoding="utf-8")
    with pytest.raises(BundleError) as error:
        Predictor(bundle)
    assert str(error.value) == (
        f"{bundle}: SHA256SUMS is damaged: expected 'checksum  name' on each line, got 'zz  manifest.json'. {GET_AGAIN}"
    )


def test_another_format_is_told(bundle: Path) -> None:
    edit(bundle, "manifest.json", lambda manifest: manifest.update(format=2))
    reseal(bundle)
    with pytest.raises(BundleError) as error:
        Predictor(bundle)
    assert str(error.value) == f"{bundle}: expected a bundle of format 1, got format 2."


@pytest.mark.parametrize("spoil", ["outputs", "predictions"])
def test_golden_rows_that_do_not_hold_are_told(bundle: Path, spoil: str) -> None:
    def change(golden: dict[str, Any]) -> None:
        expected = golden["variants"]["float32"][spoil]["digit"]
        expected[0] = [value + 0.5 for value in expected[0]] if spoil == "outputs" else "11"

    edit(bundle, "golden.json", change)
    reseal(bundle)
    with pytest.raises(BundleError) as error:
        Predictor(bundle).check_golden()
    apart = "0.5" if spoil == "outputs" else "0"
    assert str(error.value).startswith(
        "the variant 'float32' does not predict 'digit' here as it did where the bundle was made: outputs differ by "
        f"{apart}, where "
    )
    assert "Try another version of ONNX Runtime; the bundle was made with " in str(error.value)


# --- putting it in its place ------------------------------------------------------------------------------------------


def test_a_card_is_sealed_in(bundle: Path) -> None:
    before = (bundle / "manifest.json").read_bytes()
    add_file(bundle, "card.html", "<p>one</p>")
    add_file(bundle, "card.html", "<p>two</p>")
    Predictor(bundle)
    assert (bundle / "card.html").read_text(encoding="utf-8") == "<p>two</p>"
    assert (bundle / "manifest.json").read_bytes() == before
    (bundle / "card.html").write_text("<p>three</p>", encoding="utf-8")
    with pytest.raises(BundleError, match=r"'card\.html' has changed"):
        Predictor(bundle)


@pytest.mark.parametrize("name", ["manifest.json", "float32.onnx", "SHA256SUMS", "../card.html", "a/card.html", ""])
def test_a_card_cannot_replace_a_part(bundle: Path, name: str) -> None:
    with pytest.raises(DeploymentError) as error:
        add_file(bundle, name, "")
    assert str(error.value) == f"{bundle}: expected the name of a new file, such as card.html; got {name!r}."


def test_a_damaged_bundle_is_not_sealed_again(bundle: Path) -> None:
    (bundle / "runtime.py").write_text("", encoding="utf-8")
    with pytest.raises(DeploymentError, match=r"'runtime\.py' has changed since the bundle was sealed"):
        add_file(bundle, "card.html", "")


def test_only_a_bundle_or_nothing_is_replaced(bundle: Path, tmp_path: Path) -> None:
    check_place(tmp_path / "new")
    check_place(bundle)
    (tmp_path / "empty").mkdir()
    check_place(tmp_path / "empty")
    for taken in (tmp_path, bundle / "manifest.json"):
        with pytest.raises(DeploymentError) as error:
            check_place(taken)
        assert str(error.value) == (
            f"{taken} is there already and is no bundle (it holds no manifest.json), so it is not replaced. "
            "Name another folder under the key `bundle`, or remove it."
        )


def test_a_bundle_that_does_not_prove_itself_changes_nothing(
    bundle: Path, digits_deployed: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path.name: path.read_bytes() for path in bundle.iterdir()}

    def doubt(_: Predictor) -> float:
        raise BundleError("it differs.")

    tasks, loaders, variants = (
        digits_deployed.model.tasks,
        digits_deployed.loaders,
        {"float32": measured(digits_deployed)},
    )
    monkeypatch.setattr(Predictor, "check_golden", doubt)
    with pytest.raises(DeploymentError) as error:
        write_bundle(bundle, tasks, loaders, variants)
    assert str(error.value) == "the bundle does not predict what the model predicts: it differs."
    assert {path.name: path.read_bytes() for path in bundle.iterdir()} == before
    assert [path.name for path in bundle.parent.iterdir()] == [bundle.name]
    monkeypatch.undo()
    write_bundle(bundle, tasks, loaders, variants)
    assert sorted(Predictor(bundle).manifest["variants"]) == ["float32"]
    assert [path.name for path in bundle.parent.iterdir()] == [bundle.name]


def test_a_full_disk_is_named_and_the_old_bundle_stays(
    bundle: Path, digits_deployed: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path.name: path.read_bytes() for path in bundle.iterdir()}

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(DeploymentError, match=r"the bundle could not be written to .*No space left on device"):
        write_bundle(
            bundle, digits_deployed.model.tasks, digits_deployed.loaders, {"float32": measured(digits_deployed)}
        )
    monkeypatch.undo()
    assert {path.name: path.read_bytes() for path in bundle.iterdir()} == before
    assert [path.name for path in bundle.parent.iterdir()] == [bundle.name]


def measured(deployed: Deployed) -> Measured:
    """The unchanged variant as it was measured, from the finished bundle."""
    loaders, model, _, deployment = deployed
    return Measured(
        record=deployment.record.variants["float32"],
        file=deployment.bundle / "float32.onnx",
        fields=("image",),
        golden={"digit": predict(loaders, model, "test")["digit"].output.numpy()[golden_rows(len(loaders.test.rows))]},
        tolerance={"digit": 1e-3},
        domains={},
    )
