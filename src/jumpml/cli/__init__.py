"""The shell's face: ``jumpml new``, ``check``, ``run``, ``resume``, ``predict``, ``report`` and ``schema``."""

from jumpml.cli._app import app, main

__all__ = ["app", "main"]
