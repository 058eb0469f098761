"""Folders of complete runs, as tools/train.py and tools/test.py leave them."""

import json

import numpy as np
import torch

from mmfusion.analysis.experiments import read_config
from mmfusion.engine.launch.config_check import known_keys
from mmfusion.engine.runner.checkpoints import save_atomic
from mmfusion.engine.runner.work_dir import CONFIG_MARK
from mmfusion.evaluation.predictions import Predictions, save_predictions

LOADERS = ("train_dataloader", "val_dataloader", "test_dataloader")


def data_options(root, **settings):
    """Options that point every loader of a config to a data set."""
    chosen = {"data_root": str(root), **settings}
    return {f"{one}.dataset.{key}": v for one in LOADERS for key, v in chosen.items()}


def made_predictions(ids, labels, guesses, classes, *, split="test", sure=0.8):
    """Scores of a model that gives ``guesses``, at one confidence."""
    rest = (1 - sure) / (len(classes) - 1)
    score = np.full((len(ids), len(classes)), rest, np.float32)
    score[np.arange(len(ids)), guesses] = sure
    meta = {"classes": {"action": classes}, "dataset": "made", "split": split}
    gt = {"action": np.array(labels, np.int64)}
    return Predictions(list(ids), {"action": score}, gt, meta)


def write_run(folder, config, options, predictions, *, scalars=(), seed=0):
    """A run of a config with these predictions; its model was never trained."""
    folder.mkdir(parents=True)
    chosen = {**options, "randomness.seed": seed}
    made = read_config(config, chosen, folder)
    for key in made.to_dict().keys() - known_keys():
        made.pop(key)
    (folder / config.name).write_text(f"{CONFIG_MARK}\n{made.pretty_text}")
    save_atomic({"state_dict": {"w": torch.zeros(5)}}, folder / "best.pth")
    done = dict(epoch=3, iter=12, best=None)
    (folder / "finished.json").write_text(json.dumps(done))
    log = folder / "20260101_000000" / "vis_data"
    log.mkdir(parents=True)
    if scalars:
        lines = "".join(json.dumps(record) + "\n" for record in scalars)
        (log / "scalars.json").write_text(lines)
    if predictions is not None:
        save_predictions(folder / "predictions.json", predictions)
    return folder
