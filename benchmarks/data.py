"""What the data room costs, each beside what people would write by hand, in one run and taking turns.

Where one process does all the work its processor time is measured, which other programs change less; where workers do,
the time that passes.

memory   seconds an epoch of digits in batches of 64, beside PyTorch's DataLoader and a bare gather a batch
images   pictures on disk, decoded anew each epoch, beside a tuned DataLoader with the same decoder and workers
large    a parquet file of 1, 3 and 10 million rows by 20 numbers: seconds an epoch, and memory above the model
cache    a pretrained feature: the first start, and the second, which reads what the first left
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, TensorDataset

import jumpml
from jumpml.blocks import ConvEncoder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

BATCH = 64
EPOCHS_A_TURN = 20  # of batches in memory: in training epoch follows epoch, with what they need in the caches
MILLION = 1_000_000
COLUMNS = 20


def take_turns(
    loops: Mapping[str, Callable[[], object]], rounds: int, clock: Callable[[], float] = time.process_time
) -> dict[str, list[float]]:
    """Seconds by loop and round; every round starts with another loop, after one round to warm up."""
    names = list(loops)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(rounds + 1):
        shift = turn % len(names)
        for name in names[shift:] + names[:shift]:
            start = clock()
            loops[name]()
            if turn:
                seconds[name].append(clock() - start)
    return seconds


def table(title: str, seconds: dict[str, list[float]], base: str, epochs: int = 1) -> None:
    """Print medians, and the median over the rounds of the ratio to the base."""
    print(f"\n### {title}\n\n| loop | ms an epoch | ratio (median) | lowest | highest |\n|---|---:|---:|---:|---:|")
    for name, times in seconds.items():
        ratios = [own / other for own, other in zip(times, seconds[base], strict=True)]
        print(
            f"| {name} | {1000 * statistics.median(times) / epochs:.2f} | {statistics.median(ratios):.3f} "
            f"| {min(ratios):.3f} | {max(ratios):.3f} |"
        )


def memory(rounds: int, _: Path) -> None:
    """Batches of tensors that are in memory, without a model."""
    image = {"kind": "image", "column": "images", "shape": [1, 8, 8], "range": [0, 16]}
    fields = {"image": image, "label": {"kind": "category", "column": "target"}}
    digits = {"source": {"kind": "sklearn", "name": "digits"}, "fields": fields}
    loaders = jumpml.create_dataloader({"datasets": {"digits": digits}, "batch_size": BATCH})
    whole = list(loaders.train.plain())
    images, labels = (torch.cat([batch[name] for batch in whole]) for name in ("image", "label"))
    ready = DataLoader(TensorDataset(images, labels), batch_size=BATCH, shuffle=True)

    def gather() -> None:
        for _ in range(EPOCHS_A_TURN):
            for rows in torch.randperm(len(images)).split(BATCH):
                _ = images.index_select(0, rows), labels.index_select(0, rows)

    def exhaust(batches: Any) -> Callable[[], None]:
        def loop() -> None:
            for _ in range(EPOCHS_A_TURN):
                for _ in batches:
                    pass

        return loop

    loops = {"a bare gather a batch": gather, "JumpML": exhaust(loaders.train), "DataLoader": exhaust(ready)}
    table("In memory: digits, batches of 64", take_turns(loops, rounds), "a bare gather a batch", EPOCHS_A_TURN)


class _Pictures(Dataset[Any]):
    """What one would write by hand: decode in `__getitem__`.

    Pillow decodes and resizes here as it does in JumpML, to the same bits, which is checked. The pictures have no EXIF
    orientation: JumpML looks for one, and whether a file has changed, and this does not.
    """

    def __init__(self, paths: list[Path]) -> None:
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, row: int) -> tuple[torch.Tensor, int]:
        from PIL import Image

        with Image.open(self.paths[row]) as picture:
            pixels = np.asarray(picture.convert("RGB").resize((64, 64), Image.Resampling.BILINEAR), dtype=np.float32)
        return torch.from_numpy(pixels).permute(2, 0, 1) / 255, int(self.paths[row].parent.name)


def images(rounds: int, folder: Path) -> None:
    """JPEG files of 160 by 160, 10 classes, decoded to 64 by 64 by two workers."""
    from PIL import Image

    generator = np.random.default_rng(0)
    for row in range(3000):
        path = folder / "pictures" / str(row % 10) / f"{row}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        coarse = Image.fromarray(generator.integers(0, 255, (20, 20, 3), dtype=np.uint8))
        coarse.resize((160, 160), Image.Resampling.BICUBIC).save(path, quality=90)
    fields = {"image": {"kind": "image", "shape": [3, 64, 64]}, "label": {"kind": "category"}}
    split = {"train": 0.9, "val": 0.05, "test": 0.05, "duplicates": "allow"}
    source = {"kind": "images", "path": str(folder / "pictures")}
    for workers in (0, 2):
        loaders = jumpml.create_dataloader(
            {
                "datasets": {"p": {"source": source, "fields": fields, "split": split}},
                "batch_size": BATCH,
                "storage": "source",
                **({"workers": workers} if workers else {}),
            }
        )
        every = sorted((folder / "pictures").rglob("*.jpg"), key=str)
        first = every[int(loaders.train.rows[0])]
        if not torch.equal(loaders.train.take("image", torch.tensor([0]))[0], _Pictures([first])[0][0]):
            raise SystemExit(f"{first} is decoded to other values than by hand")
        paths = every[: len(loaders.train.rows)]
        tuned = DataLoader(_Pictures(paths), BATCH, shuffle=True, num_workers=workers, persistent_workers=workers > 0)

        def ours(loaders: Any = loaders) -> None:
            for _ in loaders.train:
                pass

        def by_hand(tuned: Any = tuned) -> None:
            for _ in tuned:
                pass

        clock = time.perf_counter if workers else time.process_time
        times = take_turns({"DataLoader": by_hand, "JumpML": ours}, max(3, rounds // 5), clock)
        table(f"Images from disk: 2,700 JPEG files, {workers} workers", times, "DataLoader")


def _status(key: str) -> float:
    """A line of /proc/self/status in MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key)) / 1024


def _train_on(path: str) -> None:
    """In a process of its own: an epoch on a parquet file; prints what it took."""
    torch.set_num_threads(1)
    columns = {f"c{i}": "number" for i in range(COLUMNS)}
    fields = {"x": {"kind": "table", "columns": columns}, "y": {"kind": "number"}}
    split = {"train": 0.98, "val": 0.01, "test": 0.01, "duplicates": "allow"}
    data = {"datasets": {"p": {"source": {"kind": "parquet", "path": path}, "fields": fields, "split": split}}}
    net = {
        "seed": 0,
        "inputs": {"x": {"shape": [COLUMNS]}},
        "nodes": {
            "y_hat": {"module": "torch.nn.Linear", "inputs": "x", "args": {"in_features": 20, "out_features": 1}}
        },
        "tasks": {"y": {"kind": "regression", "output": "y_hat", "target": "y"}},
    }
    jumpml.load_model(net)
    import sklearn.model_selection  # noqa: F401 (what every program loads is not the data's)

    before, anonymous = _status("VmRSS"), [0.0]

    def watch() -> None:
        while True:
            anonymous[0] = max(anonymous[0], _status("RssAnon"))
            time.sleep(0.02)

    base = _status("RssAnon")
    threading.Thread(target=watch, daemon=True).start()
    start = time.perf_counter()
    loaders = jumpml.create_dataloader(data | {"batch_size": 1024, "storage": "disk"})
    model = jumpml.load_model(net | {"inputs": {}}, loaders)
    options = {"record_examples": False, "log": [], "checkpoint": None, "phases": {"supervised": {"epochs": 1}}}
    learner = jumpml.create_learner(loaders, model, torch.optim.SGD(model.parameters(), lr=0.01), options)
    built = time.perf_counter()
    learner.fit()
    told = {
        "start": built - start,
        "epoch": time.perf_counter() - built,
        "memory": anonymous[0] - base,
        "resident": _status("VmHWM") - before,
    }
    print(json.dumps(told))


def large(_: int, folder: Path) -> None:
    """Out of core: decoded values lie in a file that is mapped into memory."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    print("\n### Parquet, 20 numbers a row, batches of 1024, `storage: disk`\n")
    print("| million rows | s to start | s an epoch | s a million rows | MiB above the model | with mapped files |")
    print("|---:|---:|---:|---:|---:|---:|")
    for millions in (1, 3, 10):
        path = folder / f"{millions}.parquet"
        generator = np.random.default_rng(0)
        names = [*(f"c{i}" for i in range(COLUMNS)), "y"]
        with pq.ParquetWriter(path, pa.schema([(name, pa.float32()) for name in names])) as writer:
            for _ in range(millions * 4):
                block = generator.normal(size=(len(names), MILLION // 4)).astype(np.float32)
                writer.write_table(pa.table(dict(zip(names, block, strict=True))))
        command = [sys.executable, __file__, "--train-on", str(path)]
        environment = os.environ | {"OMP_NUM_THREADS": "1", "JUMPML_CACHE": str(folder / "cache")}
        output = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
        told = json.loads(output.splitlines()[-1])
        print(
            f"| {millions} | {told['start']:.1f} | {told['epoch']:.1f} | {told['epoch'] / millions:.2f} "
            f"| {told['memory']:.0f} | {told['resident']:.0f} |"
        )
        path.unlink()


def cache(_: int, folder: Path) -> None:
    """A frozen convolutional encoder over 8,000 pictures of 3 by 64 by 64."""
    from safetensors.torch import save_file

    torch.manual_seed(0)
    widths = [32, 64, 128]
    encoder = ConvEncoder(widths=widths)
    encoder(torch.zeros(2, 3, 64, 64))
    save_file(encoder.state_dict(), folder / "encoder.safetensors")
    generator = np.random.default_rng(0)
    np.savez(folder / "pictures.npz", image=generator.integers(0, 256, (8000, 3, 64, 64), dtype=np.uint8))
    step = {
        "file": str(folder / "encoder.safetensors"),
        "module": "jumpml.blocks.ConvEncoder",
        "args": {"widths": widths},
    }
    data = {
        "datasets": {
            "p": {
                "source": {"kind": "npz", "path": str(folder / "pictures.npz")},
                "fields": {"image": {"kind": "image", "shape": [3, 64, 64]}},
                "split": {"duplicates": "allow"},
            }
        },
        "features": {"image": [{"pretrained": step}]},
    }
    os.environ["JUMPML_CACHE"] = str(folder / "cache")
    seconds = []
    for _ in range(3):
        loaders = jumpml.create_dataloader(data)
        start = time.perf_counter()
        for loader in (loaders.train, loaders.val, loaders.test):
            for batch in loader:
                assert batch["image"].ndim == 2
        seconds.append(time.perf_counter() - start)
    print("\n### A pretrained feature: seconds to serve every batch of every split, the pictures already decoded\n")
    print(f"first start {seconds[0]:.2f}, second {seconds[1]:.2f}, third {seconds[2]:.2f}; ", end="")
    print(f"second to first {seconds[1] / seconds[0]:.3f}")


STUDIES = {"memory": memory, "images": images, "large": large, "cache": cache}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("studies", nargs="*", choices=[*STUDIES, []], help="all of them where none is named")
    parser.add_argument("--repeats", type=int, default=30, help="rounds (default: %(default)s)")
    parser.add_argument("--train-on", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.train_on:
        _train_on(options.train_on)
        return
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, 1 thread")
    for name in options.studies or STUDIES:
        with tempfile.TemporaryDirectory() as folder:
            STUDIES[name](options.repeats, Path(folder))


if __name__ == "__main__":
    main()
