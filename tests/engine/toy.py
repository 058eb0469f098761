"""A model, a dataset and a metric that train in a second, for the engine's tests."""

import os
import signal
import time

import torch
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.model import BaseModel, ModuleDict
from torch import nn
from torch.nn import functional as F
from torch.utils.data import Dataset

from mmfusion.datasets import SampleKey
from mmfusion.registry import DATASETS, HOOKS, METRICS, MODELS
from mmfusion.structures import ActionDataSample
from mmfusion.utils.errors import VideoDecodeError

FEATURES, CLASSES = 6, 3


class ToyHead(nn.Linear):
    """A linear head that says how many classes it has."""

    def __init__(self, num_classes):
        super().__init__(8, num_classes)
        self.num_classes = num_classes


@MODELS.register_module()
class ToyModel(BaseModel):
    """Linear, batch norm, dropout, linear over ``inputs['video']`` (b, 6)."""

    def __init__(self, num_classes=CLASSES, drop_rate=0.5, with_bn=True):
        super().__init__()
        self.body = nn.Linear(FEATURES, 8)
        self.norm = nn.BatchNorm1d(8) if with_bn else nn.LayerNorm(8)
        self.drop = nn.Dropout(drop_rate)
        self.heads = ModuleDict({"action": ToyHead(num_classes)})
        self.alpha = nn.Parameter(torch.ones(()))

    def logged_scalars(self):
        return {"alpha": float(self.alpha.detach())}

    def forward(self, inputs, data_samples=None, mode="tensor"):
        hidden = self.drop(torch.relu(self.norm(self.body(inputs["video"]))))
        logits = self.alpha * self.heads["action"](hidden)  # (b, k)
        if mode == "loss":
            target = torch.stack([sample.gt_action for sample in data_samples])
            return {"loss_action": F.cross_entropy(logits, target)}
        for sample, score in zip(data_samples, logits.softmax(-1), strict=True):
            sample.score_action = score
        return data_samples


@DATASETS.register_module()
class ToyDataset(Dataset):
    """Sample ``key`` is a function of (seed, epoch, index).

    ``bad_index`` has a NaN, ``missing`` cannot be read.
    """

    def __init__(self, size=22, bad_index=None, num_classes=CLASSES, missing=None):
        self.size, self.bad_index, self.missing = size, bad_index, missing
        names = [f"class {index}" for index in range(num_classes)]
        self.metainfo = {"classes": {"action": names}}

    def __len__(self):
        return self.size

    def digest(self):
        return "the toy"

    def files_of(self, sample_id):
        return {"video": f"{sample_id}.mp4"}

    def __getitem__(self, key):
        if not isinstance(key, SampleKey):
            key = SampleKey(key, 0, 0)
        if key.index == self.missing:
            raise VideoDecodeError("no.mp4", "decord", "no such file")
        base = torch.Generator().manual_seed(key.index)
        video = torch.randn(FEATURES, generator=base)
        noise = torch.Generator().manual_seed(hash(tuple(key)) % 2**31)
        label = int(video.sum() > 0) + int(video[0] > 0)
        video = video + 0.1 * torch.randn(FEATURES, generator=noise)
        if key.index == self.bad_index:
            video[2] = torch.nan
        sample = ActionDataSample(metainfo={"sample_id": f"toy-{key.index}"})
        sample.gt_action = torch.tensor(label)
        return {"inputs": {"video": video}, "data_samples": sample}


@METRICS.register_module()
class ToyAccuracy(BaseMetric):
    """``action/top1`` in percent; draws from the global generator, as it should not."""

    def process(self, data_batch, data_samples):
        torch.rand(1)
        for sample in data_samples:
            hit = int(sample["score_action"].argmax()) == int(sample["gt_action"])
            self.results.append(hit)

    def compute_metrics(self, results):
        return {"action/top1": 100.0 * sum(results) / len(results)}


@HOOKS.register_module()
class SignalAt(Hook):
    """Sends the own process a signal at one place of the run."""

    priority = "VERY_HIGH"

    def __init__(self, stage, at, signum=signal.SIGTERM, rank=None):
        self.stage, self.at, self.signum, self.rank = stage, at, signum, rank

    def _send(self, stage, at):
        mine = self.rank is None or int(os.environ.get("RANK", 0)) == self.rank
        if (stage, at) == (self.stage, self.at) and mine:
            os.kill(os.getpid(), self.signum)
            time.sleep(0.05)

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self._send("iter", runner.iter + 1)

    def after_train_epoch(self, runner):
        self._send("epoch", runner.epoch + 1)

    def after_val_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if batch_idx == 1:
            self._send("val", runner.epoch)

    def after_val_epoch(self, runner, metrics=None):
        self._send("val_end", runner.epoch)


@HOOKS.register_module()
class IdLog(Hook):
    """Appends the ids of every training batch to a file."""

    def __init__(self, path):
        self.path = path

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        ids = " ".join(sample.sample_id for sample in data_batch["data_samples"])
        with open(self.path, "a") as file:
            file.write(f"{runner.iter} {ids}\n")
