"""TensorBoard and Weights & Biases beside the log of a run, each by one option."""

from typing import Any

from mmengine.config import Config

from mmfusion.utils.errors import ConfigError
from mmfusion.utils.optional import import_optional

TENSORBOARD = "mmengine.TensorboardVisBackend"
WANDB = "mmfusion.WandbBackend"


def log_for_tensorboard(config: Config) -> None:
    """Add TensorBoard to what a run logs to.

    Raises:
        MissingPackageError: it is not installed.
    """
    import_optional("tensorboard", "logs for TensorBoard")
    _add(config, TENSORBOARD, dict(type=TENSORBOARD))


def log_for_wandb(config: Config, project: str) -> None:
    """Add Weights & Biases to what a run logs to.

    Args:
        config: of the run.
        project: name of the project at W&B.

    Raises:
        MissingPackageError: it is not installed.
        ConfigError: a name that W&B does not take.
    """
    if not project or len(project) > 128 or set(project) & set("/\\#?%:"):
        raise ConfigError(
            f"--wandb {project!r}: expected a name of 1 to 128 characters without"
            " / \\ # ? % :"
        )
    import_optional("wandb", "logs for Weights & Biases")
    _add(config, WANDB, dict(type=WANDB, project=project))


def drop_wandb(config: Config) -> None:
    """Leave W&B out of a test: the config of a run would go on with its run there."""
    visualizer = config.get("visualizer")
    if visualizer and visualizer.get("vis_backends"):
        kept = [one for one in visualizer.vis_backends if not _is(one, WANDB)]
        visualizer.vis_backends = kept


def _add(config: Config, name: str, backend: dict[str, Any]) -> None:
    if not config.get("visualizer"):
        config.visualizer = dict(type="mmengine.Visualizer")
    backends = [*(config.visualizer.get("vis_backends") or [])]
    if not backends:
        backends = [dict(type="mmengine.LocalVisBackend")]
    kept = [one for one in backends if not _is(one, name)]
    config.visualizer.vis_backends = [*kept, backend]


def _is(backend: Any, name: str) -> bool:
    kind = backend.get("type")
    return name.endswith(f".{getattr(kind, '__name__', str(kind)).rpartition('.')[2]}")
