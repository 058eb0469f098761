"""Scalars and config of a run for Weights & Biases."""

import secrets
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.visualization import WandbVisBackend
from mmengine.visualization.vis_backend import force_init_env

from mmfusion.registry import VISBACKENDS
from mmfusion.utils.errors import ConfigError, WorkDirError
from mmfusion.utils.optional import import_optional
from mmfusion.utils.paths import write_atomic
from mmfusion.utils.text_files import read_names

ID_FILE = "wandb_id.txt"


@VISBACKENDS.register_module()
class WandbBackend(WandbVisBackend):
    """MMEngine's backend, which sends no source code and continues the run of a folder.

    MMEngine's own sends every Python file below the current folder, and begins another
    run where a training is continued. The id of the run is in ``wandb_id.txt`` of the
    work folder. With ``WANDB_MODE=offline`` all stays in the run's log folder, and
    ``wandb sync`` sends it later.

    Args:
        save_dir: of the log: ``<work folder>/<time>/vis_data``.
        project: name of the project; W&B makes it where it is new.
    """

    def __init__(self, save_dir: str, project: str = "mmfusion") -> None:
        work_dir = Path(save_dir).resolve().parents[1]
        known = dict(project=project, name=work_dir.name, resume="allow")
        super().__init__(save_dir, init_kwargs=known)
        self.id_file = work_dir / ID_FILE

    def _init_env(self) -> None:
        """Start, or go on with, the folder's run."""
        if not self.id_file.is_file():
            write_atomic(self.id_file, f"{secrets.token_hex(6)}\n".encode())
        names = read_names(self.id_file)
        if len(names) != 1 or not names[0].isalnum():
            raise WorkDirError(
                f"{self.id_file} holds {names}, expected the id of a W&B run; delete it"
                " to begin another run there"
            )
        assert self._init_kwargs is not None
        self._init_kwargs["id"] = names[0]
        wandb = import_optional("wandb", "logs for Weights & Biases")
        try:
            super()._init_env()
        except wandb.Error as error:
            raise ConfigError(
                f"W&B does not begin a run: {error}; 'wandb login' once, or set"
                " WANDB_MODE=offline, which sends nothing"
            ) from error

    @force_init_env
    def add_config(self, config: Config, **kwargs: Any) -> None:
        """Send the config; a continued run may have changed it."""
        self._wandb.config.update(config.to_dict(), allow_val_change=True)
