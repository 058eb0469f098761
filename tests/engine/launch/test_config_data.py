"""Configs as data: classes by the names of registries, and no other."""

import pytest
from mmaction.datasets import Resize
from mmengine.config import Config
from torch import nn

from mmfusion.datasets import MultiModalDataset
from mmfusion.datasets.transforms import DecodeVideo
from mmfusion.engine.launch.config_check import load_config
from mmfusion.engine.launch.config_data import (
    check_model_data,
    check_pipeline_data,
    model_data,
    pipeline_data,
)
from mmfusion.models import AverageMix
from mmfusion.utils.errors import ConfigError


def test_classes_become_names_that_are_found_again():
    pipeline = [dict(type=DecodeVideo), dict(type=Resize, scale=(4, 4))]
    dataset = dict(type=MultiModalDataset, pipeline=pipeline)
    data = pipeline_data(Config(dict(test_dataloader=dict(dataset=dataset))))
    assert data == [
        dict(type="DecodeVideo"),
        dict(type="mmaction.Resize", scale=(4, 4)),
    ]
    check_pipeline_data(data, "a test")
    model = dict(type=AverageMix, act=dict(type=nn.GELU), init_cfg=dict(type="Xavier"))
    assert model_data(model) == dict(type="AverageMix", act=dict(type="mmengine.GELU"))
    check_model_data(model_data(model), "a test")


def test_a_python_config_with_bases_becomes_data():
    config = load_config("configs/demo/cls_mix_average_nano_tinyego.py")
    data = model_data(config.model)
    assert data["type"] == "MultiModalRecognizer"
    assert data["neck"]["mix"] == {"type": "AverageMix"}
    assert "init_cfg" not in data["encoders"]["video"]
    check_model_data(data, "a test")
    check_pipeline_data(pipeline_data(config), "a test")


def test_a_class_that_no_registry_has_is_kept_by_name_and_refused():
    class Mine(nn.Module):
        pass

    data = model_data(dict(type="AverageMix", inner=dict(type=Mine), scale=object()))
    assert data["inner"]["type"].endswith("Mine")
    with pytest.raises(ConfigError, match=r"model.inner.type is '.*Mine'"):
        check_model_data(data, "a file")


@pytest.mark.parametrize("name", ["os.system", "torch.nn.GELU", "", None, ["a"]])
def test_nothing_is_imported_by_a_name(name):
    with pytest.raises(ConfigError, match="a file: model.neck.type"):
        check_model_data(dict(type="AverageMix", neck=dict(type=name)), "a file")


def test_scopes_are_not_switched_by_data():
    with pytest.raises(ConfigError, match="_scope_ is not allowed"):
        check_model_data(dict(type="AverageMix", _scope_="mmdet"), "a file")
