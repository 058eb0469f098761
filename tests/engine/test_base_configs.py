"""The shared base configs: the schedule that they state is the one that is trained."""

import pytest
import torch

from mmfusion.engine import FusionRunner
from tests.engine.toy_runs import CONFIG, toy_config


def base_config(work_dir, options=None):
    return toy_config(work_dir, options, CONFIG.parent / "toy_base_config.py")


def test_schedule_is_as_it_says(tmp_path):
    config = base_config(tmp_path)
    runner = FusionRunner.from_cfg(config)
    assert runner.train_loop.max_epochs == 50
    wrapper = runner.build_optim_wrapper(config.optim_wrapper)
    runner.optim_wrapper = wrapper
    schedulers = runner.build_param_scheduler(config.param_scheduler)
    rates = []
    for _ in range(50 * 6):
        rates.append(wrapper.get_lr()["lr"][0])
        wrapper.optimizer.step()
        wrapper._global_step = 0
        for scheduler in schedulers:
            scheduler.step()
    assert rates[0] == pytest.approx(2e-6) and max(rates) == pytest.approx(2e-4)
    assert rates.index(max(rates)) == 29 or rates.index(max(rates)) == 30
    assert rates[:30] == sorted(rates[:30])
    assert rates[30:] == sorted(rates[30:], reverse=True)
    assert rates[-1] < 3e-6


def test_base_runtime_trains_with_tensorboard_by_one_line(tmp_path):
    config = base_config(tmp_path, {"train_cfg.max_epochs": 1})
    config.visualizer.vis_backends.append(dict(type="TensorboardVisBackend"))
    pytest.importorskip("tensorboard")
    FusionRunner.from_cfg(config).train()
    assert (tmp_path / "finished.json").exists()
    assert list(tmp_path.glob("*/vis_data/events*"))


def test_no_decay_where_the_schedule_says(tmp_path):
    from mmfusion.models import CLSMixFusion, VideoMamba, WeightedMix

    config = base_config(tmp_path)
    model = torch.nn.ModuleDict(
        {
            "video": VideoMamba(arch="nano", num_frames=2, img_size=32),
            "neck": CLSMixFusion(dict(type=WeightedMix), 16),
        }
    )
    runner = FusionRunner.from_cfg(config)
    runner.model = model
    groups = runner.build_optim_wrapper(config.optim_wrapper).optimizer.param_groups
    decays = {id(p): g["weight_decay"] for g in groups for p in g["params"]}
    for name, parameter in model.named_parameters():
        last = name.rsplit(".", 1)[-1]
        matrix = last == "weight" and parameter.ndim > 1
        assert decays[id(parameter)] == (0.05 if matrix else 0.0), name
