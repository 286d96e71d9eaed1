"""What a run says of where it is."""

from __future__ import annotations


class Stages:
    """Tells a terminal which stage a run is in.

    Args:
        silent: Whether nobody watches: of several processes the first one tells.
    """

    def __init__(self, *, silent: bool = False) -> None:
        from rich.console import Console

        self._console = Console(stderr=True, highlight=False, quiet=silent)

    def __call__(self, stage: str, text: str) -> None:
        from rich.markup import escape

        self._console.print(f"[bold]{stage}[/bold]  {escape(text)}", soft_wrap=True)
