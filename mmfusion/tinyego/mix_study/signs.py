"""Picture of what a film shows where a stream fails."""

import cv2
import numpy as np

from mmfusion.tinyego import ACTIONS, Shown, WorldConfig, plan_world
from mmfusion.tinyego.plan import ClipPlan
from mmfusion.tinyego.recording import film_clip
from mmfusion.tinyego.rendering import Renderer
from mmfusion.tinyego.workplace import make_workplace

_SIZE = (224, 126)


def signs(config: WorldConfig) -> bytes:
    """JPEG: a frame of one clip, sound; glare; dark; another's; grey."""
    plan = plan_world(config)[0]
    clip = next(c for c in plan.clips if c.action.verb.look == "twist")
    truth, other = Shown(clip.action), ACTIONS[5]
    renderer = Renderer(config, make_workplace(config, plan))
    shown = (
        (truth, truth),
        (truth, Shown(other, "glare")),
        (Shown(other, "dark"), truth),
        (Shown(other, "other"), truth),
        (Shown(None, "lost"), truth),
    )
    frames = []
    for film, motion in shown:
        own = ClipPlan(clip.action, clip.scene, video=film, hands=motion)
        image = next(film_clip(config, plan, own, renderer, frames=[10]))
        frames.append(cv2.resize(image, _SIZE, interpolation=cv2.INTER_CUBIC))
    done, data = cv2.imencode(".jpg", np.concatenate(frames, axis=1))
    assert done, "OpenCV encodes every uint8 image as jpeg"
    return data.tobytes()
