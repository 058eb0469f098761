"""Draw one moment: table, clutter, then hands and object from far to near.

Hands are capsules along the bones and a polygon for the palm; the object is opaque, so
whatever of a hand lies behind it leaves no trace in the image.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from .geometry import Array, Intrinsics, rotation_matrices
from .hands import NUM_JOINTS, RIGHT
from .motion import LENS, ClipMotion
from .plan import WorldConfig
from .workplace import CORE, TABLE_LEFT, TABLE_NEAR, TEXEL, Box, Workplace

FINGER_RADIUS = 0.0085  # metres
_OUTLINE = 0.6  # pixels at the default height of 72
_SUBPIXEL_BITS = 6

_HALF_TURN = np.linspace(0.5 * np.pi, 1.5 * np.pi, 8)
_FINGER_BONES = np.array([(j - 1, j) for j in range(1, NUM_JOINTS) if j % 4 != 1])
_PALM = [0, 1, 2, 5, 9, 13, 17]

# joints that may differ between two verbs of one look
HIDDEN_JOINTS = [j for j in range(5, NUM_JOINTS) if j % 4 != 1]


@dataclass(frozen=True)
class _Layer:
    """Polygons (k, 2) with their colours, drawn together at one depth."""

    depth: float
    polygons: list[tuple[Array, tuple[float, float, float]]]


class Renderer:
    """Draws the frames of one sequence.

    Args:
        config: the world, for its image size.
        workplace: what stays the same throughout the sequence.
    """

    def __init__(self, config: WorldConfig, workplace: Workplace) -> None:
        self.lens: Intrinsics = LENS.resized(config.width, config.height)
        self.workplace = workplace
        self._outline = _OUTLINE * config.height / 72

    def draw(
        self, motion: ClipMotion, boxes: tuple[Box, ...], frame: int
    ) -> np.ndarray:
        """One frame, uint8 BGR (height, width, 3).

        Args:
            motion: the clip.
            boxes: the object's parts; empty where there is no object.
            frame: 0 to T - 1.
        """
        image = self._background(motion, frame)
        layers = []
        if boxes:
            layers.append(self._object_layer(motion, boxes, frame))
        for side, joints in enumerate(motion.joints[frame]):
            if boxes and joints[:, 2].min() > 0.05:
                layers.extend(self._hand_layers(joints, side))
        for layer in sorted(layers, key=lambda layer: -layer.depth):
            for polygon, color in layer.polygons:
                _fill(image, polygon, color)
        return self._expose(image, frame)

    def core_outline(self, motion: ClipMotion, frame: int) -> Array:
        """The opaque part that all objects share: convex outline in pixels, (k, 2)."""
        corners = np.array(
            [(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]
        )
        pixels = self.lens.project(self._place(motion, corners * CORE, frame))
        return _hull(pixels)

    def object_outline(
        self, motion: ClipMotion, boxes: tuple[Box, ...], frame: int
    ) -> Array:
        """Corners of all parts of the object in pixels, (k, 2)."""
        corners = [self._place(motion, box.corners, frame) for box in boxes]
        return self.lens.project(np.concatenate(corners))

    def finger_radius(self, depth: Array) -> Array:
        """Half the drawn width of a finger at a depth in metres, in pixels."""
        return FINGER_RADIUS * self.lens.fx / depth + self._outline

    def _background(self, motion: ClipMotion, frame: int) -> np.ndarray:
        origin, axes = self.workplace.table_frame()
        rotation, position = motion.head_rotation[frame], motion.head_position[frame]
        texel = np.array([[TEXEL, 0, TABLE_LEFT], [0, TEXEL, TABLE_NEAR], [0, 0, 1]])
        plane = np.column_stack((axes, origin - position))  # table (x, y, 1) -> scene
        homography = self.lens.matrix() @ rotation.T @ plane @ texel
        image = cv2.warpPerspective(
            self.workplace.texture,
            homography,
            (self.lens.width, self.lens.height),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=self.workplace.wall,
        )
        for box in self.workplace.clutter:
            corners = motion.to_camera(box.corners, frame)
            for polygon, color in self._box_polygons(corners, box, []):
                _fill(image, polygon, color)
        return image

    def _place(self, motion: ClipMotion, points: Array, frame: int) -> Array:
        """Points of the object's own frame (k, 3) in the camera's frame (k, 3)."""
        tilt = rotation_matrices(motion.object_tilt[frame : frame + 1])[0]
        axes = tilt @ self.workplace.upright_axes()
        scene = motion.object_center[frame] + points @ axes.T
        return motion.to_camera(scene, frame)

    def _object_layer(
        self, motion: ClipMotion, boxes: tuple[Box, ...], frame: int
    ) -> _Layer:
        polygons = []
        for box in boxes:
            corners = self._place(motion, box.corners, frame)
            decals = [
                (self._place(motion, outline, frame), color)
                for outline, color in box.decals
            ]
            polygons += self._box_polygons(corners, box, decals)
        center = self._place(motion, np.zeros((1, 3)), frame)[0]
        return _Layer(float(center[2]), polygons)

    def _box_polygons(self, corners: Array, box: Box, decals: list) -> list:
        """Silhouette in the side's shade, then top, front and decals over it."""
        pixels = self.lens.project(corners)  # (8, 2)
        dark, light = _shade(box.color, 0.6), _shade(box.color, 1.15)
        polygons = [(_hull(pixels), dark)]
        if pixels[[6, 7], 1].mean() < pixels[[2, 3], 1].mean():
            polygons.append((pixels[[3, 2, 6, 7]], light))
        polygons.append((pixels[:4], box.color))
        polygons += [(self.lens.project(points), color) for points, color in decals]
        return polygons

    def _hand_layers(self, joints: Array, side: int) -> list[_Layer]:
        """Forearm, palm and finger bones of one hand, (21, 3) in the camera's frame."""
        pixels = self.lens.project(joints)  # (21, 2)
        skin, depth = self.workplace.skin, joints[:, 2]
        palm = _hull(pixels[_PALM])
        grown = palm.mean(0) + (palm - palm.mean(0)) * 1.12
        palm_polygons = [(grown, _shade(skin, 0.55)), (palm, _shade(skin, 0.9))]
        layers = [
            self._forearm_layer(joints[0], side),
            _Layer(float(depth[_PALM].mean()), palm_polygons),
        ]
        start, end = _FINGER_BONES.T
        radii = FINGER_RADIUS * self.lens.fx / depth
        slim = _capsules(pixels[start], pixels[end], radii[start], radii[end])
        radii = radii + self._outline
        wide = _capsules(pixels[start], pixels[end], radii[start], radii[end])
        rim = _shade(skin, 0.5)
        middle = (depth[start] + depth[end]) / 2
        for bone in range(len(_FINGER_BONES)):
            tone = _shade(skin, 0.94 + 0.06 * (bone % 3))
            polygons = [(wide[bone], rim), (slim[bone], tone)]
            layers.append(_Layer(float(middle[bone]), polygons))
        return layers

    def _forearm_layer(self, wrist: Array, side: int) -> _Layer:
        """A bare wrist and a sleeve that leaves the image at the bottom."""
        outwards = 0.10 if side == RIGHT else -0.10
        elbow = wrist + np.array([outwards, 0.30, -0.12])
        elbow[2] = max(elbow[2], 0.12)
        cuff = wrist + 0.12 * (elbow - wrist)
        points = np.stack((wrist, cuff, elbow))
        pixels = self.lens.project(points)  # (3, 2)
        radii = np.array([0.024, 0.024, 0.036]) * self.lens.fx / points[:, 2]
        bare, sleeve = _capsules(pixels[:2], pixels[1:], radii[:2], radii[1:])
        skin = _shade(self.workplace.skin, 0.8)
        # just behind the palm
        depth = float(wrist[2]) + 0.004
        return _Layer(depth, [(bare, skin), (sleeve, self.workplace.sleeve)])

    def _expose(self, image: np.ndarray, frame: int) -> np.ndarray:
        """Light from one side, and grain that moves from frame to frame."""
        grain = np.roll(self.workplace.grain, (7 * frame, 13 * frame), axis=(0, 1))
        lit = image * self.workplace.light[None, :, None] + grain
        return np.clip(lit, 0, 255).astype(np.uint8)


def hidden_margin(
    renderer: Renderer, motion: ClipMotion, frame: int, side: int
) -> float:
    """Least depth of the hidden fingers' edges inside the object, in pixels.

    Positive: no pixel of the image can tell how these fingers bend.
    """
    outline = renderer.core_outline(motion, frame)
    # a bone is covered when both of its ends are: the outline is convex
    joints = motion.joints[frame, side, 5:]
    pixels = renderer.lens.project(joints)
    radius = renderer.finger_radius(joints[:, 2])
    contour = outline.astype(np.float32)
    inside = [
        cv2.pointPolygonTest(contour, (float(x), float(y)), True) for x, y in pixels
    ]
    return float((np.array(inside) - radius).min())


def _hull(pixels: Array) -> Array:
    return cv2.convexHull(pixels.astype(np.float32))[:, 0].astype(np.float64)


def _capsules(start: Array, end: Array, radius: Array, end_radius: Array) -> Array:
    """Outlines of n bones with round ends: points (n, 2), radii (n,) to (n, 16, 2)."""
    along = end - start
    heading = np.arctan2(along[:, 1], along[:, 0])[:, None]
    angle = heading + _HALF_TURN  # (n, 8)
    rim = np.stack((np.cos(angle), np.sin(angle)), axis=-1)  # (n, 8, 2)
    first = start[:, None] + radius[:, None, None] * rim
    last = end[:, None] - end_radius[:, None, None] * rim
    return np.concatenate((first, last), axis=1)


def _shade(
    color: tuple[float, float, float], factor: float
) -> tuple[float, float, float]:
    blue, green, red = (min(255.0, factor * channel) for channel in color)
    return blue, green, red


def _fill(image: np.ndarray, polygon: Array, color: tuple[float, float, float]) -> None:
    points = np.rint(polygon * (1 << _SUBPIXEL_BITS)).astype(np.int32)
    cv2.fillConvexPoly(image, points, color, cv2.LINE_AA, _SUBPIXEL_BITS)
