"""Real clips of a run, as its model gets them."""

import os
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.registry import DefaultScope
from torch import Tensor

from mmfusion.analysis.trained_runs import read_runs
from mmfusion.apis.folder import MANIFEST
from mmfusion.datasets import fusion_collate
from mmfusion.engine.launch.config_check import load_config
from mmfusion.engine.launch.config_features import live_form
from mmfusion.registry import DATASETS
from mmfusion.structures import MASK_SUFFIX
from mmfusion.utils.errors import InputError


def real_inputs(
    source: str | os.PathLike, model: Any, count: int = 2
) -> dict[str, Tensor]:
    """Normalised inputs (b, ...) by name of the first test clips of a run.

    Args:
        source: a run's folder, or a config, which runs. model: of the same.
        count: clips. Of several views the first is taken.

    Raises:
        InputError: there is no config, or too few clips.
        MMFusionError, OSError: the data is not here.
    """
    path = Path(source)
    if path.is_dir() and not (path / MANIFEST).exists():
        path = read_runs([path])[0].config_path
    if path.suffix != ".py":
        raise InputError(f"{source} has no config that says where clips are")
    config = load_config(path)
    dataset = _test_set(config)
    if len(dataset) < count:
        raise InputError(f"the test set of {path} has under {count} clips")
    samples = [dataset[index] for index in range(count)]
    batch = model.data_preprocessor(fusion_collate(samples), False)
    inputs = {name: x[:, 0] for name, x in batch["inputs"].items()}
    return {  # in the model's order, without masks of a video, which is whole
        name: inputs[name]
        for stream in model.encoders
        for name in (stream, stream + MASK_SUFFIX)
        if name in inputs and name != f"video{MASK_SUFFIX}"
    }


def _test_set(config: Config) -> Any:
    live = live_form(config)  # frames where a run read kept tokens: models read them
    for key in ("test_dataloader", "val_dataloader"):
        if (live.get(key) or {}).get("dataset"):
            with DefaultScope.overwrite_default_scope("mmfusion"):
                return DATASETS.build(live[key]["dataset"])
    raise InputError(f"{config.filename} has no test_dataloader")
