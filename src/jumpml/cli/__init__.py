"""The shell's face: ``jumpml new``, ``data``, ``check``, ``show``, ``run`` and the other commands."""

from jumpml.cli._app import app, main

__all__ = ["app", "main"]
