"""Encoders of one-directional time: frame by frame what they are clip by clip."""

import pytest
import torch

from mmfusion.models import CausalSkeletonMamba, CausalVideoMamba
from mmfusion.models.protocols import ReadsFrameByFrame
from mmfusion.utils.errors import InputError

TIMES = 23


def _video(inputs=("video", "motion")):
    model = CausalVideoMamba("nano", img_size=32, inputs=inputs)
    x = torch.randn(2, 3, TIMES, 32, 32).cumsum(2) * 0.1
    return model, x, torch.rand(2, TIMES) > 0.3


def _skeleton():
    model = CausalSkeletonMamba("nano", num_joints=10, stem_steps=(1, 3))
    mask = torch.rand(2, TIMES, 10) > 0.3
    mask[torch.rand(2, TIMES) < 0.3] = False
    return model, torch.randn(2, TIMES, 10, 3).cumsum(1), mask


def _motion():
    return _video(["motion"])


CASES = pytest.mark.parametrize("make", [_video, _motion, _skeleton])


def _made(make):
    """A model in evaluation, its parameters shaken; its input and mask."""
    torch.manual_seed(0)
    model, x, mask = make()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
    if isinstance(model, CausalSkeletonMamba):
        model.stem.norm.running_var.uniform_(0.5, 2.0)
    return model.eval(), x, mask


def _frame(x, index):
    return x[:, :, index] if x.shape[1] == 3 else x[:, index]


def _stepped(model, x, mask):
    state, out = model.allocate_state(len(x)), []
    for index in range(TIMES):
        y, state = model.step(_frame(x, index), mask[:, index], state)
        out.append(y)
    return torch.stack(out, 1), state


@CASES
def test_steps_equal_forward_with_lost_frames(make) -> None:
    model, x, mask = _made(make)
    assert isinstance(model, ReadsFrameByFrame)
    with torch.inference_mode():
        features = model(x, mask)
        stepped, state = _stepped(model, x, mask)
    torch.testing.assert_close(stepped, features.tokens, atol=1e-5, rtol=0)
    assert torch.equal(features.cls, features.tokens[:, -1])
    assert features.mask.shape == features.tokens.shape[:2]
    first = model.allocate_state(2)
    assert {n: v.shape for n, v in state.items()} == {
        n: v.shape for n, v in first.items()
    }


@CASES
def test_no_later_frame_is_looked_at(make) -> None:
    model, x, mask = _made(make)
    changed, other = x.clone(), mask.clone()
    index = (slice(None), slice(None), 15) if x.shape[1] == 3 else (slice(None), 15)
    changed[index] += 3
    other[:, 16:] = True
    with torch.inference_mode():
        before, after = model(x, mask).tokens, model(changed, other).tokens
    torch.testing.assert_close(before[:, :15], after[:, :15], atol=1e-6, rtol=0)
    assert (before[:, 17:] != after[:, 17:]).any()


@CASES
def test_lost_frames_are_as_if_they_had_never_been(make) -> None:
    model, x, mask = _made(make)
    seen = mask.reshape(2, TIMES, -1).any(-1)[0]
    one = x[:1, :, seen] if x.shape[1] == 3 else x[:1, seen]
    with torch.inference_mode():
        short = model(one, mask[:1, seen]).cls
        torch.testing.assert_close(short, model(x, mask).cls[:1], atol=1e-5, rtol=0)


@CASES
def test_every_parameter_gets_a_gradient(make) -> None:
    model, x, mask = _made(make)
    model.train()(x, mask).cls.square().sum().backward()
    lacking = [n for n, p in model.named_parameters() if p.grad is None]
    assert not lacking


def test_unseen_joints_are_not_read() -> None:
    model, x, mask = _made(_skeleton)
    other = torch.where(mask.unsqueeze(-1), x, torch.full_like(x, 1e4))
    with torch.inference_mode():
        assert torch.equal(model(x, mask).tokens, model(other, mask).tokens)


def test_frames_of_another_size_are_refused() -> None:
    model, x, _ = _made(_video)
    with pytest.raises(InputError, match="video has shape"):
        model(x[..., :16])
    with pytest.raises(InputError, match="multiple of patch_size"):
        CausalVideoMamba("nano", img_size=30)
    model, x, _ = _made(_skeleton)
    with pytest.raises(InputError, match="skeleton has shape"):
        model(x[:, :, :5])
