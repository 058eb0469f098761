"""Labels while the cameras run: a model of one-directional time, frame by frame.

Shapes: c cameras, r of them, k classes of a task, d channels.
"""

import hashlib
import json
import math
import operator
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmfusion.apis.loading import LoadedModel, check_device, load_model
from mmfusion.apis.stream_frames import (
    STREAMS,
    FramePipeline,
    mask_of,
    stack_frames,
)
from mmfusion.apis.windows import is_number
from mmfusion.engine.launch.config_data import as_data
from mmfusion.models import MultiModalRecognizer
from mmfusion.models.protocols import FusesSummaries, ReadsFrameByFrame
from mmfusion.registry import TRANSFORMS
from mmfusion.structures import TokenFeatures
from mmfusion.utils.errors import CheckpointError, InputError
from mmfusion.utils.paths import write_atomic
from mmfusion.weights import load_checked
from mmfusion.weights.files import tensor_bytes

COUNTS = ("accepted", "unseen", "late", "out_of_order")
_NEVER = -math.inf
_TIMES, _REFERENCE = ("/last", "/seen"), "skeleton/reference"
_SUFFIX = ".safetensors"  # by which a file is read


@dataclass(frozen=True)
class Reading:
    """Scores of a model at a moment.

    Attributes:
        time: (r,) seconds, the newest frame of each camera that counts in the scores;
            -inf before the first.
        scores: probabilities (r, k) float32 by task; NaN where no stream of a camera is
            there: none has come, or all have been silent for too long.
        accepted: (r,) bool, False where the frame just pushed was refused.
    """

    time: np.ndarray
    scores: dict[str, np.ndarray]
    accepted: np.ndarray


class StreamingRecognizer:
    """A recogniser that keeps up with cameras, at a constant cost a frame.

    The scores after a frame are those that the model gives, offline, to all frames that
    were accepted so far. Frames of one camera and stream must come in order of time;
    streams may come in any order among themselves. Refused, and counted, is a frame

    - ``out_of_order``: not later than the last one of its camera and stream;
    - ``late``: more than ``late`` seconds older than its camera's newest frame, about
      which scores have been given already.

    Joints of which none is seen (``unseen``) change nothing but the time. A stream that
    has been silent for more than ``hold`` seconds counts as missing.

    Args:
        model: folder of a run, checkpoint or exported model, as
            :func:`mmfusion.apis.load_model` takes it; or what that gave. Its encoders
            must be causal ones, its neck one that reads summaries (``MLPFusion``).
        checkpoint: weights, where ``model`` is a config file.
        cameras: c, rows of the state, each with its own streams and clocks.
        device: as torch names it.
        late, hold: seconds, see above; ``math.inf`` for no limit.

    Raises:
        InputError: the model reads whole clips, or a stream that no camera gives.

    Example:
        >>> recognizer = StreamingRecognizer("work_dirs/x")  # doctest: +SKIP
        >>> recognizer.push("video", 0.125, frame).scores["action"]  # doctest: +SKIP
    """

    def __init__(
        self,
        model: str | os.PathLike | LoadedModel,
        checkpoint: str | os.PathLike | None = None,
        *,
        cameras: int = 1,
        device: str = "cpu",
        late: float = 0.5,
        hold: float = 1.0,
    ) -> None:
        if not isinstance(model, LoadedModel):
            model = load_model(model, checkpoint)
        if type(cameras) is not int or cameras < 1:
            raise InputError(f"cameras is {cameras!r}; expected 1 or more")
        for name, value in (("late", late), ("hold", hold)):
            if not is_number(value) or not value >= 0:
                raise InputError(f"{name} is {value!r}; expected seconds, 0 or more")
        self.loaded, self.model = model, _checked(model)
        check_device(device)
        self.model.to(device).eval()
        self.device = torch.device(device)
        self.streams, self.cameras = tuple(model.streams), cameras
        self.late, self.hold = float(late), float(hold)
        self.pipeline = FramePipeline(model.pipeline, model.card.get("skeleton"))
        self._state = self._first_state()

    @property
    def tasks(self) -> list[str]:
        """Tasks that the model scores."""
        return list(self.loaded.classes)

    @property
    def classes(self) -> dict[str, list[str]]:
        """Names by task, in the order of the scores."""
        return self.loaded.classes

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """Frames of all cameras so far, by stream and what became of them."""
        return {
            stream: dict(
                zip(
                    COUNTS, self._state[f"{stream}/counts"].sum(0).tolist(), strict=True
                )
            )
            for stream in self.streams
        }

    def push(
        self,
        stream: str,
        time: float | Sequence[float] | np.ndarray,
        data: Any,
        cameras: Sequence[int] | None = None,
    ) -> Reading:
        """Take a frame of each camera given, and score what has been seen.

        Args:
            stream: ``video`` or ``skeleton``.
            time: seconds on the clock of all streams, one for all cameras or each its.
            data: of one camera, or, with ``cameras``, a list with that of each:
                ``video``: a frame (h, w, 3) uint8 RGB of any size; ``skeleton``: joints
                (hands, j, 3) in the unit of the training data, NaN where not seen, or a
                pair of them and a mask, True where seen.
            cameras: numbers, each once; None: the only one.

        Returns:
            Time and scores of these cameras.

        Raises:
            InputError: a stream that the model does not read, a camera that is not
                there, data of another kind. SkeletonError: wrong joints. Nothing has
                changed then.
        """
        if stream not in self.streams:
            raise InputError(f"stream is {stream!r}; expected one of {self.streams}")
        rows = self._rows(cameras, stream)
        if cameras is None:
            data = [data]
        elif not hasattr(data, "__len__") or len(data) != len(rows):
            found = len(data) if hasattr(data, "__len__") else "no"
            raise InputError(f"data has {found} frames for {len(rows)} cameras")
        times = _times(time, len(rows))
        kept = dict(self._state)
        verdict = self._verdict(stream, rows, times)  # (r,)
        accepted = verdict < COUNTS.index("late")
        if accepted.any():
            taken = [data[index] for index in np.flatnonzero(accepted.numpy())]
            self._take(stream, rows[accepted], times[accepted], taken, kept, verdict)
        counts = kept[f"{stream}/counts"].clone()
        counts[rows, verdict] += 1
        kept[f"{stream}/counts"] = counts
        self._state = kept
        return self._reading(rows, accepted)

    def read(self, cameras: Sequence[int] | None = None) -> Reading:
        """Scores of some cameras as they stand, of all if None."""
        rows = self._rows(range(self.cameras) if cameras is None else cameras, "")
        return self._reading(rows, torch.ones(len(rows), dtype=torch.bool))

    def reset(self, cameras: Sequence[int] | None = None) -> None:
        """Forget what some cameras have shown, all if None; counts stay."""
        rows = self._rows(range(self.cameras) if cameras is None else cameras, "")
        first = self._first_state()
        for name, value in self._state.items():
            if name == "model" or name.endswith("/counts"):
                continue
            self._state[name] = value.index_copy(
                0, rows.to(value.device), first[name][rows]
            )

    def state(self) -> dict[str, Tensor]:
        """Copy of all that is remembered: tensors, whose size never changes.

        Returns:
            c rows a tensor, but ``model`` (32,), a digest of the weights.
        """
        return {name: value.cpu().clone() for name, value in self._state.items()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from a state, of the same model and as many cameras.

        Raises:
            CheckpointError: it is of another model, of more or fewer cameras, or has
                numbers that no stream leaves behind. Nothing has changed then.
        """
        own = self._state
        if not isinstance(state, Mapping):
            raise CheckpointError(f"a state is a {type(state).__name__}, not a dict")
        for name, value in own.items():
            _check_like(name, state.get(name), value, self.cameras)
        if not torch.equal(state["model"].cpu(), own["model"]):
            raise CheckpointError(
                "the state is of a model with other weights, or with another pipeline"
            )
        self._state = {
            name: state[name].to(value.device, copy=True) for name, value in own.items()
        }

    def save(self, path: str | os.PathLike) -> None:
        """Write the state into one file (safetensors), whole or not at all.

        Raises:
            InputError: its name does not end in ``.safetensors``.
        """
        if not os.fspath(path).endswith(_SUFFIX):
            raise InputError(f"path is {os.fspath(path)!r}; expected NAME{_SUFFIX}")
        write_atomic(path, tensor_bytes(self.state()))

    def load(self, path: str | os.PathLike) -> None:
        """Go on from a file that :meth:`save` wrote.

        Raises:
            CheckpointError: it is missing, damaged, or of another model.
        """
        state = load_checked(path)
        try:
            self.restore(state)
        except CheckpointError as error:
            raise CheckpointError(f"{os.fspath(path)}: {error}") from None

    def _first_state(self) -> dict[str, Tensor]:
        count, state = self.cameras, {"model": _digest(self.loaded)}
        for stream in self.streams:
            encoder = self.model.encoders[stream]
            for name, value in encoder.allocate_state(count).items():
                state[f"{stream}/{name}"] = value.detach().clone()
            for name in ("last", "seen"):
                never = torch.full((count,), _NEVER, dtype=torch.float64)
                state[f"{stream}/{name}"] = never
            counts = torch.zeros(count, len(COUNTS), dtype=torch.int64)
            state[f"{stream}/counts"] = counts
        if "skeleton" in self.streams:
            nothing = torch.full((count, 4), math.nan, dtype=torch.float64)
            state[_REFERENCE] = nothing
        return state

    def _rows(self, cameras: Sequence[int] | None, stream: str) -> Tensor:
        """(r,) int64 of cameras that are there."""
        if cameras is None:
            if self.cameras > 1:
                raise InputError(
                    f"cameras is None, and there are {self.cameras}; expected the"
                    f" numbers of those whose {stream} is given"
                )
            cameras = [0]
        try:
            rows = [*map(operator.index, cameras)]
        except TypeError:
            rows = []
        if not rows or len({*rows}) < len(rows) or {*rows} - {*range(self.cameras)}:
            raise InputError(
                f"cameras is {cameras!r:.60}; expected numbers from 0 to"
                f" {self.cameras - 1}, each once"
            )
        return torch.tensor(rows)

    def _newest(self, rows: Tensor) -> Tensor:
        """(r,) seconds of the newest frame of each camera."""
        last = [self._state[f"{stream}/last"][rows] for stream in self.streams]
        return torch.stack(last).amax(0)

    def _verdict(self, stream: str, rows: Tensor, times: Tensor) -> Tensor:
        """(r,) places in COUNTS; whether joints are seen is not known yet."""
        last = self._state[f"{stream}/last"][rows]
        is_late = times < self._newest(rows) - self.late
        verdict = torch.where(is_late, COUNTS.index("late"), 0)
        return torch.where(times <= last, COUNTS.index("out_of_order"), verdict)

    def _take(
        self,
        stream: str,
        rows: Tensor,
        times: Tensor,
        data: Sequence[Any],
        kept: dict[str, Tensor],
        verdict: Tensor,
    ) -> None:
        """Read accepted frames; change ``kept``, and what ``verdict`` says of them."""
        inputs = self._inputs(stream, rows, data, kept)
        x, mask = inputs[stream][:, 0], mask_of(inputs, stream)
        x = x[:, :, 0] if stream == "video" else x[:, 0]  # (r, 3, h, w) or (r, j, c)
        names = [name for name in kept if name.startswith(f"{stream}/")]
        encoder = self.model.encoders[stream]
        own = encoder.allocate_state(1)
        names = [f"{stream}/{name}" for name in own]
        places = rows.to(self.device)
        old = {name: kept[f"{stream}/{name}"][places] for name in own}
        with torch.inference_mode():
            _, new = encoder.step(x, mask, old)
        for name, key in zip(own, names, strict=True):
            kept[key] = kept[key].index_copy(0, places, new[name].clone())
        seen = torch.ones(len(rows), dtype=torch.bool)
        if mask is not None:
            seen = mask.flatten(1).any(1).cpu()
        kept[f"{stream}/last"] = kept[f"{stream}/last"].index_copy(0, rows, times)
        came = kept[f"{stream}/seen"]
        kept[f"{stream}/seen"] = came.index_copy(0, rows[seen], times[seen])
        taken = torch.where(seen, 0, COUNTS.index("unseen"))
        verdict[verdict == 0] = taken

    def _inputs(
        self, stream: str, rows: Tensor, data: Sequence[Any], kept: dict[str, Tensor]
    ) -> dict[str, Tensor]:
        """Frames through the pipeline and the preprocessor, (r, 1, 1, ...) by name."""
        frames: list[dict[str, Tensor]] = []
        references: list[np.ndarray] = []
        unknown = np.full(4, np.nan)
        for row, one in zip(rows.tolist(), data, strict=True):
            known = unknown
            if stream == "skeleton":
                known = kept[_REFERENCE][row].numpy()
            frame, reference = self.pipeline(stream, one, known)
            frames.append(frame)
            references.append(reference)
        if stream == "skeleton":
            measured = torch.from_numpy(np.stack(references))
            old = kept[_REFERENCE]
            kept[_REFERENCE] = old.index_copy(0, rows, measured)
        batch = self.model.data_preprocessor({"inputs": stack_frames(frames)})
        return batch["inputs"]

    def _reading(self, rows: Tensor, accepted: Tensor) -> Reading:
        newest = self._newest(rows)
        feats, known = {}, torch.zeros(len(rows), dtype=torch.bool)
        places = rows.to(self.device)
        for stream in self.streams:
            seen = self._state[f"{stream}/seen"][rows]
            present = (seen > _NEVER) & (seen >= newest - self.hold)  # (r,)
            known |= present
            readout = self._state[f"{stream}/readout"][places]  # (r, d)
            mask = present.to(self.device).unsqueeze(1)
            feats[stream] = TokenFeatures(readout.unsqueeze(1), readout, mask)
        with torch.inference_mode():
            logits = self.model.classify(feats, len(rows))
        scores = {}
        for task, values in logits.items():
            if values.ndim == 3:  # a neck that gives every moment has one here
                values = values[:, -1]
            values = values.float().softmax(-1).cpu()  # (r, k)
            scores[task] = torch.where(known.unsqueeze(1), values, math.nan).numpy()
        return Reading(newest.numpy(), scores, accepted.numpy())


def _checked(loaded: LoadedModel) -> MultiModalRecognizer:
    """A model that can read streams."""
    model = loaded.model
    if not isinstance(model, MultiModalRecognizer):
        raise InputError(
            f"{loaded.path}: a {type(model).__name__}; expected a MultiModalRecognizer"
        )
    for name, encoder in model.encoders.items():
        if name not in STREAMS:
            raise InputError(f"the model reads {name!r}; a stream is one of {STREAMS}")
        if not isinstance(encoder, ReadsFrameByFrame):
            raise InputError(
                f"{loaded.path}: encoders.{name} is a {type(encoder).__name__}, which"
                " reads whole clips; expected a causal one, as CausalVideoMamba:"
                " configs/streams"
            )
    neck = model.neck
    if neck is not None and not (
        isinstance(neck, FusesSummaries) and neck.summaries_only
    ):
        raise InputError(
            f"{loaded.path}: the neck is a {type(neck).__name__}, which reads all"
            " tokens of a clip; expected one of summaries, as MLPFusion"
        )
    if not loaded.pipeline:
        raise InputError(f"{loaded.path}: nothing says the pipeline of its data")
    return model


def _check_like(name: str, value: Any, own: Tensor, cameras: int) -> None:
    """A tensor of a state is one that a stream could have left behind."""
    if not isinstance(value, Tensor) or (value.shape, value.dtype) != (
        own.shape,
        own.dtype,
    ):
        found = type(value).__name__
        if isinstance(value, Tensor):
            found = f"{value.dtype} {(*value.shape,)}"
        raise CheckpointError(
            f"the state's {name} is {found}, expected {own.dtype} {(*own.shape,)} of"
            f" {cameras} cameras of this model"
        )
    if name.endswith(_TIMES):
        wrong = ~(value < math.inf)  # NaN, too
    elif name == _REFERENCE:
        wrong = value.isinf()
    elif value.dtype == torch.int64:
        wrong = value < 0
    else:
        wrong = ~value.isfinite()
    if wrong.any():
        raise CheckpointError(f"the state's {name} has numbers that no stream gives")


def _digest(loaded: LoadedModel) -> Tensor:
    """(32,) uint8, sha256 of the weights and of the pipeline."""
    digest = hashlib.sha256(
        json.dumps(as_data([*loaded.pipeline], (TRANSFORMS,)), sort_keys=True).encode()
    )
    for name, value in sorted(loaded.model.state_dict().items()):
        digest.update(name.encode())
        digest.update(
            value.detach()
            .cpu()
            .contiguous()
            .flatten()
            .view(torch.uint8)
            .numpy()
            .tobytes()
        )
    return torch.frombuffer(bytearray(digest.digest()), dtype=torch.uint8)


def _times(time: Any, count: int) -> Tensor:
    """(r,) float64 seconds."""
    try:
        times = np.asarray(time)
    except ValueError:  # rows of several lengths
        times = np.empty(0)
    if times.dtype.kind not in "iuf":
        times = np.full(1, np.nan)
    times = times.astype(np.float64)
    if times.shape not in ((), (count,)) or not np.isfinite(times).all():
        raise InputError(
            f"time is {time!r:.60}; expected seconds, one number or {count}"
        )
    return torch.from_numpy(np.broadcast_to(times, (count,)).copy())
