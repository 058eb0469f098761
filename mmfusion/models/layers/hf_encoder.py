"""Base of encoders around a model of transformers: its weights, and who keeps them.

The model is built from its config alone; its published weights are read where the run
starts, from a folder or the hub's local cache.
"""

import difflib
import hashlib
from collections.abc import Collection, Mapping
from typing import Any

import torch
from mmengine.logging import MMLogger
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmfusion.models.layers.tuning import LoRA, merge_adapters
from mmfusion.registry import MODELS
from mmfusion.utils.errors import CheckpointError, InputError
from mmfusion.utils.hugging_face import (
    import_transformers,
    load_local,
    value_errors,
)

DIGEST = "base_digest"  # key of the sha256 of weights that a checkpoint leaves out


class HFEncoder(BaseModule):
    """A model of transformers, its published weights, and what of it is trained.

    A subclass builds the model and calls :meth:`hold`. Weights are loaded by
    ``init_weights``, which the runner calls; an encoder that is used before it has its
    weights raises. With ``slim``, a checkpoint holds what is trained and the sha256 of
    the rest, which is read again from ``pretrained``: another rest is refused.

    Args:
        pretrained: a folder that ``save_pretrained`` wrote or a name on the hub, whose
            files are in the local cache; None starts from random weights.
        revision: commit, tag or branch of ``pretrained`` on the hub.

    Attributes:
        model: the model of transformers, or the part of it that is used.
        config: of transformers, of that part.
    """

    model: Any
    config: Any

    def __init__(
        self,
        pretrained: str | None,
        revision: str | None,
        init_cfg: dict | list[dict] | None,
    ) -> None:
        super().__init__(init_cfg)
        self.pretrained, self.revision = pretrained, revision
        self.tuning: Any = None
        self._resting = False  # all of the model stays in evaluation mode
        self._waits_for_weights = pretrained is not None
        self._left_out: frozenset[str] = frozenset()
        self.register_state_dict_post_hook(_leave_base_out)
        self.register_load_state_dict_pre_hook(_bring_base)
        self.register_load_state_dict_post_hook(_has_weights)

    def hold(
        self,
        model: nn.Module,
        *,
        mode: str,
        tuning: Mapping[str, Any] | None,
        slim: bool,
    ) -> None:
        """Take the built model, and freeze what is not trained.

        Args:
            model: with random weights. mode: ``tuned``, or any other, which freezes.
            tuning: config of what ``tuned`` trains, such as :class:`LastBlocks`; None
                trains all.
            slim: leave what is not trained out of checkpoints, where it can be read
                from ``pretrained``.

        Raises:
            ValueError: a tuning of a frozen model, or of none of its layers.
        """
        self.model = model
        if tuning is not None and mode != "tuned":
            raise InputError(
                f"tuning is {dict(tuning)} and mode is {mode!r}: expected 'tuned'"
            )
        self._resting = mode == "frozen"
        if mode != "tuned" or tuning is not None:
            model.requires_grad_(False)
        if tuning is not None:
            self.tuning = MODELS.build(dict(tuning))
            self.tuning.apply(model, self.adapted_layers())
        if slim and self.pretrained is not None:
            trained = {n for n, p in model.named_parameters() if p.requires_grad}
            self._left_out = frozenset(model.state_dict().keys() - trained)
        if self._left_out:
            self.register_buffer(DIGEST, torch.zeros(32, dtype=torch.uint8))

    def adapted_layers(self) -> list[str] | None:
        """Names of the layers that LoRA adapts by default; None leaves it to peft."""
        return None

    def train(self, mode: bool = True) -> "HFEncoder":
        """Keep what is frozen in evaluation mode: no dropout."""
        super().train(mode)
        if self._resting:
            self.model.eval()
        elif self.tuning is not None:
            self.tuning.train(self.model, mode)
        return self

    def init_weights(self) -> None:
        """Load the weights of ``pretrained``, then those that ``init_cfg`` names.

        MMEngine would then call the ``init_weights`` that every model of Hugging Face
        has too, which must not touch what was loaded.
        """
        if self._waits_for_weights:
            self.load_pretrained()
        self.model.is_init = True
        super().init_weights()

    def read_pretrained(self) -> tuple[nn.Module, Collection[str]]:
        """The published model, with its weights, and the keys that it lacks of them."""
        raise NotImplementedError

    def load_pretrained(self) -> None:
        """Copy the published weights; each tensor of the model must be among them.

        Raises:
            OSError: ``pretrained`` is not here; the message has the command to fetch
                it.
            CheckpointError: it is of another architecture.
        """
        model, lacking = self.read_pretrained()
        if lacking:
            first = ", ".join(sorted(lacking)[:3])
            raise CheckpointError(
                f"{self.pretrained} does not fit {type(model).__name__}: it lacks, or"
                f" has in another shape, {first} ({len(lacking)} in all); is hf_config"
                " its own?"
            )
        published = model.state_dict()
        odd = [key for key, value in published.items() if not value.isfinite().all()]
        if odd:
            raise CheckpointError(
                f"{self.pretrained}: {odd[0]} has NaN or infinity, as"
                f" {len(odd)} of its tensors have; fetch it again"
            )
        own = self.model.state_dict()
        for key, value in own.items():
            plain = key.replace(".base_layer.", ".")  # peft's name for what it adapts
            if plain in published:
                value.copy_(published[plain])
        if self._left_out:
            self.base_digest.copy_(digest_of(published))
        self._waits_for_weights = False
        MMLogger.get_current_instance().info(
            f"{type(self).__name__}: weights loaded from {self.pretrained}"
        )

    def merge(self) -> None:
        """Fold the adapters of LoRA into the weights: the same function, frozen.

        A checkpoint then holds the whole model, by the names of transformers.
        """
        self.check_has_weights()
        if isinstance(self.tuning, LoRA):
            merge_adapters(self.model)
        self.model.requires_grad_(False)
        self.tuning, self._resting = None, True
        if self._left_out:
            self._left_out = frozenset()
            del self.base_digest
        self.train(self.training)

    @property
    def is_whole(self) -> bool:
        """All weights are in a checkpoint; else some are read again."""
        return not self._left_out

    def config_without_files(self) -> dict[str, Any]:
        """Arguments that build this architecture from no file."""
        told = self.config.to_diff_dict() | {"model_type": self.config.model_type}
        return {"pretrained": None, "revision": None, "hf_config": told}

    def check_has_weights(self) -> None:
        """Raise CheckpointError before the weights of ``pretrained`` are there."""
        if self._waits_for_weights:
            raise CheckpointError(
                f"{type(self).__name__} still has random weights: call init_weights()"
                f" to load {self.pretrained}, or load a checkpoint"
            )


def digest_of(tensors: Mapping[str, Tensor]) -> Tensor:
    """(32,) uint8: sha256 over names, kinds, shapes and bytes, in order of names."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        value = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return torch.frombuffer(bytearray(digest.digest()), dtype=torch.uint8)


def _leave_base_out(
    module: nn.Module, state: dict[str, Any], prefix: str, metadata: Any
) -> None:
    assert isinstance(module, HFEncoder)
    for key in module._left_out:
        del state[f"{prefix}model.{key}"]


def _bring_base(
    module: nn.Module, state: dict[str, Any], prefix: str, *others: Any
) -> None:
    """Before a checkpoint is loaded: its base must be ours, which it does not hold."""
    assert isinstance(module, HFEncoder)
    told = state.get(prefix + DIGEST)
    if not module._left_out or told is None:
        return
    if not told.is_meta:  # where nothing is computed, but counted
        if module._waits_for_weights and bool(told.any()):
            module.load_pretrained()
        _check_base(module, told.cpu())
    module._waits_for_weights = False
    whole = module.model.state_dict()
    for key in module._left_out:
        state.setdefault(f"{prefix}model.{key}", whole[key])


def _check_base(module: HFEncoder, told: Tensor) -> None:
    own = module.base_digest.cpu()
    if not torch.equal(told, own):
        raise CheckpointError(
            f"the checkpoint goes with other weights than {module.pretrained}"
            f" (revision {module.revision or 'main'}): theirs have sha256"
            f" {_hex(told)}, these {_hex(own)}; give the model that it was trained on"
            " as pretrained, or its revision"
        )


def _hex(digest: Tensor) -> str:
    return bytes(digest.tolist()).hex()[:16] + "..."


def _has_weights(module: nn.Module, incompatible_keys: Any) -> None:
    """After a whole checkpoint was loaded, the weights are there."""
    if isinstance(module, HFEncoder) and not incompatible_keys.missing_keys:
        module._waits_for_weights = False


def find_config(
    pretrained: str | None, revision: str | None, hf_config: Mapping[str, Any] | None
) -> Any:
    """The config of transformers, of its keys or of the published model's file.

    Raises:
        ValueError: neither is given, or a key is nearly one of the config's.
        OSError: ``pretrained`` is not here.
    """
    configs = import_transformers().AutoConfig
    if hf_config is not None:
        if "model_type" not in hf_config:
            raise InputError(
                "hf_config has no model_type, expected the name of an architecture of"
                " transformers, such as 'videomae'"
            )
        try:
            config = configs.for_model(**hf_config)
        except value_errors() as error:
            reason = " ".join(str(error).split())
            raise InputError(f"hf_config: {reason:.300}") from error
        _check_hf_keys(hf_config, type(config)().to_dict())
        return config
    if pretrained is None:
        raise InputError("pretrained and hf_config are both None, expected one")
    return load_local(configs, pretrained, revision)


def _check_hf_keys(given: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    """Refuse a key that is nearly one of the config's: transformers takes any.

    Keys like no other pass, as the files of a hub have some that nothing reads.
    """
    for key in given:
        close = difflib.get_close_matches(key, [*known], n=1, cutoff=0.8)
        if key not in known and close and close[0] not in given:
            raise InputError(f"hf_config has no key {key!r}; nearest: {close[0]}")


def read_model(
    kind: Any, source: str, revision: str | None, options: Mapping[str, Any]
) -> tuple[nn.Module, Collection[str]]:
    """A published model in float32 and the keys that its file lacks, by safetensors."""
    model, report = load_local(
        kind,
        source,
        revision,
        use_safetensors=True,
        dtype=torch.float32,
        ignore_mismatched_sizes=True,
        output_loading_info=True,
        **options,
    )
    others = [key for key, *_ in report["mismatched_keys"]]
    unused = sorted(report["unexpected_keys"])
    if unused:  # heads, or blocks that its config does not have
        MMLogger.get_current_instance().info(
            f"{source}: {len(unused)} tensors of the file are not used, such as"
            f" {unused[0]}"
        )
    return model, [*report["missing_keys"], *others]
