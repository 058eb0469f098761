"""State of a run beside its weights: position, random states, logs."""

import contextlib
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from mmengine.dist import all_gather
from mmengine.logging import HistoryBuffer, MessageHub
from torch import Tensor

from mmfusion.engine.runner.checkpoints import check_plain, to_plain
from mmfusion.utils.errors import CheckpointError

# rebuilt by every run; large, and not part of its state
_NOT_SAVED = ("cfg", "dataset_meta")


def get_rng_state() -> dict[str, Tensor]:
    """The states of python's, numpy's and torch's global generators, as tensors.

    Returns:
        python (627,) int64, numpy (627,) int64, torch (s,) uint8 and, where CUDA is in
        use, cuda (s',) uint8 of the current device.
    """
    version, words, gauss = random.getstate()
    twister = dict(np.random.get_state(legacy=False))
    inner = twister["state"]
    state = {
        "python": _int_tensor([*words, gauss is not None, _bits(gauss or 0.0)]),
        "numpy": _int_tensor(
            [*inner["key"], inner["pos"], twister["has_gauss"], _bits(twister["gauss"])]
        ),
        "torch": torch.get_rng_state(),
    }
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def set_rng_state(state: dict[str, Tensor]) -> None:
    """Put back what ``get_rng_state`` gave."""
    *words, has_gauss, bits = state["python"].tolist()
    random.setstate((3, tuple(words), _float(bits) if has_gauss else None))
    *keys, position, has_gauss, bits = state["numpy"].tolist()
    np.random.set_state(
        ("MT19937", np.array(keys, np.uint32), position, has_gauss, _float(bits))
    )
    torch.set_rng_state(state["torch"].cpu())
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"].cpu())


@contextlib.contextmanager
def preserved_rng() -> Iterator[None]:
    """Whatever runs inside leaves the global generators as they were."""
    state = get_rng_state()
    try:
        yield
    finally:
        set_rng_state(state)


def gather_rng_states() -> list[dict[str, Tensor]]:
    """``get_rng_state()`` of every rank, in order; every rank must call it."""
    state = get_rng_state()
    gathered = {key: all_gather(value) for key, value in state.items()}
    world = len(gathered["torch"])
    return [{key: gathered[key][rank].cpu() for key in state} for rank in range(world)]


def _int_tensor(values: list) -> Tensor:
    return torch.tensor([int(value) for value in values], dtype=torch.int64)


def _bits(value: float) -> int:
    return int(np.float64(value).view(np.int64))


def _float(bits: int) -> float:
    return float(np.int64(bits).view(np.float64))


def hub_to_plain(hub: MessageHub) -> dict[str, Any]:
    """The message hub's logged scalars as tensors and its plain infos.

    Infos that are not plain cannot be kept; the hub's users set them again.
    """
    state = hub.state_dict()
    scalars = {
        key: {
            "values": torch.as_tensor(buffer.data[0], dtype=torch.float64),
            "counts": torch.as_tensor(buffer.data[1], dtype=torch.float64),
            "max_length": buffer.max_length,
        }
        for key, buffer in state["log_scalars"].items()
    }
    infos = {}
    for key, value in state["runtime_info"].items():
        plain = to_plain(value)
        with contextlib.suppress(CheckpointError):
            check_plain(plain)
            if key not in _NOT_SAVED:
                infos[key] = plain
    return {"scalars": scalars, "infos": infos}


def hub_from_plain(hub: MessageHub, state: dict[str, Any]) -> None:
    """Put what ``hub_to_plain`` gave back into ``hub``."""
    for key, buffer in state["scalars"].items():
        hub.log_scalars[key] = HistoryBuffer(
            buffer["values"].numpy(), buffer["counts"].numpy(), buffer["max_length"]
        )
        hub._resumed_keys[key] = True
    for key, value in state["infos"].items():
        hub.update_info(key, value)


def scheduler_states(schedulers: Any) -> Any:
    """The states of a list of schedulers, or of a dict of lists.

    A function in a state (OneCycleLR's form) is not kept: the config gives it again.
    """
    if isinstance(schedulers, dict):
        return {name: scheduler_states(group) for name, group in schedulers.items()}
    states = [scheduler.state_dict() for scheduler in schedulers]
    return [{k: v for k, v in one.items() if not callable(v)} for one in states]


def load_scheduler_states(schedulers: Any, states: Any) -> None:
    """Put back what ``scheduler_states`` gave."""
    if isinstance(schedulers, dict):
        for key, item in schedulers.items():
            load_scheduler_states(item, states[key])
        return
    if len(schedulers) != len(states):
        raise CheckpointError(
            f"the checkpoint has {len(states)} schedulers, the config {len(schedulers)}"
        )
    for scheduler, state in zip(schedulers, states, strict=True):
        scheduler.load_state_dict(state)
