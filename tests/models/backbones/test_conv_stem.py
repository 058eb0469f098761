"""The convolutional stem, what it sees of motion, and what VideoMamba does with it."""

import pytest
import torch

from mmfusion.models import ConvStem, VideoMamba
from mmfusion.models.backbones.conv_stem import motion_of


def test_motion_is_where_something_moves():
    video = torch.zeros(1, 3, 3, 16, 16)
    video[:, 1, 1:, 4:8, 8:12] = 2.0  # a green spot that comes in frame 1 and stays
    motion = motion_of(video)[0, 0]  # (t, h, w)
    assert motion.shape == (3, 16, 16)
    assert (motion[1, 4:8, 8:12] > 0.9).all()
    torch.testing.assert_close(motion[0], motion[1])  # the first has the second's
    assert (motion[2] < -0.99).all()


def test_a_change_of_the_light_is_no_motion():
    torch.manual_seed(0)
    video = torch.randn(1, 3, 1, 32, 32).repeat(1, 1, 4, 1, 1)
    video[:, :, 2:] += torch.tensor([0.5, 1.0, -0.2]).view(1, 3, 1, 1, 1)
    video[:, :, 3:, 8:12, 20:24] += 2.0
    motion = motion_of(video)[0, 0]
    assert (motion[:3] < -0.99).all()
    assert motion[3, 8:12, 20:24].min() > motion[3].median() + 1


@pytest.mark.parametrize("factor", [0.5, 0.25])
def test_a_dark_clip_moves_as_much_as_a_bright_one(factor):
    torch.manual_seed(0)
    video = 3 * torch.randn(2, 3, 4, 16, 16)
    torch.testing.assert_close(motion_of(factor * video), motion_of(video))


def test_one_frame_or_a_still_clip_has_no_motion_and_a_gradient():
    assert (motion_of(torch.randn(1, 3, 1, 8, 8)) == -1).all()
    still = torch.ones(1, 3, 4, 8, 8, requires_grad=True)
    motion = motion_of(still)
    motion.sum().backward()
    assert (motion < -0.99).all()
    assert still.grad.isfinite().all()


@pytest.mark.parametrize("inputs", [["video"], ["motion"], ["video", "motion"]])
def test_tokens_and_gradients(inputs):
    stem = ConvStem(16, patch_size=8, tubelet_size=2, inputs=inputs)
    tokens = stem(torch.randn(2, 3, 4, 16, 24))
    assert tokens.shape == (2, 2, 6, 16)
    tokens.square().sum().backward()
    assert all(p.grad.abs().sum() > 0 for p in stem.parameters())


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (dict(patch_size=12), "patch_size: got 12"),
        (dict(inputs="motion"), "inputs: got 'motion'"),
        (dict(inputs=["flow"]), "flow"),
        (dict(inputs=["motion", "motion"]), "each once"),
        (dict(tubelet_size=0), "tubelet_size: got 0"),
    ],
)
def test_wrong_arguments(arguments, text):
    with pytest.raises(ValueError, match=text):
        ConvStem(16, **arguments)


def test_the_model_refuses_sizes_given_twice():
    with pytest.raises(ValueError, match="patch_size"):
        VideoMamba("nano", img_size=32, stem=dict(type="ConvStem", patch_size=8))


@pytest.mark.parametrize(
    "options", [dict(init_std=0), dict(init_std=float("nan")), dict(stem={})]
)
def test_the_model_refuses_what_cannot_start_it(options):
    with pytest.raises(ValueError, match="expected"):
        VideoMamba("nano", img_size=32, **options)


def _heard(model: VideoMamba) -> float:
    """Change of cls by another last frame, relative to that by another first one."""
    torch.manual_seed(1)
    video = torch.randn(4, 3, 8, 32, 32)
    changes = []
    with torch.no_grad():
        for frame in (0, -1):
            other = video.clone()
            other[:, :, frame] = video.roll(1, 0)[:, :, frame]
            changes.append((model(other).cls - model(video).cls).norm())
    return float(changes[1] / changes[0])


def test_a_new_model_hears_of_the_last_frame():
    torch.manual_seed(0)
    sizes = dict(arch="nano", img_size=32, num_frames=8, reset_dt=False)
    published = VideoMamba(**sizes).eval()
    small = VideoMamba(
        **sizes, stem=dict(type="ConvStem"), init_std=None, summary="mean"
    ).eval()
    assert _heard(published) < 0.01  # why it does not learn from few clips
    assert 0.5 < _heard(small) < 2


def test_the_mean_is_over_the_frames_that_are_there():
    model = VideoMamba("nano", img_size=16, num_frames=2, summary="mean").eval()
    mask = torch.tensor([[True, False]])
    with torch.no_grad():
        feats = model(torch.randn(1, 3, 2, 16, 16), mask)
    torch.testing.assert_close(feats.cls, feats.tokens[:, 0])


def test_a_graph_takes_any_number_of_clips():
    stem = ConvStem(8, patch_size=4, inputs=["video", "motion"]).eval()
    clips = torch.randn(3, 3, 4, 16, 16)
    free = ({0: torch.export.Dim.DYNAMIC},)
    program = torch.export.export(stem, (clips[:2],), dynamic_shapes=free)
    torch.testing.assert_close(program.module()(clips), stem(clips))
