"""What processes do that are joined by the variables of a launcher."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import torch
from torch import distributed, multiprocessing

from jumpml.learn import Processes

if TYPE_CHECKING:
    from pathlib import Path


def launched(folder: Path, port: int) -> list[Any]:
    """What two processes found that a launcher has started, by rank."""
    multiprocessing.start_processes(_run, (folder, port), nprocs=2, start_method="spawn")
    return [torch.load(folder / f"{rank}.pt", weights_only=False) for rank in range(2)]


def _run(rank: int, folder: Path, port: int) -> None:
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    found: list[Any] = []
    for _ in range(2):
        processes = Processes.joined()
        again = Processes.joined()
        found.append((processes.rank, processes.count, again.gather(rank)))
        again.leave()
        found.append(distributed.is_initialized())
    mine = distributed.TCPStore("127.0.0.1", port + 1, 2, is_master=rank == 0)
    distributed.init_process_group("gloo", store=mine, rank=rank, world_size=2)
    Processes.joined().leave()  # it is the program's own
    found.append(distributed.is_initialized())
    distributed.destroy_process_group()
    torch.save(found, folder / f"{rank}.pt")
