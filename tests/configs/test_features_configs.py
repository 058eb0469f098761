"""configs/features: features stand for frames, and the model fits what is read."""

import pytest
import torch
from mmengine.optim import build_optim_wrapper

from mmfusion.registry import MODELS
from tests.configs.loaded import load
from tests.configs.test_configs import CONFIGS

FEATURES = [name for name in CONFIGS if name.startswith("features/")]


@pytest.mark.parametrize("name", FEATURES)
def test_training_draws_nothing_or_reads_features(name: str) -> None:
    config = load(name)
    pipelines = [
        config[f"{part}_dataloader"].dataset.pipeline for part in ("train", "val")
    ]
    if config.get("features"):
        assert pipelines[0] == pipelines[1]
        return
    model = MODELS.build(config.model)
    sampler = pipelines[0][0]
    assert sampler.mode == "ends" and sampler.tau_a == 1.0
    widths = {step.stream: step.width for step in pipelines[0] if "width" in step}
    assert widths == {n: x.in_dims for n, x in model.encoders.items()}
    inputs = {
        name: torch.randn(1, 1, sampler.num_frames[name], width)
        for name, width in widths.items()
    }
    with torch.no_grad():
        assert model(inputs).keys() == {"verb", "noun"}
    groups = build_optim_wrapper(model, config.optim_wrapper).optimizer.param_groups
    optimized = sum(len(group["params"]) for group in groups)
    assert optimized == len(list(model.parameters()))
