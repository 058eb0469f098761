"""Build an optimizer with few parameter groups: one for each (lr, weight decay)."""

import difflib
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from mmengine.logging import MMLogger
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapper
from torch import nn

from mmfusion.engine.optimizers.layer_decay import LayerDecay
from mmfusion.registry import OPTIM_WRAPPER_CONSTRUCTORS, OPTIM_WRAPPERS, OPTIMIZERS
from mmfusion.utils.errors import ConfigError

_KEYS = (
    "custom_keys",
    "norm_decay_mult",
    "bias_decay_mult",
    "layer_decay",
    "may_be_absent",
)


def check_custom_keys(
    keys: Iterable[str], names: Collection[str], may_be_absent: Collection[str] = ()
) -> None:
    """Refuse a key of ``paramwise_cfg.custom_keys`` that matches no parameter.

    Args:
        keys: parts of names. names: of the model's parameters.
        may_be_absent: keys that need not match, as the schedule serves other models.

    Raises:
        ConfigError: the key, and parts of names that look like it.
    """
    for key in keys:
        if key in may_be_absent or any(key in name for name in names):
            continue
        parts = {part for name in names for part in name.split(".")}
        close = difflib.get_close_matches(key.strip("."), parts, n=3, cutoff=0.5)
        hint = f"; nearest: {', '.join(close)}" if close else ""
        raise ConfigError(
            f"config key optim_wrapper.paramwise_cfg.custom_keys: {key!r} is in the"
            f" name of no parameter of this model{hint} (a schedule for several models"
            " names such keys in paramwise_cfg.may_be_absent)"
        )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _dict_of(options: Mapping[str, Any], key: str) -> dict[str, Any]:
    """The dict under ``key``; empty where there is none."""
    value = options.get(key) or {}
    if not isinstance(value, Mapping):
        raise ConfigError(
            f"optim_wrapper.paramwise_cfg.{key} is {value!r}, expected a dict"
        )
    return dict(value)


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class GroupedOptimWrapperConstructor:
    """MMEngine's ``paramwise_cfg`` without one group, and five log lines, a parameter.

    A fused optimizer works group by group, so few groups are faster. All norms count as
    norms here, RMSNorm included, which MMEngine's constructor takes for a weight.

    Args:
        optim_wrapper_cfg: config of the wrapper with its ``optimizer``.
        paramwise_cfg: ``custom_keys``, a part of a parameter's name to
            ``dict(lr_mult=..., decay_mult=...)``; ``norm_decay_mult`` and
            ``bias_decay_mult``. Each of a parameter's two factors comes from the
            longest key that gives it, so that ``neck.`` may set the rate of a fusion
            and ``.A_log`` the decay of the same parameter; a decay that no key gives
            is that of norms and biases, or 1. ``layer_decay``: arguments of
            :class:`LayerDecay`, whose scale multiplies the rate. ``may_be_absent``:
            custom keys that need not be in any name; every other one must be.
    """

    def __init__(
        self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None
    ) -> None:
        self.wrapper_cfg = dict(optim_wrapper_cfg)
        self.optimizer_cfg = dict(self.wrapper_cfg.pop("optimizer"))
        options = dict(paramwise_cfg or {})
        unknown = sorted(set(options) - set(_KEYS))
        if unknown:
            raise ConfigError(
                f"optim_wrapper.paramwise_cfg has unknown keys {unknown}, expected "
                f"some of {list(_KEYS)}"
            )
        keys = _dict_of(options, "custom_keys")
        self.custom_keys = {key: keys[key] for key in sorted(keys, key=len)[::-1]}
        for key, multipliers in keys.items():
            if (
                not isinstance(multipliers, Mapping)
                or set(multipliers) - {"lr_mult", "decay_mult"}
                or not all(_is_number(value) for value in multipliers.values())
            ):
                raise ConfigError(
                    f"optim_wrapper.paramwise_cfg.custom_keys[{key!r}] is "
                    f"{multipliers}, expected numbers lr_mult and decay_mult"
                )
        for name in ("norm_decay_mult", "bias_decay_mult"):
            if not _is_number(options.get(name, 1.0)):
                raise ConfigError(
                    f"optim_wrapper.paramwise_cfg.{name} is {options[name]!r}, expected"
                    " a number"
                )
        self.may_be_absent = tuple(options.get("may_be_absent") or ())
        self.norm_decay = options.get("norm_decay_mult", 1.0)
        self.bias_decay = options.get("bias_decay_mult", 1.0)
        decay = _dict_of(options, "layer_decay")
        if set(decay) - {"rate", "form"} or len(decay) == 1:
            raise ConfigError(
                f"optim_wrapper.paramwise_cfg.layer_decay is {decay}, expected rate"
                " and form"
            )
        self.layer_decay = LayerDecay(**decay) if decay else None

    def __call__(self, model: nn.Module) -> OptimWrapper:
        """The optimizer wrapper for the parameters of ``model`` that are trained."""
        if is_model_wrapper(model):
            model = model.get_submodule("module")
        groups: dict[tuple[float, float], list[nn.Parameter]] = {}
        seen: set[int] = set()
        names = [name for name, _ in model.named_parameters()]
        check_custom_keys(self.custom_keys, names, self.may_be_absent)
        scales = self.layer_decay.scales(names) if self.layer_decay else {}
        for module_name, module in model.named_modules():
            for name, parameter in module.named_parameters(recurse=False):
                if not parameter.requires_grad or id(parameter) in seen:
                    continue
                seen.add(id(parameter))
                full = f"{module_name}.{name}"
                lr_mult, decay_mult = self._multipliers(full, module)
                key = (lr_mult * scales.get(full, 1.0), decay_mult)
                groups.setdefault(key, []).append(parameter)
        optimizer = OPTIMIZERS.build(
            self.optimizer_cfg,
            default_args={"params": [self._group(*item) for item in groups.items()]},
        )
        logger = MMLogger.get_current_instance()
        for (lr_mult, decay_mult), parameters in groups.items():
            logger.info(
                f"optimizer group: {len(parameters)} parameters, lr x {lr_mult:g}, "
                f"weight decay x {decay_mult}"
            )
        cfg = {"type": "mmfusion.FusionOptimWrapper", **self.wrapper_cfg}
        return OPTIM_WRAPPERS.build(cfg, default_args={"optimizer": optimizer})

    def _multipliers(self, name: str, module: nn.Module) -> tuple[float, float]:
        """(of the learning rate, of the weight decay) for one parameter."""
        found: dict[str, float] = {}
        for key, value in self.custom_keys.items():
            if key in name:
                found = {**value, **found}
        if "Norm" in type(module).__name__:
            decay: float = self.norm_decay
        else:
            decay = self.bias_decay if name.endswith("bias") else 1.0
        return found.get("lr_mult", 1.0), found.get("decay_mult", decay)

    def _group(
        self, multipliers: tuple[float, float], parameters: list[nn.Parameter]
    ) -> dict[str, Any]:
        """One group of the optimizer."""
        lr_mult, decay_mult = multipliers
        group: dict[str, Any] = {"params": parameters}
        if "lr" in self.optimizer_cfg:
            group["lr"] = self.optimizer_cfg["lr"] * lr_mult
        if "weight_decay" in self.optimizer_cfg:
            group["weight_decay"] = self.optimizer_cfg["weight_decay"] * decay_mult
        return group
