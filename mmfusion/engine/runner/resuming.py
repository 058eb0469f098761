"""Continue a run whose config was edited: an edit takes effect, or is refused by name.

A checkpoint holds much that a config says too: rates and weight decay in the state of
the optimizer, the schedule in that of the schedulers, positions counted in batches.
Put back as it is, it would overrule the edited config, which the next checkpoint then
records as what has run.
"""

import re
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

from mmengine.hooks import EMAHook
from mmengine.optim import OptimWrapper
from torch import nn

from mmfusion.engine.hooks.early_stop_hook import EarlyStopHook
from mmfusion.engine.launch.config_compare import describe_edit
from mmfusion.engine.optimizers.fusion_optim_wrapper import FusionOptimWrapper
from mmfusion.engine.protocols import StartsAnywhere
from mmfusion.engine.runner.checkpoints import to_plain
from mmfusion.engine.runner.run_state import hub_from_plain, load_scheduler_states
from mmfusion.utils.errors import ConfigError

# keys that a checkpoint overrules, and by what
_OVERRULED = {
    r"load_from$|model\..*init_cfg(\.|$)": "the weights come from the checkpoint",
    r"randomness\.diff_rank_seed$": "the random states come from the checkpoint",
}
# keys from which follows which samples of an epoch come first
_ORDER = re.compile(
    r"train_dataloader\.(sampler|batch_sampler|dataset)(\.|$)"
    r"(?!(.*\.)?(pipeline|data_root|data_prefix|link_roots|on_error)(\.|$))"
)
# keys from which follow rates, weight decay and their schedule
_SCHEDULE = re.compile(
    r"optim_wrapper\.(?!clip_grad|accumulative_counts|dtype|type)"
    r"|param_scheduler|auto_scale_lr|train_cfg"
)
# what moves in the state of a scheduler; the rest is as it was configured
_MOVING = {"last_step", "_global_step", "_last_value", "end"}
_MOVING |= {"best", "cooldown_counter", "num_bad_epochs"}


def continue_run(
    runner: Any, checkpoint: Mapping[str, Any], edits: Mapping[str, tuple[Any, Any]]
) -> None:
    """Put the state of a run back, all but its weights.

    Args:
        runner: a FusionRunner whose model has the weights.
        checkpoint: the whole of it.
        edits: dotted key of a config to its value in the checkpoint and now.

    Raises:
        ConfigError: an edit cannot take effect; names the key.
    """
    meta, loop = checkpoint["meta"], runner.train_loop
    check_seed(meta["seed"], runner.base_seed)
    check_edits(edits, meta["batch"])
    if "ema_state_dict" in checkpoint and not _hooks(runner, EMAHook):
        raise ConfigError(
            "custom_hooks: EMAHook is gone, and the run that goes on has one; put it"
            " back, or start a new run from its best.pth by load_from"
        )
    if meta["world_size"] != runner.world_size:
        runner.logger.warning(
            f"resuming a run of {meta['world_size']} processes with "
            f"{runner.world_size}: it continues, not bitwise"
        )
    if meta["epoch_parts"] != loop.epoch_parts():
        runner.logger.warning(
            f"an epoch has {loop.epoch_parts()}, it had {meta['epoch_parts']}: the"
            " place in it is kept by samples, the schedule is that of the new length"
        )
    if changed := content_change(meta, loop):
        runner.logger.warning(f"{changed}: the run goes on with what is there now")
    batch = batches_done(meta, loop, runner.optim_wrapper)
    loop.load_progress({**meta, "batch": batch}, checkpoint["rng"])
    hub_from_plain(runner.message_hub, checkpoint["message_hub"])
    restore_optimizer(runner, checkpoint, edits)
    for name, hook in runner.stateful_hooks().items():
        if name in checkpoint["hooks"]:
            hook.load_state_dict(checkpoint["hooks"][name])
    if any(key.startswith(("custom_hooks", "default_hooks")) for key in edits):
        early = _hooks(runner, EarlyStopHook)
        loop.stop_training = any(hook.is_over for hook in early)
    check_something_is_left(loop, edits)
    if edits:
        lines = [describe_edit(key, *values) for key, values in edits.items()]
        runner.logger.warning("edited, from here on:\n" + "\n".join(lines))


def _hooks(runner: Any, kind: type) -> list[Any]:
    return [hook for hook in runner.hooks if isinstance(hook, kind)]


def check_edits(edits: Mapping[str, tuple[Any, Any]], batch: int) -> None:
    """Refuse edits that could not take effect.

    Args:
        edits: dotted key of a config to its value in the checkpoint and now.
        batch: how many batches of the epoch are done; 0 between two epochs.

    Raises:
        ConfigError: names each key and the reason.
    """
    refused = []
    for key, (was, now) in edits.items():
        reasons = [why for keys, why in _OVERRULED.items() if re.match(keys, key)]
        if batch and _ORDER.match(key):
            reasons.append(
                "the order of samples follows from it, and the checkpoint is within an"
                " epoch: go on from the end of one (--resume epoch_N.pth)"
            )
        if reasons and (was or now):
            refused.append(f"{describe_edit(key, was, now)}: {reasons[0]}")
    if refused:
        lines = "\n".join(refused)
        raise ConfigError(
            "the config was edited where a run that goes on cannot follow; put the old"
            f" values back, or start a new run in another --work-dir:\n{lines}"
        )


def check_seed(was: int, now: int) -> None:
    """Refuse another seed: order of samples and random states are those of the old."""
    if was != now:
        raise ConfigError(
            f"randomness.seed: was {was}, is {now}: the order of samples and the random"
            " states of a run that goes on come from its seed; put it back (--seed"
            f" {was}), or start a new run in another --work-dir"
        )


def check_something_is_left(loop: Any, edits: Iterable[str]) -> None:
    """Refuse edits of a run that has nothing left to train under them."""
    edits = list(edits)
    if not edits or not (loop.epoch >= loop.max_epochs or loop.stop_training):
        return
    why = "it was stopped early" if loop.stop_training else "all are trained"
    raise ConfigError(
        f"the checkpoint is in epoch {loop.epoch} of train_cfg.max_epochs ="
        f" {loop.max_epochs} and {why}: nothing would run with {', '.join(edits[:8])}"
        " as edited. Raise train_cfg.max_epochs (or the hook's patience), or put the"
        " old values back"
    )


def content_change(meta: Mapping[str, Any], loop: Any) -> str:
    """Say that the training data list other samples than before; '' if they do not.

    A dataset that cannot tell (see :class:`KnowsContent`) counts as the same.

    Args:
        meta: of the checkpoint: ``data``, ``batch`` and ``epoch_parts``.
        loop: the ResumableTrainLoop of the run that goes on.

    Raises:
        ConfigError: the checkpoint is within an epoch, which would mix the two.
    """
    before, now = meta.get("data"), loop.progress()["data"]
    if before == now or None in (before, now):
        return ""
    text = (
        "train_dataloader.dataset: its annotation has another content, sha256"
        f" {now:.12}, than when the checkpoint was written, {before:.12}"
    )
    if 0 < meta["batch"] < meta["epoch_parts"]["batches"]:
        raise _within_epoch(text)
    return text


def batches_done(meta: Mapping[str, Any], loop: Any, wrapper: Any) -> int:
    """Batches done of the current epoch, counted in those of the run as it is.

    Args:
        meta: of the checkpoint: ``batch`` and ``epoch_parts``.
        loop: the ResumableTrainLoop of the run that goes on.
        wrapper: its optimizer wrapper, which groups batches.

    Raises:
        ConfigError: samples would be repeated or left out, or a group of accumulated
            batches would be cut.
    """
    before, now, done = meta["epoch_parts"], loop.epoch_parts(), meta["batch"]
    end = done == before["batches"]
    if done and before != now:
        done = now["batches"] if end else _rescaled(done, before, now, loop.sampler)
    # MMEngine's own wrapper lets a group cross the end of an epoch
    own = isinstance(wrapper, FusionOptimWrapper)
    group = wrapper._accumulative_counts if own else 1
    if done % group and done != now["batches"]:
        raise _within_epoch(
            f"{done} batches are done, which is no multiple of"
            f" optim_wrapper.accumulative_counts = {group}"
        )
    return done


def _rescaled(done: int, before: Mapping, now: Mapping, sampler: Any) -> int:
    """``done`` batches as those of other sizes, with the very same samples."""
    if before["samples"] != now["samples"]:
        raise _within_epoch(
            f"the data has {now['samples']} samples, it had {before['samples']}"
        )
    if not (before["step"] and now["step"] and isinstance(sampler, StartsAnywhere)):
        raise _within_epoch(
            f"an epoch has {now['batches']} batches, it had {before['batches']}, and"
            f" {type(sampler).__name__} cannot start within one"
        )
    samples = done * before["step"]
    if samples % now["step"] or samples // now["step"] > now["batches"]:
        raise _within_epoch(
            f"{done} steps of {before['step']} samples are done (batch size x"
            f" processes), which cannot be had in steps of {now['step']}"
        )
    return samples // now["step"]


def _within_epoch(what: str) -> ConfigError:
    return ConfigError(
        f"the checkpoint is within an epoch: {what}; samples would be repeated or left"
        " out. Go on from the end of an epoch (--resume epoch_N.pth), or as it was"
    )


def optimizer_parts(wrapper: Any, model: nn.Module) -> dict[str, Any]:
    """Class of an optimizer and the names of its parameters, group by group.

    Of a dict of wrappers: the same for each.
    """
    if isinstance(wrapper, Mapping):
        return {name: optimizer_parts(one, model) for name, one in wrapper.items()}
    known = {id(value): name for name, value in model.named_parameters()}
    groups = [
        [known.get(id(value), "") for value in group["params"]]
        for group in wrapper.optimizer.param_groups
    ]
    return {"class": type(wrapper.optimizer).__name__, "names": groups}


def restore_optimizer(
    runner: Any, checkpoint: Mapping[str, Any], edits: Iterable[str]
) -> None:
    """Put the states of the optimizer and its schedulers back, under the config's rule.

    Where the config says the same as it did, or nothing that counts here, both come
    from the checkpoint. Otherwise the optimizer keeps its state of each parameter, and
    rates and weight decay are those that the config has at this step: the schedule is
    run through from its start.

    Args:
        runner: with its loop at the place where it goes on.
        checkpoint: the whole of it.
        edits: keys of the config that were edited.

    Raises:
        ConfigError: an edit cannot take effect; names the key.
    """
    keys = [key for key in edits if _SCHEDULE.match(key)]
    model, wrapper = runner.bare_model, runner.optim_wrapper
    parts, old_parts = optimizer_parts(wrapper, model), checkpoint["optimizer_parts"]
    loop = runner.train_loop
    if loop.epoch_parts() != checkpoint["meta"]["epoch_parts"]:
        keys.append("the length of an epoch")
    if parts != old_parts and not keys:
        keys.append("the parameters that are trained")
    saved, states = checkpoint["optimizer"], checkpoint.get("param_schedulers")
    if states is None and runner.param_schedulers:
        keys.append("the schedule, which was not saved")
    if not keys:
        wrapper.load_state_dict(saved)
        if states is not None:
            load_scheduler_states(runner.param_schedulers, states)
        return
    if not isinstance(wrapper, OptimWrapper) or isinstance(wrapper, Mapping):
        raise _cannot_follow(keys, f"{type(wrapper).__name__} holds several optimizers")
    schedulers = runner.param_schedulers or []
    if any(getattr(one, "need_val_args", False) for one in schedulers):
        wrapper.load_state_dict(saved)
        _extend(schedulers, states or [], keys)
        return
    _load_by_name(wrapper, saved, parts, old_parts)
    _run_through(schedulers, loop.epoch, loop.epoch_length, loop.progress()["batch"])


def _cannot_follow(keys: list[str], why: str) -> ConfigError:
    return ConfigError(
        f"{', '.join(keys)}: edited while a run goes on, and {why}; put the old value"
        " back, or start a new run in another --work-dir"
    )


def _extend(schedulers: list, states: list, keys: list[str]) -> None:
    """Load schedulers that follow validations, of which only the end may be edited."""
    fresh = [to_plain(one.state_dict()) for one in schedulers]
    ends = [state["end"] for state in fresh]
    same = [_configured(state) for state in fresh] == [_configured(s) for s in states]
    if not same or not all(key.startswith("train_cfg") for key in keys):
        raise _cannot_follow(
            keys, "a scheduler follows what validations measured, not the step alone"
        )
    load_scheduler_states(schedulers, states)
    for scheduler, end in zip(schedulers, ends, strict=True):
        scheduler.end = end


def _configured(state: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in state.items() if key not in _MOVING}


def _load_by_name(
    wrapper: OptimWrapper, saved: Mapping, parts: Mapping, old_parts: Mapping
) -> None:
    """Load each parameter's state; the groups' numbers stay those of the config."""
    fresh = wrapper.state_dict()
    own = {"state", "param_groups", "base_param_settings"}  # beside a loss scaler
    if parts["class"] != old_parts["class"] or saved.keys() - own != fresh.keys() - own:
        raise _cannot_follow(
            ["optim_wrapper"],
            f"the state of {old_parts['class']} is not one of {parts['class']}",
        )
    for group, old in zip(fresh["param_groups"], saved["param_groups"], strict=False):
        for key in sorted(group.keys() & old.keys() - {"params"}):
            _check_hyperparameter(key, old[key], group[key])
    numbers = [n for group in saved["param_groups"] for n in group["params"]]
    names = [name for group in old_parts["names"] for name in group]
    by_name = {
        name: saved["state"][number]
        for name, number in zip(names, numbers, strict=True)
        if number in saved["state"]
    }
    names = [name for group in parts["names"] for name in group]
    numbers = [n for group in fresh["param_groups"] for n in group["params"]]
    fresh["state"] = {
        number: by_name[name]
        for name, number in zip(names, numbers, strict=True)
        if name in by_name
    }
    for key in saved.keys() - own:
        fresh[key] = saved[key]
    wrapper.load_state_dict(fresh)


def _check_hyperparameter(key: str, was: Any, now: Any) -> None:
    """Refuse a flag, and a momentum that begins or ends: the state has other parts."""
    flag = any(isinstance(value, bool | str | None) for value in (was, now))
    if was != now and (flag or (key == "momentum" and not (was and now))):
        raise _cannot_follow(
            [f"optim_wrapper.optimizer.{key}"],
            f"the state of an optimizer with {was!r} does not fit one with {now!r}",
        )


def _run_through(schedulers: list, epochs: int, length: int, batch: int) -> None:
    """Step schedulers as training does: ``epochs`` of ``length`` batches, and more.

    Their values follow from each other, so that no other way gives the same digits.
    """
    with warnings.catch_warnings():  # PyTorch's order: the optimizer first
        warnings.filterwarnings("ignore", "Detected call of `scheduler.step")
        for epoch in range(epochs + 1):
            for _ in range(length if epoch < epochs else batch):
                _step(schedulers, by_epoch=False)
            if epoch < epochs:
                _step(schedulers, by_epoch=True)


def _step(schedulers: list, *, by_epoch: bool) -> None:
    for scheduler in schedulers:
        if scheduler.by_epoch == by_epoch:
            scheduler.step()
