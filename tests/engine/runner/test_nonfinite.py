"""A non-finite step stops the run before it reaches the weights, and says where."""

import pytest
import torch
from mmengine.hooks import Hook

from mmfusion.engine import FusionRunner
from mmfusion.engine.runner.nonfinite import is_finite
from mmfusion.structures import TokenFeatures
from mmfusion.utils.errors import NonFiniteError
from tests.engine.toy_runs import toy_config


class Spoil(Hook):
    """Breaks one thing before a step, and keeps the weights from before it."""

    def __init__(self, spoil):
        self.spoil = spoil

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == 7:
            self.spoil(runner.model)
            self.weights = {k: v.clone() for k, v in runner.model.named_parameters()}


def infinite_gradient(model):
    model.alpha.register_hook(lambda gradient: gradient * torch.inf)


def infinite_output(model):
    model.body.register_forward_hook(lambda module, args, output: output / 0)


def infinite_weight(model):
    with torch.no_grad():
        model.heads["action"].weight[0, 0] = torch.inf


CASES = {
    "gradient": (infinite_gradient, ["norm of the gradients", "gradients: alpha"]),
    "output": (infinite_output, ["the loss is nan", "output: body (Linear)"]),
    "weight": (infinite_weight, ["non-finite weights: heads.action.weight"]),
}


@pytest.mark.parametrize("case", CASES)
def test_stops_before_the_step_and_names_the_place(case, tmp_path):
    spoil, said = CASES[case]
    runner = FusionRunner.from_cfg(toy_config(tmp_path))
    hook = Spoil(spoil)
    runner.register_hook(hook)
    with pytest.raises(NonFiniteError) as error:
        runner.train()
    for text in [*said, "epoch 2, iteration 8", "samples toy-"]:
        assert text in str(error.value)
    for name, value in runner.model.named_parameters():
        assert torch.equal(value, hook.weights[name])
    assert (tmp_path / "epoch_1.pth").exists()


def test_names_the_sample_and_the_input(tmp_path):
    config = toy_config(tmp_path, {"train_dataloader.dataset.bad_index": 17})
    runner = FusionRunner.from_cfg(config)
    with pytest.raises(NonFiniteError) as error:
        runner.train()
    bad = "non-finite input: video of toy-17 (video toy-17.mp4)"
    for text in ("toy-17", bad, "output: data_preprocessor"):
        assert text in str(error.value)
    assert all(is_finite(value) for value in runner.model.parameters())


def test_under_accumulation_the_step_and_its_samples_are_the_right_ones(tmp_path):
    """The second of three steps of an update; its gradient is the first to be bad."""
    options = {"optim_wrapper.accumulative_counts": 3, "param_scheduler": []}
    runner = FusionRunner.from_cfg(toy_config(tmp_path, options))
    runner.register_hook(Spoil(infinite_gradient))
    seen = {}

    class Keep(Hook):
        def before_train_iter(self, runner, batch_idx, data_batch=None):
            ids = (sample.sample_id for sample in data_batch["data_samples"])
            seen[runner.iter] = ", ".join(f"{name} (video {name}.mp4)" for name in ids)

    runner.register_hook(Keep())
    with pytest.raises(NonFiniteError, match="epoch 2, iteration 8") as error:
        runner.train()
    assert f"samples {seen[7]};" in str(error.value)


@pytest.mark.parametrize("phase", ["validation", "testing"])
def test_a_bad_score_is_named_by_sample_stream_and_file(phase, tmp_path):
    runner = FusionRunner.from_cfg(
        toy_config(
            tmp_path,
            {
                "val_dataloader.dataset.bad_index": 6,
                "test_dataloader.dataset.bad_index": 6,
            },
        )
    )
    with pytest.raises(NonFiniteError) as error:
        runner.train() if phase == "validation" else runner.test()
    for text in (
        f"score_action of 1 clips is not finite in {phase}, batch 2 of 3",
        "samples toy-6 (video toy-6.mp4);",
        "non-finite input: video of toy-6 (video toy-6.mp4)",
        "first module with a non-finite output: data_preprocessor",
    ):
        assert text in str(error.value)


def test_without_the_check_the_weights_would_be_nan(tmp_path):
    """Reason of the check: MMEngine's wrapper trains on; only saving refuses."""
    options = {
        "train_dataloader.dataset.bad_index": 17,
        "optim_wrapper.type": "mmengine.OptimWrapper",
        "custom_hooks": [],
        "default_hooks.checkpoint.save_best": None,
    }
    runner = FusionRunner.from_cfg(toy_config(tmp_path, options))
    with pytest.raises(NonFiniteError, match="Nothing of it is saved"):
        runner.train()
    assert not all(is_finite(value) for value in runner.model.parameters())


def test_is_finite_looks_inside():
    bad = torch.tensor([1.0, torch.nan])
    assert not is_finite({"a": [TokenFeatures(tokens=torch.ones(1), cls=bad)]})
    assert is_finite([torch.ones(2), {"mask": torch.tensor([True])}, None, "text"])
