"""Start a module from a checkpoint, strictly: what does not fit stops the run."""

from collections.abc import Mapping, Sequence

from mmengine.logging import MMLogger
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmfusion.registry import WEIGHT_INITIALIZERS
from mmfusion.utils.errors import CheckpointError
from mmfusion.weights.files import TIMEOUT, read_tensors, shown
from mmfusion.weights.fit import fit

_SHOWN = 12  # names in a message


@WEIGHT_INITIALIZERS.register_module()
class Pretrained:
    """Load weights into the module that names this in its ``init_cfg``.

    Every key must be there with its shape, and none may be left over; keys that are
    to stay fresh or unused are named in ``ignore``. Weights that the authors of a
    backbone published fit as they are: containers are opened, keys renamed by the
    backbone's ``published_weights``, tables of positions and of times interpolated, and
    the log has a report.

    Args:
        checkpoint: a ``.pth``, ``.pt``, ``.pyth`` or ``.safetensors`` file: a path,
            ``hf://<owner>/<repository>/<file>`` or ``https://...``.
        container: the dict in the file to take, such as ``model_ema``; None takes the
            one that published files have: ``state_dict``, ``model_state``, ``model``.
        prefix: part of the checkpoint to take, such as ``encoders.video.``; keys
            outside it are not looked at.
        ignore: prefixes (after ``prefix`` is cut), or patterns with ``*``, of the
            module's keys that may differ, such as ``heads.``; what fits is loaded.
        fresh: the same, of keys that keep their start even where the file has them.
        sha256: what the file must have; required for https.
        revision: commit, tag or branch on the hub.
        timeout: seconds that a server may take without sending anything.
        interpolate: False makes another number of frames or another size an error.

    Raises:
        CheckpointError: there is no such file, or keys or shapes differ; the message
            lists them.
    """

    def __init__(
        self,
        checkpoint: str,
        prefix: str = "",
        ignore: Sequence[str] = (),
        *,
        fresh: Sequence[str] = (),
        container: str | None = None,
        sha256: str | None = None,
        revision: str | None = None,
        timeout: float = TIMEOUT,
        interpolate: bool = True,
    ) -> None:
        self.checkpoint = str(checkpoint)
        self.prefix = prefix if not prefix or prefix.endswith(".") else prefix + "."
        self.ignore = (ignore,) if isinstance(ignore, str) else tuple(ignore)
        self.fresh = (fresh,) if isinstance(fresh, str) else tuple(fresh)
        self.container = container
        self.sha256, self.revision, self.timeout = sha256, revision, timeout
        self.interpolate = interpolate

    def __call__(self, module: nn.Module) -> None:
        """Copy the weights into ``module``; the log has the report.

        MMEngine does so after the children's own start where the type is the string
        "Pretrained", but before it where it is this class: that start comes first.
        """
        for child in module.children():
            starting = hasattr(child, "_params_init_info")  # by MMEngine's init_weights
            if starting and isinstance(child, BaseModule) and not child.is_init:
                child.init_weights()
        name = f"{shown(self.checkpoint)} (prefix {self.prefix!r})"
        weights, report = fit(
            self._read(),
            module,
            name,
            ignore=self.ignore,
            fresh=self.fresh,
            interpolate=self.interpolate,
        )
        module.load_state_dict(weights, strict=False)
        _note_start(module, weights, f"{type(self).__name__}: loaded from {name}")
        MMLogger.get_current_instance().info(
            f"{type(module).__name__} from {name}: {report}"
        )

    def _read(self) -> dict[str, Tensor]:
        """The checkpoint's tensors under the prefix, which is cut off."""
        try:
            tensors = read_tensors(
                self.checkpoint,
                container=self.container,
                sha256=self.sha256,
                revision=self.revision,
                timeout=self.timeout,
            )
        except CheckpointError as error:
            if "://" in self.checkpoint or "does not exist" not in str(error):
                raise
            raise CheckpointError(
                f"{error}. If it is the result of another config, train that one first"
                " (its --work-dir is the checkpoint's folder), or give another path by"
                " --cfg-options model.encoders.<stream>.init_cfg.checkpoint=PATH (of a"
                " teacher model.auxiliary.<name>.teacher.init_cfg.checkpoint)"
            ) from error
        cut = len(self.prefix)
        found = {k[cut:]: v for k, v in tensors.items() if k.startswith(self.prefix)}
        if not found:
            parts = sorted({".".join(key.split(".")[:2]) for key in tensors})
            raise CheckpointError(
                f"{self.checkpoint} holds no key under {self.prefix!r}; it holds"
                f" {', '.join(parts[:_SHOWN])}"
            )
        return found


def _note_start(module: nn.Module, weights: Mapping[str, Tensor], text: str) -> None:
    """Tell MMEngine's init_weights, which prints it, where parameters come from.

    By itself it asks whether their means have changed, and only of its own kinds of
    start.
    """
    info = getattr(module, "_params_init_info", {})
    for name, parameter in module.named_parameters():
        if parameter in info and name in weights:
            mean = parameter.data.mean().cpu()
            info[parameter] = {"init_info": text, "tmp_mean_value": mean}
