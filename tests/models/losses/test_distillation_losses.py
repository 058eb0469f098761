"""Distillation losses against values worked by hand."""

import math

import pytest
import torch

from mmfusion.models import (
    FeatureDistillation,
    LogitsDistillation,
    RelationDistillation,
)
from mmfusion.models.losses.distillation_losses import clip_vectors
from mmfusion.structures import ForwardPass, TokenFeatures
from mmfusion.utils.errors import InputError


def made(fused=None, **logits):
    """A forward of one view: fused (n, d), logits (n, k) by task."""
    fused = torch.zeros(1, 1) if fused is None else torch.tensor(fused)
    found = {task: torch.tensor(rows) for task, rows in logits.items()}
    return ForwardPass({}, {}, fused.unsqueeze(1), found, 1, [])


def test_soft_labels_are_compared_at_their_temperature():
    # at T = 2 the teacher says 3/4 and 1/4, the student 1/2 each
    teacher = made(action=[[2 * math.log(3), 0.0]] * 2, verb=[[5.0]])
    student = made(action=[[1.0, 1.0]] * 2)
    expected = 4 * (0.75 * math.log(1.5) + 0.25 * math.log(0.5))
    loss = LogitsDistillation(2.0)(student, teacher)
    assert loss.item() == pytest.approx(expected, rel=1e-6)
    assert LogitsDistillation(2.0, weight=3.0)(student, teacher).item() == (
        pytest.approx(3 * expected, rel=1e-6)
    )
    assert LogitsDistillation(2.0)(teacher, teacher).item() == 0


def test_soft_labels_add_tasks_and_have_the_gradient_of_hinton():
    student, teacher = made(a=[[1.0, 0.0]], b=[[0.0, 2.0]]), made(a=[[0.0, 1.0]])
    both = made(a=[[0.0, 1.0]], b=[[0.0, 2.0]])
    loss = LogitsDistillation(1.0)
    assert loss(student, both) == loss(student, teacher)
    logits = student.logits["a"].requires_grad_()
    (2 * LogitsDistillation(2.0)(student, teacher)).backward()
    # section 2.1: (1 / T)(q - p), times T^2 and the factor 2
    soft = (logits / 2).softmax(-1) - (teacher.logits["a"] / 2).softmax(-1)
    torch.testing.assert_close(logits.grad, 4 * soft.detach())


def test_features_are_compared_by_their_direction():
    student, teacher = made([[3.0, 4.0], [2.0, 0.0]]), made([[8.0, 6.0], [0.0, 1.0]])
    loss = FeatureDistillation()(student, teacher)
    assert loss.item() == pytest.approx((1 / 25 + 1) / 2, rel=1e-6)  # cos 24/25 and 0


def test_features_of_another_width_are_projected():
    loss = FeatureDistillation(in_dims=3, out_dims=2)
    student, teacher = made([[1.0, 2.0, 3.0]]), made([[1.0, 1.0]])
    with torch.no_grad():
        loss.projection.weight.copy_(torch.tensor([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]))
        loss.projection.bias.zero_()
    assert loss(student, teacher).item() == pytest.approx(0, abs=1e-6)
    with pytest.raises(InputError, match=r"\(1, 3\) of the student and \(1, 2\)"):
        FeatureDistillation()(student, teacher)


LINE, TRIANGLE = [[0.0, 0.0], [1.0, 0.0], [3.0, 0.0]], [[0.0], [1.0], [3.0]]
# distances 1, 3 and 2 by their mean 2; cosines 1 at the ends, -1 in the middle
EQUAL = [[0.0, 0.0], [2.0, 0.0], [1.0, math.sqrt(3)]]  # distances 1, cosines 1/2


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ((1.0, 0.0), (0.5 * 0.25 + 0.5 * 0.25 + 0) / 3),
        ((0.0, 1.0), (0.5 * 0.25 + 0.5 * 0.25 + (1.5 - 0.5)) / 3),
        ((6.0, 3.0), 0.5 + 1.25),
    ],
    ids=["distances", "angles", "both"],
)
def test_relations_of_three_clips(weights, expected):
    loss = RelationDistillation(distance_weight=weights[0], angle_weight=weights[1])
    assert loss(made(LINE), made(EQUAL)).item() == pytest.approx(expected, rel=1e-5)
    assert loss(made(EQUAL), made(EQUAL)).item() == pytest.approx(0, abs=1e-9)
    # neither the scale nor the width counts
    assert loss(made(LINE), made(TRIANGLE)).item() == pytest.approx(0, abs=1e-9)


def test_relations_of_equal_or_single_clips_have_a_finite_gradient():
    for rows in ([[1.0, 2.0]] * 3, [[1.0, 2.0]]):
        student = made(rows)
        student.fused.requires_grad_()
        RelationDistillation()(student, made(EQUAL[: len(rows)])).backward()
        assert student.fused.grad.isfinite().all()


def test_the_vector_of_a_clip_is_the_mean_over_its_questions():
    fused = torch.arange(12.0).view(2, 2, 3)
    feats = {"video": TokenFeatures(torch.ones(2, 5, 3), torch.full((2, 3), 7.0))}
    forward = ForwardPass({}, feats, fused, {}, 1, [])
    assert torch.equal(clip_vectors(forward, "fused"), fused.mean(1))
    assert torch.equal(clip_vectors(forward, "video"), torch.full((2, 3), 7.0))
    with pytest.raises(InputError, match=r"no stream 'hands': there are \['video'\]"):
        clip_vectors(forward, "hands")


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda: LogitsDistillation(0.0), "temperature is 0.0, expected above 0"),
        (lambda: FeatureDistillation(in_dims=3), "in_dims=3, out_dims=None: expected"),
        (
            lambda: RelationDistillation(distance_weight=0, angle_weight=0),
            "expected none below 0, and not both 0",
        ),
        (
            lambda: LogitsDistillation(tasks=["verb"])(
                made(a=[[1.0]]), made(a=[[1.0]])
            ),
            r"tasks \['verb'\]: the student has \['a'\], the teacher \['a'\]",
        ),
        (
            lambda: LogitsDistillation()(made(a=[[1.0]]), made(a=[[1.0, 2.0]])),
            r"logits of 'a': the student's are \(1, 1\), the teacher's \(1, 2\)",
        ),
    ],
)
def test_what_does_not_fit_is_refused(build, said):
    with pytest.raises(InputError, match=said):
        build()
