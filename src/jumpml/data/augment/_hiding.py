"""Parts of rows that are hidden, for an objective that asks the model what stood there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, final

import torch

from jumpml.core import HIDDEN, WHOLE, axes_of
from jumpml.data.augment._augmentation import Made, Telling, only_for, uniform
from jumpml.data.augment._units import Parts, hidden_parts, parts_of

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from jumpml.core import FieldInfo, ValueInfo

FILLS = ("zero", "mean", "noise", "others", "token")
KINDS = ("audio", "image", "series", "table", "tensor", "text")
SINGLY_MISSING = {"series", "table", "tensor"}  # kinds of whose rows single elements may be missing
MASK_TOKENS = ("[MASK]", "<mask>")  # what tokenizers call the token that stands for a hidden one
MADE_UNKNOWN, MADE_RANDOM = 0.8, 0.1  # BERT's shares of the hidden tokens; the others stay as they are


@final
class Hide(Telling):
    """Hide parts of each row, and tell which, and what stood there.

    It changes what the field's features give. Of a picture it hides squares, of a series stretches, of a spectrogram
    rectangles of frequency and time, of a text tokens, of a table columns with all that tells of them. So many parts of
    each row are hidden as the share says, rounded, but at least one, and at least one is left; of a row of fewer than
    two parts nothing is hidden. What is missing, and what is padding, is never told as hidden.

    With ``token`` BERT's rule holds (Devlin et al. 2019, https://arxiv.org/abs/1810.04805): of the hidden tokens 80%
    become the tokenizer's token for hidden ones, or else the unknown one, 10% another token, and 10% stay.

    Args:
        share: Of the parts, above 0 and below 1.
        patch: The size of a part along each axis that is cut: pixels, steps, or frequencies and times; two numbers
            where the axes differ, and ``all`` for the whole of one.
        fill: What comes in the place of what is hidden: ``zero``; ``mean``, of what is left of the row, a channel on
            its own; ``noise``, normal with deviation 1; ``others``, what another row has there; ``token``. Where
            nothing is said, ``token`` for texts and ``zero`` for all else.

    Example:
        >>> from jumpml.core import FieldInfo, ValueInfo
        >>> from jumpml.data import Made
        >>> row = torch.arange(1.0, 7.0).view(1, 6, 1)
        >>> hide = Hide(0.5, patch=2).suited(FieldInfo(name="s", kind="series", value=ValueInfo(shape=(6, 1))))
        >>> values, told = hide.tell(Made(row, row), torch.Generator().manual_seed(0))
        >>> values.flatten(), told[".hidden"].flatten()
        (tensor([0., 0., 3., 4., 0., 0.]), tensor([ True,  True, False, False,  True,  True]))
    """

    after_features = True
    tells = (HIDDEN, WHOLE)
    name = "hide"
    instead = "To augment, take erase, mask_steps, mask_time, mask_frequency, mask_tokens or swap_noise."

    def __init__(
        self,
        share: float,
        patch: int | tuple[int | str, int | str] = 1,
        fill: str | None = None,
        *,
        kind: str = "tensor",
        tokens: Tokens | None = None,
    ) -> None:
        self.share, self.patch, self.fill = share, patch, fill
        self._kind, self._tokens = kind, tokens
        self._parts: dict[tuple[torch.Size, torch.device], Parts] = {}  # the same for every batch

    def suited(self, field: FieldInfo) -> Self:
        """The same, for the field's kind and its tokenizer."""
        tokens = Tokens.of(field) if field.kind == "text" else None
        return type(self)(self.share, self.patch, self.fill, kind=field.kind, tokens=tokens)

    def problem(self, field: FieldInfo) -> str:
        """Needs something of parts, and a fill that suits it."""
        if field.kind in {"number", "category"}:
            return f"hide leaves a part of each row, and a {field.kind} has none; make it a column of a table."
        if field.kind not in KINDS:
            return only_for("hide", "images, audio, series, texts, tables and tensors", field)
        whole = field.kind in {"text", "table"}
        if whole and self.patch != 1:
            parts = "a text token by token" if field.kind == "text" else "a table column by column"
            return f"hide takes {parts}; leave `patch` out."
        fills = {"token"} if field.kind == "text" else {*FILLS} - {"token"} - ({"mean"} if whole else set())
        if self.fill is not None and self.fill not in fills:
            expected = " or ".join(sorted(fills))
            return f"expected the fill {expected} for {field.kind} fields, got {self.fill}."
        return ""

    def problem_after_features(self, field: FieldInfo, value: ValueInfo) -> str:
        """Needs rows of the axes that are cut, and two parts a row."""
        if (value.dtype == "int64") != (field.kind == "text"):
            wanted = "token ids; leave its features out" if field.kind == "text" else "float32"
            return f"hide expects {wanted}, got {value}."
        axes = axes_of(field.kind, len(value.shape))
        if not axes:
            wanted = {"image": "[..., height, width]", "series": "[steps, channels]", "audio": "[..., samples]"}
            return f"hide expects rows of {wanted.get(field.kind, '[elements]')}, got {list(value.shape)}."
        if isinstance(self.patch, tuple) and len(axes) != 2:
            return f"expected one number as `patch`, since one axis is cut of {list(value.shape)}; got two."
        if parts_of(value.shape, axes, self.patch, value.elements).number < 2:
            told = f"a row of {list(value.shape)} is one part"
            return f"{told}, so that nothing would be left. Take a smaller `patch`."
        return ""

    def tell(self, made: Made, generator: Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Change ``[batch, ...]``; bool of its shape is told, and the values as they were."""
        values, known, parts = made.values, self._known(made), self._parts_of(made)
        chosen = hidden_parts(parts, len(values), known, self.share, generator)
        hidden = chosen.index_select(1, parts.of).view_as(values)
        filled = self._filled(values, hidden, parts, generator)
        told = hidden if known is None else hidden & known.view_as(values)
        return torch.where(hidden, filled, values), {HIDDEN: told, WHOLE: values}

    def _parts_of(self, made: Made) -> Parts:
        shape, device = made.values.shape[1:], made.values.device
        if (shape, device) not in self._parts:
            of, number = parts_of(tuple(shape), axes_of(self._kind, len(shape)), self.patch, made.elements)
            self._parts[shape, device] = Parts(of.to(device), number)
        return self._parts[shape, device]

    def _known(self, made: Made) -> Tensor | None:
        """Bool ``[batch, elements]``: what is there, and may be hidden; None where all is."""
        if self._tokens is not None:
            return self._tokens.own(made.values)
        if self._kind not in SINGLY_MISSING:
            return None
        there = ~made.decoded.isnan()
        if made.elements:
            columns = torch.tensor([element.column for element in made.elements], device=there.device)
            return there.index_select(1, columns)
        return there.flatten(1) if there.shape == made.values.shape else None

    def _filled(self, values: Tensor, hidden: Tensor, parts: Parts, generator: Generator) -> Tensor:
        """What comes in the place of each value, were it hidden."""
        if self._tokens is not None:
            return self._tokens.replaced(values, generator)
        if self.fill == "mean":
            cut = [axis if axis < 0 else axis + 1 for axis in axes_of(self._kind, values.dim() - 1)]
            left = (~hidden).sum(cut, keepdim=True).clamp(min=1)
            return torch.where(hidden, 0.0, values).sum(cut, keepdim=True) / left
        if self.fill == "noise":
            return torch.randn(values.shape, generator=generator, device=values.device, dtype=values.dtype)
        if self.fill == "others":
            return _of_others(values, parts, generator)
        return torch.zeros_like(values)


@final
class Tokens:
    """The ids of a text that mean something: what is hidden, what comes in its place, what is never touched.

    Args:
        size: Of the vocabulary.
        hidden: The id for what is hidden.
        padding: The id behind a text's end.
        special: Ids that stand for nothing that people write.
        around: Those of them that stand around every text.
    """

    def __init__(
        self, size: int, *, hidden: int, padding: int, special: tuple[int, ...], around: tuple[int, ...]
    ) -> None:
        self.size, self.hidden, self.padding = size, hidden, padding
        self.special, self.around = special, around

    @classmethod
    def of(cls, field: FieldInfo) -> Self:
        """Those of a field's tokenizer; of a field of which nothing is known yet, the usual ones."""
        how: Any = field.options.get("tokenizer", {})
        words, padding, unknown = [*how.get("vocabulary", ())], how.get("padding", 0), how.get("unknown", 1)
        masks = [words.index(token) for token in MASK_TOKENS if token in words]
        around = (*how.get("start", ()), *how.get("end", ()))
        special = tuple(sorted({padding, unknown, *around, *masks}))
        hidden = masks[0] if masks else unknown
        size = len(words) or field.value.classes or special[-1] + 2
        return cls(size, hidden=hidden, padding=padding, special=special, around=around)

    def own(self, values: Tensor) -> Tensor:
        """Bool ``[batch, length]``: the tokens that are a text's own."""
        own = values != self.padding
        for token in self.around:
            own &= values != token
        return own

    def replaced(self, values: Tensor, generator: Generator) -> Tensor:
        """What stands in the place of each token, were it hidden."""
        which, drawn = uniform((2, *values.shape), generator, values)
        other = (drawn * (self.size - len(self.special))).long()
        for token in self.special:  # from the lowest on: each one is passed over
            other += other >= token
        kept = torch.where(which < MADE_UNKNOWN + MADE_RANDOM, other, values)
        return torch.where(which < MADE_UNKNOWN, self.hidden, kept)


def _of_others(values: Tensor, parts: Parts, generator: Generator) -> Tensor:
    """For each part of each row what another row has there; all of a part is of one row."""
    rows = len(values)
    step = torch.randint(1, max(rows, 2), (rows, parts.number), generator=generator, device=values.device)
    row = (torch.arange(rows, device=values.device).unsqueeze(1) + step.index_select(1, parts.of)) % rows
    return values.reshape(rows, -1).gather(0, row).view_as(values)
