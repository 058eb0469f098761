"""Lost frames and the fading mean, by hand."""

import torch

from mmfusion.models.layers import FadingMean, hold_frames, pack_frames, take_frames


def test_frames_that_came_are_packed_and_held() -> None:
    seen = torch.tensor([[False, True, False, True], [False, False, True, False]])
    x = torch.tensor([[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]]).unsqueeze(-1)
    places = pack_frames(seen)
    packed = take_frames(x, places)
    assert places.shape == (2, 2)
    assert packed[0, :, 0].tolist() == [2.0, 4.0]
    assert packed[1, 0, 0] == 7.0
    held = hold_frames(packed, seen)[..., 0]
    assert held.tolist() == [[0.0, 2.0, 2.0, 4.0], [0.0, 0.0, 7.0, 7.0]]


def test_no_frame_at_all_reads_out_zero() -> None:
    seen = torch.zeros(1, 3, dtype=torch.bool)
    packed = take_frames(torch.ones(1, 3, 2), pack_frames(seen))
    assert not hold_frames(packed, seen).any()


def test_fading_mean_by_hand() -> None:
    mean = FadingMean(1, memory=4)
    mean.logit.data.zero_()  # a = 0.5
    x = torch.tensor([[[1.0], [3.0], [5.0]]])
    expected = [1.0, (0.5 + 3) / 1.5, (0.25 + 1.5 + 5) / 1.75]
    torch.testing.assert_close(mean(x)[0, :, 0], torch.tensor(expected))
    state, out = mean.allocate_state(1), []
    for frame in x.unbind(1):
        state = mean.step(frame, state)
        out.append(state["readout"])
    torch.testing.assert_close(torch.stack(out, 1), mean(x))


def test_fading_mean_starts_with_its_memory() -> None:
    keep = FadingMean(2, memory=8).logit.sigmoid()
    torch.testing.assert_close(keep, torch.full((2,), torch.tensor(-1 / 8).exp()))
