import numpy as np

from mmfusion.hands.past import Past


def test_newest_first_and_no_more_than_the_length():
    past = Past(2)
    for value in range(4):
        past.add(np.full((4, 6, 3), value, np.uint8), [])
    assert [moment.picture.max() for moment in past] == [3, 2]
    assert all(moment.scale == 1 for moment in past)


def test_large_pictures_are_kept_small():
    past = Past(1)
    past.add(np.zeros((720, 1280, 3), np.uint8), [])
    moment = next(iter(past))
    assert moment.picture.shape == (360, 640, 3) and moment.scale == 0.5


def test_no_length_keeps_nothing():
    past = Past(0)
    past.add(np.zeros((4, 6, 3), np.uint8), [])
    assert not list(past)


def test_a_picture_that_is_written_over_is_kept():
    past, picture = Past(2), np.zeros((4, 6, 3), np.uint8)
    past.add(picture, [])
    picture[:] = 9
    past.add(picture, [])
    assert [moment.picture.max() for moment in past] == [9, 0]
