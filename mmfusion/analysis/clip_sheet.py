"""A sheet of a data set's clips, to look at before training."""

from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np
from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont

from mmfusion.analysis.clip_strips import ClipStrips
from mmfusion.datasets.multimodal_dataset import MultiModalDataset
from mmfusion.utils.errors import MMFusionError, WriteError
from mmfusion.utils.paths import write_atomic
from mmfusion.visualization.hands import HAND_COLOURS

NUM_FRAMES = 4  # of a clip
PER_CLASS = 2  # clips
MOST = 40  # clips, of data sets with many classes
_GAP, _LINE, _FONT = 8, 22, 14  # pixels
_DARK, _WHITE, _GREY = (28, 28, 32), (240, 240, 240), (150, 150, 150)


def write_sheet(
    path: Path,
    dataset: MultiModalDataset,
    *,
    per_class: int = PER_CLASS,
    most: int = MOST,
    seed: int = 0,
) -> int:
    """Write a JPEG with a few clips of each class, and return how many.

    Above the frames of a clip stand its split, its class and its id; skeletons have the
    colours of the legend in the first line. A clip that cannot be read is told there.

    Args:
        path: the picture to write.
        dataset: its pipeline does not matter; records of all splits may be in it.
        per_class: clips of a class. most: clips in all.
        seed: of the draw.

    Raises:
        WriteError: the picture cannot be written.
    """
    strips = ClipStrips(dataset, NUM_FRAMES)
    rows = [_legend(dataset)]
    chosen = _chosen(dataset, per_class, most, seed)
    for index in chosen:
        record = dataset.get_record(index)
        title = f"{record['split'] or '-'}   {_class_of(dataset, record)}"
        rows.append(_text([(title, _WHITE), (record["id"], _GREY)]))
        try:
            frames = strips.frames(record["id"])
        except (MMFusionError, OSError) as error:
            reason = str(error).splitlines()[0]
            frames = [_text([(f"no picture: {reason}", HAND_COLOURS[1])])]
        rows.append(_beside(frames))
    done, data = cv2.imencode(".jpg", _below(rows)[..., ::-1])
    if not done:
        raise WriteError(f"{path}: the sheet of {len(chosen)} clips is too large")
    write_atomic(path, data.tobytes())
    return len(chosen)


def _chosen(
    dataset: MultiModalDataset, per_class: int, most: int, seed: int
) -> list[int]:
    """Places of clips drawn from each class, class by class."""
    by_class = defaultdict(list)
    for index in np.random.default_rng(seed).permutation(len(dataset)).tolist():
        by_class[_class_of(dataset, dataset.get_record(index))].append(index)
    per_class = max(1, min(per_class, most // max(1, len(by_class))))
    if len(by_class) == 1:
        per_class = most
    found = [one for name in sorted(by_class) for one in by_class[name][:per_class]]
    return found[:most]


def _class_of(dataset: MultiModalDataset, record: dict) -> str:
    names = [
        dataset.get_classes(task)[number] for task, number in record["label"].items()
    ]
    return ", ".join(names) or "no label"


def _legend(dataset: MultiModalDataset) -> np.ndarray:
    skeleton = dataset.metainfo.get("skeleton") or {}
    hands = skeleton.get("hands") or []
    parts = [(f"{dataset.metainfo['dataset']}: {len(dataset)} clips", _WHITE)]
    for place, name in enumerate(hands):
        parts.append((name, HAND_COLOURS[place % len(HAND_COLOURS)]))
    return _text(parts)


def _text(parts: list[tuple[str, tuple[int, int, int]]]) -> np.ndarray:
    """(line, w, 3): words in colours, in any script that the font has."""
    font = ImageFont.truetype(font_manager.findfont("DejaVu Sans"), _FONT)
    widths = [round(font.getlength(text)) + 2 * _GAP for text, _ in parts]
    image = Image.new("RGB", (min(sum(widths) + _GAP, 4000), _LINE), _DARK)
    draw = ImageDraw.Draw(image)
    x = _GAP
    for (text, colour), width in zip(parts, widths, strict=True):
        draw.text((x, 2), text, fill=colour, font=font)
        x += width
    return np.asarray(image)


def _beside(pictures: list[np.ndarray]) -> np.ndarray:
    """(h, w, 3): pictures in a row."""
    height = max(len(picture) for picture in pictures)
    return np.concatenate(
        [_padded(picture, height, picture.shape[1] + _GAP) for picture in pictures], 1
    )


def _below(rows: list[np.ndarray]) -> np.ndarray:
    """(h, w, 3): rows one below the other."""
    width = max(row.shape[1] for row in rows)
    return np.concatenate([_padded(row, len(row) + _GAP // 2, width) for row in rows])


def _padded(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    canvas = np.full((height, width, 3), _DARK, np.uint8)
    canvas[: picture.shape[0], : picture.shape[1]] = picture
    return canvas
