"""Where JumpML keeps what it can make again."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def cache_folder() -> Path:
    """The folder that the environment variable ``JUMPML_CACHE`` names, else ``jumpml`` in the user's cache folder."""
    named = os.environ.get("JUMPML_CACHE")
    if named:
        return Path(named)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "jumpml"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "jumpml"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "jumpml"
