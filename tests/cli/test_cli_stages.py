"""What a run says of what it reached."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jumpml._stages import Stages
from jumpml.core import DeploymentRecord, VariantRecord

if TYPE_CHECKING:
    import pytest

ZERO = {"value": 0.03, "low": 0.01, "high": 0.05, "n": 9}


def variant(**said: Any) -> VariantRecord:
    plain = {"change": "unchanged", "bytes": 1, "parameters": 1, "milliseconds": 1.0, "max_difference": 0.0}
    return VariantRecord.model_validate({**plain, "figures": {}, **said})


def test_what_was_not_bundled_is_told_with_its_reason(capsys: pytest.CaptureFixture[str]) -> None:
    gate = {"answer": "refuse", "metric": "digit/accuracy", "max_drop": 0.0, "drop": ZERO, "reason": "it falls."}
    variants = {"float32": variant(bundled=True), "slim": variant(bundled=False, gate=gate)}
    failed = {"small": "a loss became NaN."}
    Stages().bundled(DeploymentRecord(bundle="b", rows=9, variants=variants, failed=failed))
    assert (
        capsys.readouterr().err == "bundled  float32\nleft out  slim: it falls.\nleft out  small: a loss became NaN.\n"
    )
