"""Start a module from a checkpoint, strictly: what does not fit stops the run."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from mmengine.logging import MMLogger
from torch import Tensor, nn

from mmfusion.engine.checkpoint import load_checked, state_dict_difference
from mmfusion.engine.errors import CheckpointError
from mmfusion.registry import WEIGHT_INITIALIZERS

_CONTAINERS = ("state_dict", "model", "module")
_SHOWN = 12  # names in a message


@WEIGHT_INITIALIZERS.register_module()
class Pretrained:
    """Load weights into the module that names this in its ``init_cfg``.

    Every key must be there with its shape, and none may be left over; keys that are
    to stay fresh or unused are named in ``ignore``.

    Args:
        checkpoint: path of a ``.pth`` or ``.safetensors`` file.
        prefix: part of the checkpoint to take, such as ``encoders.video.``; keys
            outside it are not looked at.
        ignore: prefixes (after ``prefix`` is cut) that may differ, such as ``head.``.

    Raises:
        CheckpointError: there is no such file, or keys or shapes differ; the message
            lists them.
    """

    def __init__(
        self, checkpoint: str, prefix: str = "", ignore: Sequence[str] = ()
    ) -> None:
        self.checkpoint = Path(checkpoint)
        self.prefix = prefix if not prefix or prefix.endswith(".") else prefix + "."
        self.ignore = tuple(ignore)

    def __call__(self, module: nn.Module) -> None:
        """Copy the weights into ``module``."""
        found = self._read()
        wanted = module.state_dict()
        difference = state_dict_difference(
            self._compared(wanted), self._compared(found)
        )
        if difference:
            raise CheckpointError(
                f"{self.checkpoint} (prefix {self.prefix!r}) does not fit"
                f" {type(module).__name__}:\n{difference}\n"
                "Give the checkpoint of this very model, or name what may differ in"
                " init_cfg's ignore=[...]."
            )
        usable = {key: value for key, value in found.items() if key in wanted}
        usable = {k: v for k, v in usable.items() if v.shape == wanted[k].shape}
        module.load_state_dict(usable, strict=False)
        MMLogger.get_current_instance().info(
            f"{type(module).__name__}: {len(usable)} of {len(wanted)} tensors loaded"
            f" from {self.checkpoint} (prefix {self.prefix!r})"
        )

    def _compared(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What must be there, with its shape."""
        return {k: v for k, v in tensors.items() if not k.startswith(self.ignore)}

    def _read(self) -> dict[str, Tensor]:
        """The checkpoint's tensors under the prefix, which is cut off."""
        if not self.checkpoint.is_file():
            raise CheckpointError(
                f"checkpoint {self.checkpoint} is not there. If it is the result of"
                " another config, train that one first (its --work-dir is the"
                " checkpoint's folder), or give another path by"
                " --cfg-options model.encoders.<stream>.init_cfg.checkpoint=PATH"
            )
        content = load_checked(self.checkpoint)
        for name in _CONTAINERS:
            if isinstance(content, Mapping) and isinstance(content.get(name), Mapping):
                content = content[name]
        tensors = {key: v for key, v in content.items() if isinstance(v, Tensor)}
        cut = len(self.prefix)
        found = {k[cut:]: v for k, v in tensors.items() if k.startswith(self.prefix)}
        if not found:
            parts = sorted({".".join(key.split(".")[:2]) for key in tensors})
            raise CheckpointError(
                f"{self.checkpoint} holds no key under {self.prefix!r}; it holds"
                f" {', '.join(parts[:_SHOWN]) or 'no tensors'}"
            )
        return found
