"""All that a checkpoint holds."""

import json
import time
from typing import Any

from mmfusion.engine.launch.config_compare import comparable_config
from mmfusion.engine.runner.card import run_card
from mmfusion.engine.runner.checkpoints import FORMAT
from mmfusion.engine.runner.nonfinite import nonfinite_parameters
from mmfusion.engine.runner.resumable_train_loop import get_progress
from mmfusion.engine.runner.resuming import optimizer_parts
from mmfusion.engine.runner.run_state import (
    gather_rng_states,
    hub_to_plain,
    scheduler_states,
)
from mmfusion.utils.errors import NonFiniteError


def collect_state(
    runner: Any, meta: dict[str, Any], *, resumable: bool, schedule: bool
) -> dict[str, Any]:
    """Put the content of a checkpoint together, still on the model's device.

    Args:
        runner: the FusionRunner; every rank calls this.
        meta: more plain values for ``meta``; ``metrics`` in it, as
            :func:`~mmfusion.engine.runner.card.scored` gives them, go into the card.
        resumable: with all that a run needs to go on, not the weights only.
        schedule: with the states of the schedulers.

    Raises:
        NonFiniteError: an update has left parameters that are not finite.
    """
    if bad := nonfinite_parameters(runner.bare_model):
        raise NonFiniteError(
            f"parameters are not finite at epoch {runner.epoch + 1}, iteration"
            f" {runner.iter}: {', '.join(bad[:8])}. Nothing of it is saved; gradients"
            " were finite, so that an update was too large: lower"
            " optim_wrapper.optimizer.lr and go on from the checkpoint before"
        )
    card = {**run_card(runner), "metrics": meta.get("metrics") or {}}
    checkpoint: dict[str, Any] = {
        "meta": {
            **{key: value for key, value in meta.items() if key != "metrics"},
            **get_progress(runner.train_loop, meta),
            "format": FORMAT,
            "seed": runner.base_seed,
            "world_size": runner.world_size,
            "resumable": resumable,
            "saved_at": time.time_ns(),
            "settings": json.dumps(comparable_config(runner.cfg)),
            "card": card,
        },
        "state_dict": dict(runner.bare_model.state_dict()),
    }
    if not resumable:
        return checkpoint
    wrapper, model = runner.optim_wrapper, runner.bare_model
    checkpoint["optimizer"] = wrapper.state_dict()
    checkpoint["optimizer_parts"] = optimizer_parts(wrapper, model)
    if schedule and runner.param_schedulers is not None:
        checkpoint["param_schedulers"] = scheduler_states(runner.param_schedulers)
    checkpoint["message_hub"] = hub_to_plain(runner.message_hub)
    checkpoint["hooks"] = {
        name: hook.state_dict() for name, hook in runner.stateful_hooks().items()
    }
    checkpoint["rng"] = gather_rng_states()
    return checkpoint
