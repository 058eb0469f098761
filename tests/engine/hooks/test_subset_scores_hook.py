"""Numbers of subsets of the streams beside those of a validation."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.evaluator import Evaluator

from mmfusion.engine import SubsetScoresHook
from mmfusion.structures import keep_streams
from mmfusion.utils.errors import ConfigError
from tests.models.recognizers.test_multimodal_recognizer import build, make_batch


def runner_of(model, count=3):
    """Parts of a runner that the hook reads."""
    return SimpleNamespace(
        model=model,
        cfg=SimpleNamespace(val_evaluator=dict(type="mmfusion.AccuracyMetric")),
        val_evaluator=SimpleNamespace(dataset_meta={}),
        val_dataloader=SimpleNamespace(dataset=range(count)),
        build_evaluator=lambda config: Evaluator([config]),
    )


def test_each_subset_is_what_the_model_says_without_the_others():
    model, batch = build().eval(), make_batch(batch=3)
    runner = runner_of(model)
    hook = SubsetScoresHook([["video"], ["skeleton"]])
    hook.before_train(runner)
    hook.before_val_epoch(runner)
    before = {key: value.clone() for key, value in batch["inputs"].items()}
    hook.after_val_iter(runner, 0, batch)
    assert all(torch.equal(batch["inputs"][key], x) for key, x in before.items())
    assert "score_action" not in batch["data_samples"][0]
    metrics = {"action/top1": 100.0, "other": None}
    hook.after_val_epoch(runner, metrics)
    labels = torch.stack([sample.gt_action for sample in batch["data_samples"]])
    shares = [100.0]
    with torch.no_grad():
        feats, _ = model.encode(model.data_preprocessor(batch)["inputs"])
        for name in ("video", "skeleton"):
            answers = model.classify(keep_streams(feats, [name]), 3)["action"].argmax(1)
            shares.append(100 * (answers == labels).double().mean().item())
            assert metrics[f"action/top1_of_{name}"] == pytest.approx(shares[-1])
    assert metrics["action/top1_of_subsets"] == pytest.approx(sum(shares) / 3)


@pytest.mark.parametrize("kept", [[], ["video", "skeleton"], ["text"]])
def test_a_subset_is_a_part_of_the_streams(kept):
    with pytest.raises(ConfigError, match="expected some of"):
        SubsetScoresHook([kept]).before_train(runner_of(build()))
