"""Between processes: values as JSON in tensors, since no pickle may travel."""

import inspect
import json
import os
from typing import Any

import torch
from mmengine.dist import all_gather, get_world_size
from torch.nn.parallel import DistributedDataParallel


def gather_json(value: Any) -> list[Any]:
    """``value`` of every rank, in order of rank; every rank must call it.

    Args:
        value: what JSON can hold.
    """
    if get_world_size() == 1:
        return [value]
    text = bytearray(json.dumps(value).encode())
    sizes = [int(size) for size in all_gather(torch.tensor([len(text)]))]
    padded = torch.zeros(max(sizes), dtype=torch.uint8)  # (longest,)
    padded[: len(text)] = torch.frombuffer(text, dtype=torch.uint8)
    return [
        json.loads(row[:size].cpu().numpy().tobytes())
        for size, row in zip(sizes, all_gather(padded), strict=True)
    ]


def close_process_group() -> None:
    """Leave together: a rank that ends first would tear gloo's threads apart."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()


def slurm_to_torchrun_env() -> None:
    """Name the process group by slurm's variables, for gloo."""
    env = os.environ
    nodes = env["SLURM_NODELIST"].replace("[", ",").split(",")
    env.setdefault("MASTER_ADDR", nodes[0] if len(nodes) == 1 else env["HOSTNAME"])
    env.setdefault("MASTER_PORT", "29500")
    env["RANK"] = env["SLURM_PROCID"]
    env["WORLD_SIZE"] = env["SLURM_NTASKS"]
    env["LOCAL_RANK"] = env["SLURM_LOCALID"]


def sync_buffers_argument() -> str:
    """DDP's name for it: torch 2.13 warns about the old one, 2.11 lacks the new one."""
    known = inspect.signature(DistributedDataParallel.__init__).parameters
    new = "forward_sync_buffers"
    return new if new in known else "broadcast_buffers"
