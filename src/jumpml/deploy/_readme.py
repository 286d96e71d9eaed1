"""What a bundle says of itself."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_KINDS = {
    "number": "a number",
    "category": "one of {classes}",
    "image": "numbers from {range[0]:g} to {range[1]:g}, {shape} as channels, height, width",
    "tensor": "numbers, {shape}",
    "multilabel": "a list of {classes}",
    "date": "a moment",
    "audio": "numbers from -1 to 1, {shape} as channels, samples",
    "mask": "codes of {classes}, {shape} as height, width; null where a class is not known",
    "series": "numbers, {shape} as steps, channels",
    "text": "a text",
    "token_labels": "a list of {classes}, one a token; null where a class is not known",
    "table": "an object with {columns}",
}


def readme(manifest: Mapping[str, Any], row: Mapping[str, Any]) -> str:
    """The bundle's README.md.

    Args:
        manifest: The manifest.
        row: Of raw values, as an example.
    """
    tasks = "\n".join(f"- `{name}`: {_task(how)}" for name, how in manifest["tasks"].items())
    inputs = "\n".join(f"- `{field}`: {_input(how)}" for field, how in manifest["inputs"].items())
    variants = "\n".join(f"- `{name}`: {how['change']}" for name, how in manifest["variants"].items())
    keys = json.dumps({field: _short(value) for field, value in row.items()}, ensure_ascii=False)
    return f"""# A model for {manifest["data"]}, ready to predict

It needs Python 3.11 or newer and two packages: `pip install numpy onnxruntime`.

```
python runtime.py rows.json                    # one JSON object a row; also .jsonl and .csv
python runtime.py rows.json --variant {manifest["default"]}
python runtime.py --check                      # does it predict here what it predicted where it was made?
```

```python
from runtime import Predictor

Predictor(".").predict([{{...}}])
```

A row, with lists cut short: `{keys}`

## What it reads

{inputs}

## What it predicts

{tasks}

Each answer also says whether the row is `out_of_domain`: farther from the train rows than 95% of the validation rows;
`distance` is how far. `card.html`, where it lies beside this file, says how good the model is and what it is for.

## Variants

{variants}

`golden.json` holds rows to try (under `rows`) with the raw outputs that each variant gave for them. `SHA256SUMS` holds
every file's checksum (`sha256sum --check SHA256SUMS`); the runtime refuses a bundle that has changed. That shows
damage; it does not show who made the bundle.
"""


def _task(how: Mapping[str, Any]) -> str:
    if how["kind"] == "retrieval":
        return f"a vector of length 1; of rows of one class of `{how['target']}` the scalar product is large"
    if "classes" not in how:
        what = "a number" if math.prod(how["shape"]) == 1 else f"numbers, {how['shape']}"
        what = f"the numbers {_listed(how['columns'])}" if "columns" in how else what
        if "quantiles" in how:
            low, *_, high = how["quantiles"]
            what += f" (the median; `low` and `high` are the quantiles {low} and {high})"
    else:
        what = f"{'any' if how['kind'] == 'multilabel' else 'one'} of {_listed(how['classes'])}"
    return f"{what}, for the field `{how['target']}`"


def _input(how: Mapping[str, Any]) -> str:
    names = {"classes": _listed(how.get("classes", ())), "columns": _listed(tuple(how.get("columns", ())))}
    missing = "; null where it is missing" if how.get("missing") else ""
    return _KINDS[how["kind"]].format(**{**how, **names}) + missing


def _listed(names: Sequence[str], most: int = 12) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(f"`{name}`" for name in names[:most]) + more


def _short(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    return [_short(value[0]), *(["..."] if len(value) > 1 else [])]
