"""What the tests of the learner share."""

from __future__ import annotations

import pytest
from readings import Readings, counting_readings


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> Readings:
    """A counter of what makes the host wait for the device."""
    return counting_readings(monkeypatch)
