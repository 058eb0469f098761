"""Content of the pictures, and what the camera cannot see."""

from dataclasses import replace

import numpy as np
import pytest

from mmfusion.tinyego import ACTIONS, ClipPlan, WorldConfig, plan_world
from mmfusion.tinyego.hands import RIGHT
from mmfusion.tinyego.motion import ClipMotion, simulate_clip
from mmfusion.tinyego.plan import SequencePlan
from mmfusion.tinyego.rendering import Renderer, hidden_margin
from mmfusion.tinyego.workplace import make_workplace, paint_object

CONFIG = WorldConfig(num_train=12, num_val=480, num_test=0)
PLANS = [plan for plan in plan_world(CONFIG) if plan.split == "val"]


def _clip(name: str, plan: SequencePlan = PLANS[0], scene: int = 2) -> ClipPlan:
    return ClipPlan(next(a for a in ACTIONS if a.name == name), scene)


def _film(
    name: str, config: WorldConfig = CONFIG, plan: SequencePlan = PLANS[0]
) -> tuple[list[np.ndarray], ClipMotion]:
    clip = _clip(name, plan)
    motion = simulate_clip(config, plan, clip)
    renderer = Renderer(config, make_workplace(config, plan))
    boxes = paint_object(config, plan, clip)
    return [renderer.draw(motion, boxes, f) for f in range(len(motion.valid))], motion


@pytest.mark.parametrize("height", [54, 72, 180])
@pytest.mark.parametrize("noun", ["lotion", "milk", "chips"])
def test_open_and_close_look_the_same(noun: str, height: int) -> None:
    config = WorldConfig(num_val=12, num_test=0, height=height)
    opening, _ = _film(f"open {noun}", config, PLANS[3])
    closing, _ = _film(f"close {noun}", config, PLANS[3])
    np.testing.assert_array_equal(opening, closing)


def test_nouns_and_visible_verbs_look_different() -> None:
    films = [_film(name)[0][8] for name in ("open milk", "open chips", "grab milk")]
    for one in range(3):
        for other in range(one):
            gap = films[one].astype(int) - films[other].astype(int)
            assert np.abs(gap).mean() > 3


@pytest.mark.parametrize("plan", PLANS[::2], ids=lambda plan: plan.path)
def test_hidden_fingers_stay_inside_the_object(plan: SequencePlan) -> None:
    renderer = Renderer(CONFIG, make_workplace(CONFIG, plan))
    for name in ("open milk", "close milk"):
        motion = simulate_clip(CONFIG, plan, _clip(name, plan))
        for frame in range(0, len(motion.valid), 2):
            assert hidden_margin(renderer, motion, frame, RIGHT) > 1.0  # pixel


def test_a_drawn_hand_lies_where_its_joints_project() -> None:
    """With the object far away nothing hides the hand: most joints show its colour."""
    plan, clip = PLANS[0], _clip("grab milk")
    motion = simulate_clip(CONFIG, plan, clip)
    far = replace(motion, object_center=motion.object_center + [0.0, 0.0, 5.0])
    workplace = make_workplace(CONFIG, plan)
    renderer = Renderer(CONFIG, workplace)
    image = renderer.draw(far, paint_object(CONFIG, plan, clip), 10)
    pixels = np.rint(renderer.lens.project(motion.joints[10, RIGHT])).astype(int)
    seen = image[pixels[:, 1], pixels[:, 0]].astype(float)  # (21, 3)
    hue = seen / seen.sum(-1, keepdims=True)
    skin = np.array(workplace.skin) / sum(workplace.skin)
    assert (np.abs(hue - skin).max(-1) < 0.06).mean() > 0.9


def test_every_noun_has_its_colour_in_the_middle_of_the_object() -> None:
    for noun, channel in (("lotion", 1), ("chips", 2), ("milk", 0)):
        images, motion = _film(f"open {noun}")
        renderer = Renderer(CONFIG, make_workplace(CONFIG, PLANS[0]))
        x, y = renderer.core_outline(motion, 0).mean(0).astype(int)
        patch = images[0][y - 6 : y + 14, x - 8 : x + 8].reshape(-1, 3).mean(0)
        assert patch.argmax() == channel
