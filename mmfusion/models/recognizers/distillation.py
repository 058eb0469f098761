"""A frozen teacher beside the recognizer that is trained."""

import copy
from collections.abc import Callable, Mapping
from typing import Any

import torch
from mmengine.model import BaseModule, ModuleDict
from torch import Tensor

from mmfusion.models.recognizers.multimodal_recognizer import MultiModalRecognizer
from mmfusion.registry import MODELS
from mmfusion.structures import MASK_SUFFIX, ForwardPass
from mmfusion.utils.errors import InputError


@MODELS.register_module()
class Distillation(BaseModule):
    """Losses between a recognizer and a teacher that sees the same batch.

    An :class:`AuxiliaryLoss` of the recognizer that is trained. The teacher is another
    recognizer, perhaps of streams that the student does without: they are packed in
    training, and no test needs them. It is frozen, stays in evaluation mode, and is
    no part of this module's parameters and state: no optimizer, average of weights,
    checkpoint or gradient exchange has it. Its checkpoint is read again when a run goes
    on. It gets the clips as the student does, after the same augmentation (the
    "consistent teaching" of Beyer et al., arXiv 2106.05237).

    Args:
        teacher: config of a :class:`MultiModalRecognizer` whose ``init_cfg`` names its
            whole checkpoint; the starts of its parts are left out.
        losses: config of a distillation loss by name: called with the student's and the
            teacher's :class:`ForwardPass`, it gives a scalar.
        inputs: name in the batch of a stream of the teacher, where it differs, such as
            ``dict(text="told")``.

    Raises:
        ValueError: the teacher is of another class or has no checkpoint, there is no
            loss, or ``inputs`` names a stream that the teacher does not read.
    """

    def __init__(
        self,
        teacher: dict,
        losses: Mapping[str, dict],
        *,
        inputs: Mapping[str, str] | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        start = teacher.get("init_cfg")
        if not isinstance(start, Mapping) or not start.get("checkpoint"):
            raise InputError(
                f"teacher.init_cfg is {start}: expected dict(type='Pretrained',"
                " checkpoint=PATH) with the whole of the teacher"
            )
        built = MODELS.build({**_without_starts(teacher), "init_cfg": dict(start)})
        if not isinstance(built, MultiModalRecognizer):
            raise InputError(
                f"teacher is a {type(built).__name__}, expected a MultiModalRecognizer"
            )
        if not losses:
            raise InputError("losses is empty, expected one or more")
        self._held = _Held(built.requires_grad_(False).eval())
        self.losses = ModuleDict(
            {name: MODELS.build(config) for name, config in losses.items()}
        )
        self.inputs = dict(inputs or {})
        unknown = set(self.inputs) - set(built.streams_read())
        if unknown:
            raise InputError(
                f"inputs names {sorted(unknown)}, the teacher reads"
                f" {built.streams_read()}"
            )

    @property
    def teacher(self) -> MultiModalRecognizer:
        """The teacher, which is no child of this module."""
        return self._held.model

    def init_weights(self) -> None:
        """Load the teacher, too."""
        super().init_weights()
        self.teacher.init_weights()

    def _apply(
        self, fn: Callable[[Tensor], Tensor], recurse: bool = True
    ) -> "Distillation":
        """Take the teacher along to another device or precision."""
        self.teacher._apply(fn)
        return super()._apply(fn, recurse)

    def forward(self, made: ForwardPass) -> dict[str, Tensor]:
        """Losses by name of one forward of the student.

        Raises:
            ValueError: the batch lacks a stream of the teacher, or the two see another
                number of views.
        """
        taught = self.teach(made)
        if taught.views != made.views:
            raise InputError(
                f"the teacher sees {taught.views} views of a clip, the student"
                f" {made.views}; expected the same"
            )
        return {name: loss(made, taught) for name, loss in self.losses.items()}

    def teach(self, made: ForwardPass) -> ForwardPass:
        """Forward of the teacher on the batch of a student's."""
        inputs = {
            stream + suffix: made.inputs[self.inputs.get(stream, stream) + suffix]
            for stream in self.teacher.streams_read()
            for suffix in ("", MASK_SUFFIX)
            if self.inputs.get(stream, stream) + suffix in made.inputs
        }
        with torch.no_grad():
            return self.teacher.run(inputs, made.samples)


class _Held:
    """A module that is no child of the one that has it, and is shared by copies."""

    def __init__(self, model: MultiModalRecognizer) -> None:
        self.model = model

    def __deepcopy__(self, memo: dict) -> "_Held":
        return self


def _without_starts(config: Any) -> Any:
    """The config of a model without any ``init_cfg`` in it."""
    if isinstance(config, Mapping):
        return {
            key: _without_starts(value)
            for key, value in config.items()
            if key != "init_cfg"
        }
    if isinstance(config, list | tuple):
        return type(config)(_without_starts(item) for item in config)
    return copy.copy(config)
