"""Distances, motion, filled gaps and middles, on numbers worked by hand."""

import torch

from mmfusion.models.skeleton_encoders.joint_features import (
    fill_unseen,
    hand_centres,
    joint_distances,
    joint_motion,
)


def path(*places):
    """One joint on a line: (1, t, 1, 1)."""
    return torch.tensor(places, dtype=torch.float32).view(1, -1, 1, 1)


def test_gaps_are_filled_by_lines():
    x = path(float("nan"), 2, 1e9, 1e9, 8, 7)
    mask = torch.tensor([False, True, False, False, True, False]).view(1, 6, 1)
    assert fill_unseen(x, mask).flatten().tolist() == [2, 2, 4, 6, 8, 8]


def test_a_joint_that_is_never_seen_is_zero():
    x = torch.full((2, 3, 2, 3), 5.0)
    mask = torch.ones(2, 3, 2, dtype=torch.bool)
    mask[1, :, 0] = False
    filled = fill_unseen(x, mask)
    assert bool((filled[1, :, 0] == 0).all())
    assert bool((filled[0] == 5).all()) and bool((filled[1, :, 1] == 5).all())


def test_without_gaps_nothing_changes():
    x = torch.randn(2, 4, 3, 3)
    everywhere = torch.ones(2, 4, 3, dtype=torch.bool)
    assert torch.equal(fill_unseen(x, everywhere), fill_unseen(x, None))


def test_distances_by_hand():
    x = torch.tensor([[0.0, 0.0], [3.0, 4.0], [3.0, 0.0]])
    assert joint_distances(x).tolist() == [5, 3, 4]


def test_distances_of_joints_in_one_place_have_a_gradient():
    x = torch.zeros(1, 3, 2, requires_grad=True)
    joint_distances(x).sum().backward()
    assert bool(torch.isfinite(x.grad).all())


def test_motion_by_hand():
    x = path(0, 1, 4, 9, 16)
    assert joint_motion(x, 1).flatten().tolist() == [0, 1, 3, 5, 7]
    assert joint_motion(x, 2).flatten().tolist() == [0, 4, 8, 12, 0]


def test_middles_count_only_joints_that_the_clip_has():
    x = torch.tensor([0.0, 2.0, 7.0, 0.0]).view(1, 1, 4, 1)
    ever = torch.tensor([[True, True, True, False]])
    assert hand_centres(x, ever, num_hands=2).flatten().tolist() == [1, 7]


def test_an_exported_graph_has_any_batch_and_the_same_values():
    """ONNX lacks cdist and cummax: the graph has neither."""

    class Features(torch.nn.Module):
        def forward(self, x, mask):
            return joint_distances(fill_unseen(x, mask))

    x, mask = torch.randn(3, 4, 3, 2), torch.rand(3, 4, 3) > 0.4
    batch = {0: torch.export.Dim("batch")}
    graph = torch.export.export(Features(), (x, mask), dynamic_shapes=(batch, batch))
    names = {str(node.target) for node in graph.graph.nodes}
    assert not any("cdist" in name or "cummax" in name for name in names)
    torch.testing.assert_close(graph.module()(x[:1], mask[:1]), Features()(x, mask)[:1])
