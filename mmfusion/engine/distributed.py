"""Values across ranks as JSON in tensors: no pickle travels between processes."""

import json
from typing import Any

import torch
from mmengine.dist import all_gather, get_world_size


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
