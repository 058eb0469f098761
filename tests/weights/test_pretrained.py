import logging

import pytest
import torch
from mmengine.logging import MMLogger
from mmengine.model import BaseModule
from safetensors.torch import save_file

from mmfusion.models import VideoMamba
from mmfusion.utils.errors import CheckpointError
from mmfusion.weights import Pretrained


@pytest.fixture
def trained():
    return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 2))


def fresh():
    return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 2))


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_part_of_a_checkpoint(tmp_path, trained, suffix):
    path = tmp_path / f"best.{suffix}"
    state = {f"encoders.video.{k}": v for k, v in trained.state_dict().items()}
    state["heads.action.weight"] = torch.zeros(1)
    if suffix == "pth":
        torch.save({"state_dict": state, "meta": {"epoch": 3}}, path)
    else:
        save_file(state, path)
    model = fresh()
    Pretrained(str(path), prefix="encoders.video")(model)
    for key, value in trained.state_dict().items():
        assert torch.equal(model.state_dict()[key], value)


class Part(BaseModule):
    def __init__(self, init_cfg):
        super().__init__(init_cfg)
        self.fc = torch.nn.Linear(3, 4)


class Whole(BaseModule):
    def __init__(self, init_cfg):
        super().__init__(init_cfg)
        self.part = Part(dict(type="Constant", layer="Linear", val=9.0))


@pytest.mark.parametrize("kind", ["Pretrained", "mmfusion.Pretrained", Pretrained])
def test_a_file_comes_after_the_children_start(tmp_path, kind):
    state = {"part.fc.weight": torch.ones(4, 3), "part.fc.bias": torch.ones(4)}
    torch.save(state, tmp_path / "x.pth")
    model = Whole(dict(type=kind, checkpoint=str(tmp_path / "x.pth")))
    model.init_weights()
    torch.testing.assert_close(dict(model.state_dict()), state)


def test_a_log_file_says_where_each_parameter_comes_from(tmp_path, log_lines):
    """MMEngine believed that nothing had changed, and said so for each."""
    state = Whole(None).state_dict() | {"part.fc.bias": torch.ones(4)}
    torch.save(state, tmp_path / "x.pth")
    start = dict(type="mmfusion.Pretrained", checkpoint=str(tmp_path / "x.pth"))
    model = Whole({**start, "fresh": ["part.fc.weight"]})
    handler = logging.FileHandler(tmp_path / "log")
    MMLogger.get_current_instance().handlers.append(handler)
    model.init_weights()
    handler.close()
    weight, bias = (tmp_path / "log").read_text().split("part.fc.bias - ")
    assert f"loaded from {tmp_path / 'x.pth'}" in bias and "loaded from" not in weight
    assert "same before and after" not in bias


def test_missing_file_says_what_to_do(tmp_path):
    with pytest.raises(CheckpointError, match="train that one first"):
        Pretrained(str(tmp_path / "none.pth"))(fresh())


def test_every_difference_is_listed(tmp_path, trained):
    state = trained.state_dict()
    state["1.weight"] = torch.zeros(9, 4)
    state["2.weight"] = state.pop("0.bias")
    torch.save(state, tmp_path / "x.pth")
    with pytest.raises(CheckpointError) as error:
        Pretrained(str(tmp_path / "x.pth"))(fresh())
    text = str(error.value)
    assert "1 missing in the file:\n    0.bias" in text
    assert "1 not in the model:\n    2.weight" in text
    assert "1.weight: file (9, 4), model (2, 4)" in text
    assert len(text.splitlines()) < 25


def test_ignored_parts_may_differ(tmp_path, trained):
    state = trained.state_dict()
    state["1.weight"] = torch.zeros(9, 4)
    torch.save(state, tmp_path / "x.pth")
    model = fresh()
    Pretrained(str(tmp_path / "x.pth"), ignore=["1."])(model)
    assert torch.equal(model[0].weight, trained[0].weight)


def test_wrong_prefix_lists_what_there_is(tmp_path, trained):
    torch.save(trained.state_dict(), tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match=r"it holds 0.bias"):
        Pretrained(str(tmp_path / "x.pth"), prefix="encoders.video")(fresh())


def test_what_is_asked_to_be_fresh_keeps_its_start(tmp_path):
    config = dict(arch="nano", img_size=32, num_frames=2)
    state = {key: v + 1 for key, v in VideoMamba(**config).state_dict().items()}
    torch.save(state, tmp_path / "all.pth")
    start = dict(type="Pretrained", checkpoint=str(tmp_path / "all.pth"))
    model = VideoMamba(**config, init_cfg={**start, "fresh": ["norm_f."]})
    model.init_weights()
    assert (model.norm_f.weight == 1).all()  # the file has 2
    torch.testing.assert_close(model.cls_token, state["cls_token"])
