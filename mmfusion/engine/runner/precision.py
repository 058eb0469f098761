"""The precision of a run whose config leaves it to the machine (``--amp``).

``optim_wrapper.dtype="auto"`` becomes ``"bfloat16"`` or None (fp32) before anything is
trained, and that is what checkpoints record: a run keeps it wherever it goes on.
"""

import json
import logging
from collections.abc import Mapping
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.logging import print_log

from mmfusion.engine.runner.distributed import gather_json
from mmfusion.utils.faster_dtype import faster_dtype

AUTO, BF16 = "auto", "bfloat16"
_KEY = "optim_wrapper.dtype"


def keep_precision(config: Config, meta: Mapping[str, Any] | None) -> None:
    """Give a run that goes on the precision that it has, in place of ``"auto"``.

    Args:
        config: of the run; ``optim_wrapper.dtype`` is set if it is ``"auto"``.
        meta: of the checkpoint to go on from; None leaves the config as it is.
    """
    wrapper = config.get("optim_wrapper") or {}
    if wrapper.get("dtype") != AUTO or meta is None or "settings" not in meta:
        return
    wrapper["dtype"] = json.loads(meta["settings"]).get(_KEY)
    print_log(
        f"{_KEY}: {wrapper['dtype'] or 'float32'}, as this run began, whatever is"
        " faster on this machine",
        "current",
    )


def settle_precision(
    optim_wrapper: dict[str, Any], config: Config, device: torch.device
) -> dict[str, Any]:
    """The config of an optimizer wrapper with a precision, chosen once for all ranks.

    The first rank looks at its machine, and the others do as it says. Where a config
    asks for bf16 by name, it is given, and a line says so if fp32 is faster.

    Args:
        optim_wrapper: as of the runner. config: of the run, is given the same.
        device: of the model.
    """
    wanted = optim_wrapper.get("dtype")
    if wanted not in (AUTO, BF16):
        return optim_wrapper
    faster = faster_dtype(device.type) if is_main_process() else None
    chosen, reason = gather_json(faster and (faster.bfloat16, faster.reason))[0]
    if wanted == AUTO:
        wanted = BF16 if chosen else None
        print_log(f"{_KEY}: {wanted or 'float32'}, as {reason}", "current")
        config.optim_wrapper.dtype = wanted
    elif not chosen:
        text = f"{_KEY} is {BF16}, and {reason}; float32 is faster here"
        print_log(text, "current", logging.WARNING)
    return {**optim_wrapper, "dtype": wanted}
