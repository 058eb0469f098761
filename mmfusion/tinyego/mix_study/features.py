"""Features of every film and motion of the study, made once by the two encoders.

Shapes: p films (or motions), n clips of a split, l tokens, d channels.
"""

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mmfusion.structures import TokenFeatures
from mmfusion.tinyego import WorldConfig
from mmfusion.utils.errors import AnnotationError
from mmfusion.utils.npz_file import read_npz
from mmfusion.utils.paths import write_atomic

from .clips import NUM_POSES, Studio, StudyClip, View, clips_of
from .encoders import HandsStream, VideoStream

WRONG = ("", "video", "hands")
_BATCH = 64
# neighbours in time, height and width that become one token, and its kin of the hands
_VIDEO_WINDOW, _HANDS_WINDOW = (2, 2, 2), (2, 1, 1)
_MOST_BYTES = 2**31


@dataclass(frozen=True)
class ClipFeatures:
    """Clips of one regime and split, as a fusion reads them.

    Attributes:
        streams: tokens (n, l, d), cls (n, d) and mask by stream.
        action: (n,) int64 labels. wrong: (n,) place in :data:`WRONG`.
        block: (n,) sequence of each clip; clips of one are not independent.
    """

    streams: dict[str, TokenFeatures]
    action: Tensor
    wrong: Tensor
    block: Tensor

    def __len__(self) -> int:
        return len(self.action)

    def take(self, rows: Tensor) -> dict[str, TokenFeatures]:
        """Streams of some clips."""
        return {
            name: TokenFeatures(
                feats.tokens[rows],
                None if feats.cls is None else feats.cls[rows],
                None if feats.mask is None else feats.mask[rows],
            )
            for name, feats in self.streams.items()
        }


def read_clips(path: Path, regimes: Sequence[str]) -> dict[str, ClipFeatures]:
    """Clips by regime, in the world's order, that :func:`make_features` wrote."""
    found = read_npz(str(path), max_bytes=_MOST_BYTES, error=AnnotationError)
    own = {name: torch.from_numpy(value) for name, value in found.items()}
    missing = [regime for regime in regimes if regime not in own]
    if missing:
        raise AnnotationError(f"{path} has no clips of {', '.join(missing)}; remove it")
    clips = {}
    for regime in regimes:
        action, block, wrong, film, motion = own[regime].long().unbind(1)  # (n,) each
        video = TokenFeatures(
            own["video_tokens"][film].float(), own["video_cls"][film].float()
        )
        hands = TokenFeatures(
            own["hands_tokens"][motion].float(),
            own["hands_cls"][motion].float(),
            own["hands_mask"][motion],
        )
        streams = dict(video=video, skeleton=hands)
        clips[regime] = ClipFeatures(streams, action, wrong, block)
    return clips


def joined(parts: Sequence[ClipFeatures]) -> ClipFeatures:
    """All clips of the parts, one part after the other."""
    if len(parts) == 1:
        return parts[0]
    streams = {}
    for name in parts[0].streams:
        own = [part.streams[name] for part in parts]
        masks = [one.mask for one in own if one.mask is not None]
        streams[name] = TokenFeatures(
            torch.cat([one.tokens for one in own]),
            torch.cat([one.summary for one in own]),
            torch.cat(masks) if masks else None,
        )
    return ClipFeatures(
        streams,
        torch.cat([part.action for part in parts]),
        torch.cat([part.wrong for part in parts]),
        torch.cat([part.block for part in parts]),
    )


def make_features(
    path: Path,
    config: WorldConfig,
    split: str,
    regimes: Sequence[str],
    video: VideoStream,
    hands: HandsStream,
    rows: slice,
) -> None:
    """Encode each film and motion of some clips once and write all to one npz.

    Args:
        path: of the npz.
        config: the world. split: of it. rows: clips of the split.
        regimes: names; all of them are in the file.
        video, hands: the encoders.
    """
    tables = {regime: clips_of(config, regime, split)[rows] for regime in regimes}
    studio = Studio(config, regimes)
    films = _names(clip.video for clips in tables.values() for clip in clips)
    motions = _names(clip.hands for clips in tables.values() for clip in clips)
    arrays = _encode_films(studio, [*films], video)
    arrays |= _encode_motions(studio, [*motions], hands)
    for name, clips in tables.items():
        arrays[name] = np.array([_row(c, films, motions) for c in clips], np.int32)
    stream = io.BytesIO()
    np.savez(stream, allow_pickle=False, **arrays)
    write_atomic(path, stream.getvalue())


def _names(views: Iterable[View]) -> dict[View, int]:
    """Place of each view; those of one sequence stay together."""
    ordered = sorted(set(views), key=lambda view: (*view[:3], str(view.content)))
    return {view: place for place, view in enumerate(ordered)}


def _row(
    clip: StudyClip, films: Mapping[View, int], motions: Mapping[View, int]
) -> tuple[int, ...]:
    wrong = WRONG.index(clip.wrong)
    return clip.action, clip.block, wrong, films[clip.video], motions[clip.hands]


@torch.inference_mode()
def _encode_films(
    studio: Studio, views: Sequence[View], stream: VideoStream
) -> dict[str, np.ndarray]:
    tokens, cls = [], []
    films = iter(studio.films(views))
    while part := list(islice(films, _BATCH)):
        feats = stream(torch.from_numpy(np.stack(part)))
        tokens.append(pooled(feats.tokens, stream.grid, _VIDEO_WINDOW).half())
        cls.append(feats.summary.half())
    return dict(
        video_tokens=torch.cat(tokens).numpy(), video_cls=torch.cat(cls).numpy()
    )


@torch.inference_mode()
def _encode_motions(
    studio: Studio, views: Sequence[View], stream: HandsStream
) -> dict[str, np.ndarray]:
    found: dict[str, list[Tensor]] = dict(tokens=[], cls=[], mask=[])
    for part in _parts(views):
        joints, seen = map(torch.from_numpy, studio.motions(part))
        feats = stream(joints, seen)
        tokens = pooled(feats.tokens, (NUM_POSES, 1, 1), _HANDS_WINDOW)
        found["tokens"].append(tokens.half())
        found["cls"].append(feats.summary.half())
        assert feats.mask is not None, "the encoder was given a mask"
        # a hand is seen in a part of the clip if it is in one of its frames
        found["mask"].append(feats.mask.unflatten(1, (-1, 2)).any(-1))
    return {f"hands_{name}": torch.cat(v).numpy() for name, v in found.items()}


def _parts(views: Sequence[View]) -> Iterator[Sequence[View]]:
    for start in range(0, len(views), _BATCH):
        yield views[start : start + _BATCH]


def pooled(
    tokens: Tensor, grid: tuple[int, int, int], window: tuple[int, int, int]
) -> Tensor:
    """Means over windows of neighbours: (p, t h w, d) -> (p, l, d)."""
    volume = tokens.unflatten(1, grid).permute(0, 4, 1, 2, 3)  # (p, d, t, h, w)
    small = F.avg_pool3d(volume, window)
    return small.flatten(2).transpose(1, 2)  # (p, l, d)
