"""Losses beside those of the heads: what they are given, and that tests need none."""

import pytest
import torch
from mmengine.config import Config
from torch import nn

from mmfusion.engine.launch.config_check import load_config
from mmfusion.engine.launch.config_data import model_data
from mmfusion.models import MultiModalRecognizer
from mmfusion.registry import MODELS
from mmfusion.utils.compiling import parts_of
from mmfusion.utils.errors import CheckpointError, ConfigError
from mmfusion.weights import fit
from tests.engine.launch.test_config_parts import NANO
from tests.models.recognizers.test_multimodal_recognizer import (
    HEAD,
    NECK,
    SKELETON,
    VIDEO,
    build,
    forward,
    make_batch,
)


@MODELS.register_module(force=True)
class MeanSquares(nn.Module):
    """A loss that keeps what it was given."""

    def __init__(self, weight: float = 1.0) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(weight))

    def forward(self, made):
        self.made = made
        return {"fused": self.scale * made.fused.square().mean()}


PLAIN = dict(type="MeanSquares", weight=2.0)


def test_an_auxiliary_loss_is_given_the_forward_and_joins_the_losses():
    model, batch = build(auxiliary=dict(small=PLAIN)), make_batch(views=2)
    losses = forward(model, batch, "loss")
    assert set(losses) == {"loss_action", "acc_action", "loss_small_fused"}
    made = model.auxiliary["small"].made
    assert made.fused.shape == (6, 1, 64) and made.views == 2
    assert set(made.feats) == {"video", "skeleton"}
    assert "skeleton_mask" in made.inputs and made.logits["action"].shape == (6, 5)
    assert [int(one.gt_action) for one in made.samples] == [0, 1, 2]
    expected = 2 * made.fused.square().mean()
    torch.testing.assert_close(losses["loss_small_fused"], expected)
    losses["loss_small_fused"].backward()
    assert model.encoders["video"].cls_token.grad is not None


def test_other_modes_and_other_losses_are_as_without_one():
    plain, model, batch = build(), build(auxiliary=dict(small=PLAIN)), make_batch()
    for one in (plain, model):
        one.eval()
    for mode in ("loss", "tensor"):
        ours, theirs = forward(model, batch, mode), forward(plain, batch, mode)
        assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    forward(model, batch, "predict")
    assert not any(isinstance(part, MeanSquares) for part in parts_of(model))


def test_a_model_for_tests_has_no_auxiliary_and_takes_no_notice_of_its_weights():
    model = build(auxiliary=dict(small=PLAIN))
    config = dict(
        type=MultiModalRecognizer,
        encoders=dict(video=VIDEO, skeleton=SKELETON),
        neck=NECK,
        heads=dict(action=HEAD),
        auxiliary=dict(small=PLAIN),
    )
    tested = MODELS.build(model_data(Config(dict(model=config)).model))
    assert not tested.auxiliary
    weights, report = fit(model.state_dict(), tested, "a file")
    assert weights.keys() == tested.state_dict().keys()
    assert report.unused == {"auxiliary.small.scale": "of training alone"}
    with pytest.raises(CheckpointError, match="missing in the file"):
        fit(tested.state_dict(), model, "a file")  # one that trains lacks nothing
    fit(model.state_dict(), model, "a file")


@pytest.mark.parametrize(
    ("auxiliary", "said"),
    [
        (dict(small=dict(type="MeanSquares", wait=1)), "small.wait: MeanSquares has"),
        (dict(small=dict(type="MeanSquare")), "no model named 'MeanSquare'; nearest"),
        (dict(small=3), "got {'small': 3}, expected a dict"),
    ],
)
def test_an_auxiliary_is_checked_before_it_is_built(auxiliary, said):
    with pytest.raises(ConfigError) as error:
        load_config(NANO, {"model.auxiliary": auxiliary})
    assert said in str(error.value)
