"""Losses that bring a student's forward near its teacher's.

Shapes: n rows (b v), k classes, d channels of the student, D of the teacher.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmfusion.registry import MODELS
from mmfusion.structures import ForwardPass
from mmfusion.utils.errors import InputError

_FUSED = "fused"


@MODELS.register_module()
class LogitsDistillation(BaseModule):
    """Soft labels of the teacher (Hinton et al., arXiv 1503.02531, section 2).

    The cross entropy with the teacher's probabilities at temperature T, less their own
    entropy, so that it is 0 where both agree (a constant that has no gradient):
    T^2 KL(softmax(z_teacher / T) || softmax(z_student / T)), the mean over rows, the
    sum over the tasks that both have.

    The usual alpha between soft and hard labels is ``weight=alpha`` with
    ``loss_weight=1 - alpha`` of the head's loss.

    Args:
        temperature: T, above 0; 4 for a teacher that is sure of all its clips, whose
            small probabilities tell most, and 1 for one whose first guess is what an
            unlabelled clip lacks. weight: factor of the loss.
        tasks: of those; None takes all that both have.

    Raises:
        ValueError: a temperature that is not above 0; in ``forward`` tasks that one of
            the two lacks, or another number of classes.
    """

    def __init__(
        self,
        temperature: float = 4.0,
        *,
        weight: float = 1.0,
        tasks: Sequence[str] | None = None,
    ) -> None:
        super().__init__()
        if not 0 < temperature < math.inf:
            raise InputError(f"temperature is {temperature}, expected above 0")
        self.temperature, self.weight = temperature, weight
        self.tasks = None if tasks is None else tuple(tasks)

    def forward(self, student: ForwardPass, teacher: ForwardPass) -> Tensor:
        """Compare two forwards of the same clips: a scalar, 0 or above."""
        shared = [task for task in student.logits if task in teacher.logits]
        tasks = self.tasks or shared
        if not tasks or set(tasks) - set(shared):
            raise InputError(
                f"tasks {[*tasks]}: the student has {[*student.logits]}, the teacher"
                f" {[*teacher.logits]}; expected some that both have"
            )
        return self.weight * sum(
            (self._of(student.logits[t], teacher.logits[t], t) for t in tasks),
            start=student.logits[tasks[0]].new_zeros(()),
        )

    def _of(self, student: Tensor, teacher: Tensor, task: str) -> Tensor:
        """(..., k) of one task -> scalar."""
        if student.shape != teacher.shape:
            raise InputError(
                f"logits of {task!r}: the student's are {tuple(student.shape)}, the"
                f" teacher's {tuple(teacher.shape)}; expected the same classes"
            )
        ours, theirs = (
            (x.float() / self.temperature).log_softmax(-1).flatten(0, -2)  # (n, k)
            for x in (student, teacher)
        )
        divergence = F.kl_div(ours, theirs, reduction="batchmean", log_target=True)
        return self.temperature**2 * divergence


@MODELS.register_module()
class FeatureDistillation(BaseModule):
    """The student's vector of a clip points where the teacher's does.

    The hint of FitNets (Romero et al., arXiv 1412.6550, equation 3) with a linear
    regressor where the widths differ, on vectors brought to length 1: half the squared
    distance, which is 1 - cos, the mean over rows.

    Args:
        student_vector, teacher_vector: ``fused``, which the heads read (the mean over
            questions), or a stream, whose CLS token it is.
        in_dims, out_dims: d and D where they differ: the projection's widths.
        weight: factor of the loss.

    Raises:
        ValueError: one width without the other; in ``forward`` a stream that there is
            not, or other widths.
    """

    def __init__(
        self,
        student_vector: str = _FUSED,
        teacher_vector: str = _FUSED,
        *,
        in_dims: int | None = None,
        out_dims: int | None = None,
        weight: float = 1.0,
    ) -> None:
        super().__init__()
        if (in_dims is None) != (out_dims is None):
            raise InputError(
                f"in_dims={in_dims}, out_dims={out_dims}: expected both, or neither"
            )
        self.student_vector, self.teacher_vector = student_vector, teacher_vector
        self.weight = weight
        self.in_dims = in_dims
        self.projection: nn.Module = nn.Identity()
        if in_dims is not None and out_dims is not None:
            self.projection = nn.Linear(in_dims, out_dims)

    def forward(self, student: ForwardPass, teacher: ForwardPass) -> Tensor:
        """Compare two forwards of the same clips: a scalar, 0..2 times the weight."""
        ours = clip_vectors(student, self.student_vector)  # (n, d)
        width = self.in_dims or ours.shape[-1]
        if ours.shape[-1] != width:
            raise InputError(
                f"in_dims is {width}, and {self.student_vector!r} of the student has"
                f" {ours.shape[-1]} channels; expected the same"
            )
        ours = self.projection(ours)  # (n, D)
        theirs = clip_vectors(teacher, self.teacher_vector)  # (n, D)
        if ours.shape != theirs.shape:
            raise InputError(
                f"vectors are {tuple(ours.shape)} of the student and"
                f" {tuple(theirs.shape)} of the teacher; expected the same clips and,"
                " where the widths differ, in_dims and out_dims"
            )
        cosine = F.cosine_similarity(ours.float(), theirs.float(), dim=-1)  # (n,)
        return self.weight * (1 - cosine).mean()


@MODELS.register_module()
class RelationDistillation(BaseModule):
    """Distances and angles among a batch's clips (RKD; Park et al., arXiv 1904.05068).

    Equations 4 to 9: distances of all pairs by their mean, cosines of the angles of all
    triplets, student and teacher compared by Huber's loss, the mean over the pairs of
    different clips and over the triplets of different clips. Widths may differ. The
    factors are the paper's for classification.

    Args:
        student_vector, teacher_vector: as of :class:`FeatureDistillation`.
        distance_weight, angle_weight: factors; 0 leaves a part out.

    Raises:
        ValueError: both factors are 0, or one is negative.
    """

    def __init__(
        self,
        student_vector: str = _FUSED,
        teacher_vector: str = _FUSED,
        *,
        distance_weight: float = 25.0,
        angle_weight: float = 50.0,
    ) -> None:
        super().__init__()
        weights = (distance_weight, angle_weight)
        if min(weights) < 0 or not any(weights):
            raise InputError(
                f"distance_weight={distance_weight}, angle_weight={angle_weight}:"
                " expected none below 0, and not both 0"
            )
        self.student_vector, self.teacher_vector = student_vector, teacher_vector
        self.distance_weight, self.angle_weight = distance_weight, angle_weight

    def forward(self, student: ForwardPass, teacher: ForwardPass) -> Tensor:
        """Compare two forwards of the same clips: a scalar, 0 with under 2 clips."""
        ours = clip_vectors(student, self.student_vector).float()  # (n, d)
        theirs = clip_vectors(teacher, self.teacher_vector).float()  # (n, D)
        loss = ours.sum() * 0
        if self.distance_weight and len(ours) > 1:
            pairs = (_distances(ours), _distances(theirs))
            loss = loss + self.distance_weight * F.smooth_l1_loss(*pairs)
        if self.angle_weight and len(ours) > 2:
            triplets = (_angles(ours), _angles(theirs))
            loss = loss + self.angle_weight * F.smooth_l1_loss(*triplets)
        return loss


def clip_vectors(made: ForwardPass, name: str) -> Tensor:
    """(n, d): the vector that the heads read, or a stream's CLS token, a row a view.

    Of several questions, or moments, the mean.

    Raises:
        ValueError: no such stream.
    """
    if name == _FUSED:
        return made.fused.flatten(1, -2).mean(1)
    if name not in made.feats:
        raise InputError(f"no stream {name!r}: there are {[*made.feats]}, and 'fused'")
    rows = len(made.fused)
    return made.feats[name].summary.unflatten(0, (rows, -1)).mean(1)


def _distances(x: Tensor) -> Tensor:
    """(n, d) -> (n (n - 1),): distances by their mean (RKD, equations 5 and 6)."""
    apart = torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist")  # (n, n)
    apart = apart[~torch.eye(len(x), dtype=torch.bool, device=x.device)]
    return apart / apart.mean().clamp(min=1e-8)


def _angles(x: Tensor) -> Tensor:
    """(n, d) -> (n (n - 1) (n - 2),): cosines at j of i, j, k (equation 8)."""
    count = len(x)
    ways = F.normalize(x.unsqueeze(0) - x.unsqueeze(1), dim=-1)  # [j, i]: j to i
    cosines = ways @ ways.mT  # [j, i, k]
    other = ~torch.eye(count, dtype=torch.bool, device=x.device)
    apart = other.unsqueeze(2) & other.unsqueeze(1) & other.unsqueeze(0)
    return cosines[apart]
