"""Seconds to import: JumpML beside torch, each in a fresh process, taking turns."""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

BASE = "import torch"
COMMANDS = {
    "python alone": [sys.executable, "-c", "pass"],
    BASE: [sys.executable, "-c", "import torch"],
    "import jumpml": [sys.executable, "-c", "import jumpml"],
    "import torch, jumpml": [sys.executable, "-c", "import torch, jumpml"],
    "jumpml.create_learner": [sys.executable, "-c", "import jumpml; jumpml.create_learner"],
    "jumpml --help": [sys.executable, "-c", "from jumpml.cli import main; main()", "--help"],
}


def seconds_of(command: list[str]) -> float:
    """Wall time of a process."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def measure(repeats: int) -> dict[str, list[float]]:
    """Wall times by command; every round starts with another one."""
    names = list(COMMANDS)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for name in names:  # warm-up: bytecode, the disk's cache
        seconds_of(COMMANDS[name])
    for turn in range(repeats):
        shift = turn % len(names)
        for name in names[shift:] + names[:shift]:
            seconds[name].append(seconds_of(COMMANDS[name]))
    return seconds


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Seconds to import: JumpML beside torch.")
    parser.add_argument("--repeats", type=int, default=10, help="processes of each kind (default: %(default)s)")
    seconds = measure(parser.parse_args().repeats)
    print("| process | seconds (median) | lowest | highest | of import torch (median of rounds) |")
    print("|---|---:|---:|---:|---:|")
    for name, times in seconds.items():
        ratio = statistics.median(own / base for own, base in zip(times, seconds[BASE], strict=True))
        print(f"| {name} | {statistics.median(times):.3f} | {min(times):.3f} | {max(times):.3f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
