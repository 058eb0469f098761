"""Between processes: values as JSON in tensors, since no pickle may travel."""

import inspect
import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.dist import (
    all_gather,
    broadcast,
    get_rank,
    get_world_size,
    is_main_process,
)
from torch.nn.parallel import DistributedDataParallel

from mmfusion.utils.errors import ConfigError, LostProcessError, SaveError

_NO_ANSWER = re.compile(
    r"gloo|closed by peer|reset by peer|Broken pipe|NCCL|ProcessGroup", re.IGNORECASE
)


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


def write_on_main(write: Callable[[], None]) -> None:
    """Run ``write`` on the first rank; if it fails, every rank raises."""
    error: Exception | None = None
    if is_main_process():
        try:
            write()
        except Exception as caught:
            error = caught
    failed = torch.tensor(int(error is not None))
    if get_world_size() > 1:
        broadcast(failed)
    if error is not None:
        raise error
    if failed:
        raise SaveError("the first rank could not write a checkpoint")


def close_process_group() -> None:
    """Leave together: a rank that ends first would tear gloo's threads apart."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        with lost_process_named():
            torch.distributed.barrier()
        torch.distributed.destroy_process_group()


@contextmanager
def lost_process_named() -> Iterator[None]:
    """Say it in words where another process of the run does not answer any more.

    Raises:
        LostProcessError: in place of what gloo, NCCL or their store raise then.
    """
    try:
        yield
    except RuntimeError as error:
        lost = get_world_size() > 1 and _NO_ANSWER.search(str(error))
        if not (lost or isinstance(error, torch.distributed.DistBackendError)):
            raise
        raise LostProcessError(
            f"process {get_rank()} of {get_world_size()} lost another one, which has"
            " ended or cannot be reached; the reason stands in that one's messages."
            " The same command continues from the newest checkpoint."
            f" ({type(error).__name__}: {' '.join(str(error).split())[:200]})"
        ) from error


def join_process_group() -> None:
    """Start gloo, by the variables that a launcher has set."""
    try:
        torch.distributed.init_process_group("gloo")
    except torch.distributed.DistNetworkError as error:
        place = ":".join(os.environ.get(k, "?") for k in ("MASTER_ADDR", "MASTER_PORT"))
        raise ConfigError(
            f"the processes cannot meet at {place}"
            f" ({' '.join(str(error).split())[:200]}); where another run uses the port,"
            " choose one: PORT=29511 bash tools/dist_train.sh ..."
        ) from error


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
