import numpy as np

from mmfusion.visualization import draw_paths
from mmfusion.visualization.hands import HAND_COLOURS

BLACK = np.zeros((60, 100, 3), np.uint8)


def test_path_is_broken_where_the_hand_is_not_seen():
    joints = np.zeros((5, 1, 3, 3))
    joints[..., 0] = np.array([10, 30, 50, 70, 90])[:, None, None]
    joints[..., 1] = np.array([20, 30, 40])  # the middle is at 30
    seen = np.ones((5, 1, 3), bool)
    seen[2] = False
    drawn = draw_paths(BLACK, joints, seen)
    assert drawn[30, 20].tolist() == drawn[30, 80].tolist() == [*HAND_COLOURS[0]]
    assert not drawn[30, 35:65].any() and not BLACK.any()


def test_each_hand_has_its_colour_and_far_places_are_left_out():
    joints = np.full((3, 2, 4, 3), 10.0)
    joints[:, 1, :, 1] = 40
    joints[1:, :, :, 0] = 60
    joints[2] = 1e9
    drawn = draw_paths(BLACK, joints, np.ones((3, 2, 4), bool))
    assert drawn[10, 30].tolist() == [*HAND_COLOURS[0]]
    assert drawn[40, 30].tolist() == [*HAND_COLOURS[1]]
