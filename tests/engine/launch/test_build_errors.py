"""An error of building is told with the key of the part that caused it."""

import pytest

from mmfusion.engine.launch.build_errors import explain_build_error
from mmfusion.engine.launch.config_check import load_config
from mmfusion.registry import HOOKS, MODELS, OPTIMIZERS
from tests.engine.toy_runs import CONFIG

NANO = CONFIG.parents[2] / "configs/demo/cls_mix_average_nano_tinyego.py"


def explained(config, build):
    with pytest.raises(Exception) as error:
        build()
    return explain_build_error(config, error.value)


def test_a_part_within_the_model_is_named_by_its_path():
    config = load_config(NANO, {"model.encoders.video.arch": "nan"})
    text = explained(config, lambda: MODELS.build(config.model))
    assert text.startswith("config key model.encoders.video: VideoMamba cannot be b")


def test_the_right_one_of_two_hooks_is_named():
    hooks = [dict(type="EarlyStopHook", monitor="a", patience=n) for n in (1, 0)]
    config = load_config(CONFIG, {"custom_hooks": hooks})
    text = explained(config, lambda: HOOKS.build(config.custom_hooks[1]))
    assert text.startswith("config key custom_hooks.1: EarlyStopHook cannot be built:")
    assert "InputError" not in text


def test_without_a_config_the_reason_is_told():
    part = dict(type="SGD", params=[], lr=-1.0)
    text = explained(None, lambda: OPTIMIZERS.build(part))
    assert text.startswith("the config cannot be built: ValueError: ")


def test_what_builds_nothing_is_not_explained():
    assert explain_build_error(None, ValueError("x")) is None
