"""Place of a sequence: table, wall, clutter, light, sleeves; and the objects.

The scene frame is the camera at rest, pitched down towards a table. Colours are BGR in
0..255. Nothing here depends on the verb; only `paint_object` depends on the noun.
"""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import cv2
import numpy as np

from .geometry import Array
from .motion import PAINT, WORKPLACE
from .plan import ClipPlan, SequencePlan, WorldConfig, scene_rng

TEXEL = 0.006  # metres of table per texture pixel
TABLE_LEFT, TABLE_NEAR = -1.8, -0.40  # metres from the table's origin
_TABLE_TEXELS = (600, 380)  # width, depth
_TABLE_ORIGIN = np.array([0.0, 0.11, 0.45])
# by subject; those who are evaluated lie between those who train
_SKINS = {
    1: (150, 178, 224),
    2: (76, 110, 166),
    3: (120, 150, 202),
    4: (104, 138, 190),
}

# half sizes of the part that every object has in common and that hides the fingers
CORE = np.array([0.070, 0.080, 0.030])


@dataclass(frozen=True)
class Box:
    """A box in some frame: its eight corners, the front ones first, and its colour.

    Args:
        corners: (8, 3); 0-3 go round the front face, 4-7 round the back.
        color: BGR.
        decals: flat polygons (k, 3) on the front, each with its colour.
    """

    corners: Array
    color: tuple[float, float, float]
    decals: tuple[tuple[Array, tuple[float, float, float]], ...] = ()


@dataclass(frozen=True)
class Workplace:
    """The look of one sequence.

    Args:
        pitch: how far the head looks down, radians.
        texture: the table from above, uint8 (depth, width, 3).
        wall: colour beyond the table.
        clutter: boxes standing on the table, scene frame.
        light: brightness factor per image column, (width,).
        grain: sensor grain, int16 (height, width, 3).
        skin, sleeve: colours.
    """

    pitch: float
    texture: np.ndarray
    wall: tuple[float, float, float]
    clutter: tuple[Box, ...]
    light: Array
    grain: np.ndarray
    skin: tuple[float, float, float]
    sleeve: tuple[float, float, float]

    def upright_axes(self) -> Array:
        """Columns right, up, towards the viewer, in the scene frame, (3, 3)."""
        s, c = np.sin(self.pitch), np.cos(self.pitch)
        return np.array([[1, 0, 0], [0, -c, s], [0, -s, -c]], dtype=np.float64)

    def table_frame(self) -> tuple[Array, Array]:
        """Origin (3,) of the table and its axes right and away (3, 2), scene frame."""
        axes = self.upright_axes()
        return _TABLE_ORIGIN, np.stack((axes[:, 0], -axes[:, 2]), axis=1)

    def world_pose(self, rotation: Array, position: Array) -> Array:
        """Camera-to-world (4, 4) of a head pose; the world's z points up."""
        axes = self.upright_axes()
        to_world = np.stack((axes[:, 0], -axes[:, 2], axes[:, 1]))  # rows x, y, z
        pose = np.eye(4)
        pose[:3, :3] = to_world @ rotation
        pose[:3, 3] = to_world @ (position - _TABLE_ORIGIN)
        return pose


def make_workplace(config: WorldConfig, sequence: SequencePlan) -> Workplace:
    """Furnish one sequence."""
    rng = scene_rng(config, sequence, WORKPLACE, 1000)
    bare = Workplace(
        pitch=float(rng.uniform(0.40, 0.55)),
        texture=_table_texture(rng),
        wall=_muted_color(rng),
        clutter=(),
        light=rng.uniform(0.85, 1.1)
        * np.linspace(1, rng.uniform(0.85, 1.15), config.width),
        grain=np.rint(rng.normal(0, 4, (config.height, config.width, 3))).astype(
            np.int16
        ),
        skin=_SKINS[sequence.subject],
        sleeve=_muted_color(rng),
    )
    clutter = tuple(_clutter_box(rng, bare) for _ in range(int(rng.integers(2, 5))))
    return Workplace(**{**vars(bare), "clutter": clutter})


def _muted_color(rng: np.random.Generator) -> tuple[float, float, float]:
    return _bgr(rng.uniform(0, 1), rng.uniform(0.05, 0.40), rng.uniform(0.30, 0.75))


def _bgr(hue: float, saturation: float, value: float) -> tuple[float, float, float]:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1.0, saturation, min(value, 1.0))
    return 255 * blue, 255 * green, 255 * red


def _table_texture(rng: np.random.Generator) -> np.ndarray:
    """Grain along one direction, then papers, coasters and cables lying about."""
    width, depth = _TABLE_TEXELS
    base = np.array(_bgr(rng.uniform(0.03, 0.15), rng.uniform(0.1, 0.5), 0.62))
    coarse = rng.normal(0, 9, (int(rng.integers(6, 30)), int(rng.integers(40, 120))))
    stripes = cv2.resize(coarse, (width, depth), interpolation=cv2.INTER_LINEAR)
    if rng.random() < 0.5:
        stripes = cv2.resize(stripes.T, (width, depth))
    speckle = rng.normal(0, 5, (depth, width))
    texture = np.clip(base + (stripes + speckle)[..., None], 0, 255).astype(np.uint8)
    for _ in range(int(rng.integers(10, 20))):
        center = rng.uniform((0, 0), (width, depth))
        color = _muted_color(rng)
        if rng.random() < 0.5:
            box = (center.tolist(), rng.uniform(10, 40, 2).tolist(), rng.uniform(0, 90))
            corners = np.rint(cv2.boxPoints(box)).astype(np.int32)
            cv2.fillConvexPoly(texture, corners, color, cv2.LINE_AA)
        else:
            middle = (int(center[0]), int(center[1]))
            radius = int(rng.integers(6, 15))
            cv2.circle(texture, middle, radius, color, -1, cv2.LINE_AA)
    return texture


def _clutter_box(rng: np.random.Generator, workplace: Workplace) -> Box:
    origin, table_axes = workplace.table_frame()
    half = rng.uniform((0.02, 0.02, 0.02), (0.06, 0.08, 0.05))
    spot = rng.uniform((-0.45, 0.15), (0.45, 0.60))
    up = workplace.upright_axes()
    center = origin + table_axes @ spot + up[:, 1] * half[1]
    return Box(center + _corners(half) @ up.T, _muted_color(rng))


def _corners(
    half: Array, bottom: float | None = None, top: float | None = None
) -> Array:
    """Corners of a box about 0, or between two heights, (8, 3): right, up, viewer."""
    low = -half[1] if bottom is None else bottom
    high = half[1] if top is None else top
    ring = [(-1, low), (1, low), (1, high), (-1, high)]
    return np.array([(x * half[0], y, z * half[2]) for z in (1, -1) for x, y in ring])


def _ellipse(center: tuple[float, float], radii: tuple[float, float]) -> Array:
    angle = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    x = center[0] + radii[0] * np.cos(angle)
    y = center[1] + radii[1] * np.sin(angle)
    return np.stack((x, y, np.full_like(x, CORE[2])), axis=-1)


def _rectangle(left: float, low: float, right: float, high: float) -> Array:
    z = CORE[2]
    return np.array(
        [(left, low, z), (right, low, z), (right, high, z), (left, high, z)]
    )


def paint_object(
    config: WorldConfig, sequence: SequencePlan, clip: ClipPlan
) -> tuple[Box, ...]:
    """The noun's boxes about its centre, far parts first: axes right, up, viewer.

    Colours vary a little from scene to scene, by a stream that the hands do not share.
    """
    noun = clip.action.noun
    rng = scene_rng(config, sequence, clip.scene, PAINT, len(noun), ord(noun[0]))
    return paint_shape(rng, noun)


def paint_shape(
    rng: np.random.Generator, shape: str, hue: float = 0.0
) -> tuple[Box, ...]:
    """The boxes of a shape (lotion, milk or chips), each colour turned by ``hue``."""
    turn, value = rng.uniform(-0.02, 0.02), rng.uniform(0.85, 1.08)

    def color(h: float, s: float, v: float) -> tuple[float, float, float]:
        return _bgr(h + hue + turn, s, v * value)

    paint = {"lotion": _lotion, "milk": _milk, "chips": _chips}[shape]
    return paint(color)


def _lotion(color) -> tuple[Box, ...]:
    """A green bottle with a white label and a pump."""
    neck = _corners(CORE * [0.25, 1, 0.5], CORE[1], CORE[1] + 0.022)
    head = _corners(CORE * [0.55, 1, 0.5], CORE[1] + 0.020, CORE[1] + 0.036)
    label = (_ellipse((0.0, -0.01), (0.045, 0.04)), color(0.38, 0.05, 0.98))
    leaf = (_ellipse((0.0, -0.01), (0.02, 0.025)), color(0.40, 0.80, 0.50))
    return (
        Box(_corners(CORE), color(0.38, 0.75, 0.72), (label, leaf)),
        Box(neck, color(0.38, 0.05, 0.85)),
        Box(head, color(0.38, 0.08, 0.95)),
    )


def _milk(color) -> tuple[Box, ...]:
    """A white carton with a blue half and a gable."""
    gable = _corners(CORE, CORE[1], CORE[1] + 0.030)
    gable[[2, 3, 6, 7], 2] = 0.0
    bottom = (_rectangle(-0.07, -0.08, 0.07, -0.01), color(0.60, 0.80, 0.75))
    drop = (_ellipse((0.03, 0.035), (0.022, 0.022)), color(0.58, 0.60, 0.85))
    return (
        Box(_corners(CORE), color(0.60, 0.04, 0.95), (bottom, drop)),
        Box(gable, color(0.60, 0.15, 0.88)),
    )


def _chips(color) -> tuple[Box, ...]:
    """A red pack with yellow stripes and a wider lid."""
    lid = _corners(CORE * [1.08, 1, 1.15], CORE[1] - 0.004, CORE[1] + 0.012)
    stripe = (_rectangle(-0.07, 0.02, 0.07, 0.045), color(0.14, 0.85, 0.98))
    badge = (_ellipse((0.0, -0.03), (0.045, 0.03)), color(0.13, 0.80, 0.98))
    return (
        Box(_corners(CORE), color(0.01, 0.85, 0.82), (stripe, badge)),
        Box(lid, color(0.10, 0.30, 0.75)),
    )
