"""MMAction2's metrics by their prefix: they find what they read, or are refused."""

import json

import pytest
import torch

from mmfusion.engine import FusionRunner
from mmfusion.engine.hooks.progress_hook import ProgressHook
from mmfusion.engine.launch.config_check import load_config
from mmfusion.registry import METRICS
from mmfusion.structures import ActionDataSample
from mmfusion.utils.errors import ConfigError
from tests.engine.toy_runs import CONFIG, toy_config

NANO = CONFIG.parents[2] / "configs/demo/cls_mix_average_nano_tinyego.py"
SCORES = [[0.7, 0.2, 0.1], [0.1, 0.3, 0.6], [0.5, 0.4, 0.1]]
LABELS = [0, 2, 1]


def samples():
    for score, label in zip(SCORES, LABELS, strict=True):
        sample = ActionDataSample(metainfo=dict(sample_id=f"{label}"))
        sample.score_action, sample.gt_action = torch.tensor(score), torch.tensor(label)
        yield sample.to_dict()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("AccMetric", {"acc/top1": 2 / 3, "acc/top5": 1.0, "acc/mean1": 2 / 3}),
        ("ConfusionMatrix", [[1, 0, 0], [1, 0, 0], [0, 0, 1]]),
    ],
)
def test_their_figures_by_hand(name, expected):
    metric = METRICS.build(dict(type=f"mmaction.{name}"))
    metric.process({}, list(samples()))
    found = metric.evaluate(size=3)
    if name == "ConfusionMatrix":
        assert found.pop("confusion_matrix/result").tolist() == expected
    else:
        assert found == pytest.approx(expected)


def test_a_run_and_a_test_with_them_beside_ours(tmp_path):
    config = toy_config(tmp_path, {"train_cfg.max_epochs": 1})
    metrics = ["AccuracyMetric", "mmaction.AccMetric", "mmaction.ConfusionMatrix"]
    config.val_evaluator = [dict(type=name) for name in metrics]
    config.test_evaluator = config.val_evaluator
    dump = dict(type="PredictionDumpHook", path=str(tmp_path / "p.json"))
    config.custom_hooks = [dict(type="ProgressHook", enabled=True), dump]
    runner = FusionRunner.from_cfg(config)
    runner.train()
    runner.test()
    found = json.loads((tmp_path / "p.json").read_text())["metainfo"]["metrics"]
    assert found["acc/top1"] == pytest.approx(found["action/top1"] / 100)
    matrix = found["confusion_matrix/result"]
    hits = sum(matrix[index][index] for index in range(3))
    assert 100 * hits / 11 == pytest.approx(found["action/top1"])
    assert any(isinstance(hook, ProgressHook) for hook in runner.hooks)


def test_a_metric_of_another_task_is_refused_before_training():
    with pytest.raises(
        ConfigError, match="mmaction.RetrievalMetric reads more than scores"
    ):
        load_config(NANO, {"val_evaluator.type": "mmaction.RetrievalMetric"})


def test_two_tasks_are_refused_and_a_main_one_is_taken():
    mmaction = {"val_evaluator": dict(type="mmaction.AccMetric", _delete_=True)}
    load_config(NANO, mmaction)
    heads = {
        f"model.heads.{task}": dict(type="ClassificationHead", num_classes=2, in_dims=8)
        for task in ("verb", "noun")
    }
    load_config(NANO, {**mmaction, **heads})
    config = load_config(NANO, heads)
    config.model.heads.pop("action")
    config.val_evaluator = dict(type="mmaction.AccMetric")
    with pytest.raises(ConfigError, match=r"the heads are \['noun', 'verb'\]"):
        FusionRunner.from_cfg(config)
