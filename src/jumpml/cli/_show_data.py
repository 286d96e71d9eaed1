"""``jumpml show data``."""

# No `from __future__ import annotations` in the modules of commands: typer reads the annotations while it runs.

import base64
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from jumpml.cli._files import name_of, spec_file

CHUNK = 4096  # of one message to kitty, as its protocol has it


def show_data(
    data: Annotated[
        Path,
        typer.Argument(metavar="DATA", help="The data file, or the folder that holds one; `.` for the current one."),
    ],
    view: Annotated[
        str | None,
        typer.Option(
            "--view",
            metavar="NAME",
            help="Only this view; `augment` for what is done to the plain fields. All if left out.",
        ),
    ] = None,
    rows: Annotated[int, typer.Option("--rows", metavar="N", min=1, max=50, help="How many examples.")] = 4,
    out: Annotated[Path | None, typer.Option("--out", metavar="PNG", help="Write the picture to this file.")] = None,
) -> None:
    """Show what augmentation does to the data.

    Draws a picture with a row for each of the first train rows: as it is, and then five times as `augment` or a view
    draws it. Images are shown as such, recordings and series as lines, spectrograms as heat, texts as words; a label
    that is mixed stands below with its shares. Look at it before you train: a digit that is turned too far, or a
    recording that is cut short, is seen at once.

    A terminal that can show pictures (kitty, Ghostty, iTerm2, WezTerm) shows it in place. Elsewhere it is written to a
    file, whose path is printed: NAME.augment.png in the current folder, unless --out says otherwise.

    \b
    Examples:
      jumpml show data examples/digits
      jumpml show data digits.data.yaml --view strong --rows 8 --out strong.png
    """
    from jumpml import create_dataloader
    from jumpml.core import write_file
    from jumpml.data import draw_examples

    path = spec_file(data, "data")
    picture = draw_examples(create_dataloader(path), view, rows=rows)
    protocol = picture_protocol(os.environ) if sys.stdout.isatty() else None
    if protocol is not None:
        sys.stdout.write({"kitty": for_kitty, "iterm2": for_iterm2}[protocol](picture) + "\n")
    if out is not None or protocol is None:
        out = out or Path(f"{name_of(path)}.augment.png")
        write_file(out, picture)
        typer.echo(f"wrote {out}")


def picture_protocol(environment: Mapping[str, str]) -> str | None:
    """How the terminal takes pictures, ``kitty`` or ``iterm2``; None where it takes none, or nobody knows."""
    term, program = environment.get("TERM", ""), environment.get("TERM_PROGRAM", "")
    if term.startswith(("screen", "tmux")):  # they do not hand such messages on
        return None
    if term in {"xterm-kitty", "xterm-ghostty"} or program == "ghostty" or "KITTY_WINDOW_ID" in environment:
        return "kitty"
    if program in {"iTerm.app", "WezTerm"} or environment.get("LC_TERMINAL") == "iTerm2":
        return "iterm2"
    return None


def for_kitty(picture: bytes) -> str:
    """A PNG as kitty's graphics protocol has it (https://sw.kovidgoyal.net/kitty/graphics-protocol)."""
    text = base64.b64encode(picture).decode()
    chunks = [text[start : start + CHUNK] for start in range(0, len(text), CHUNK)]
    heads = ["a=T,f=100,", *[""] * (len(chunks) - 1)]
    more = [*[1] * (len(chunks) - 1), 0]
    return "".join(f"\x1b_G{h}m={m};{chunk}\x1b\\" for h, m, chunk in zip(heads, more, chunks, strict=True))


def for_iterm2(picture: bytes) -> str:
    """A PNG as iTerm2's inline images have it (https://iterm2.com/documentation-images.html)."""
    return f"\x1b]1337;File=inline=1;size={len(picture)}:{base64.b64encode(picture).decode()}\a"
