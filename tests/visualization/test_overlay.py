"""The panel and the timeline beside a video."""

import numpy as np
import pytest

from mmfusion.visualization import Overlay, Story, clock
from mmfusion.visualization.overlay import (
    colour_of,
    shortened,
    window_turns,
    wrapped,
)

NAMES = ["grab the very long bottle of olive oil that is green", "cut", "stir"]


def story(**changes):
    starts = np.arange(4.0)
    scores = np.array([[0.1, 0.9, 0], [0.1, 0.8, 0.1], [0.9, 0.1, 0], [0.9, 0.1, 0]])
    given = dict(title="a.mp4", names=NAMES, scores=scores, start=0.0, end=5.0)
    given["spans"] = np.stack([starts, starts + 2], axis=1)
    return Story(**{**given, **changes})


def draw(overlay, size, seconds):
    return overlay.draw(overlay.enlarge(np.full((*size, 3), 90, np.uint8)), seconds)


@pytest.mark.parametrize("size", [(64, 64), (1080, 1920), (640, 360), (20, 200)])
def test_every_shape_of_video_is_shown_whole_at_an_even_size(size):
    overlay = Overlay(story(), size)
    image = draw(overlay, size, 1.0)
    assert image.shape[0] % 2 == image.shape[1] % 2 == 0 and image.dtype == np.uint8
    height, width = overlay.picture
    assert width / height == pytest.approx(size[1] / size[0], rel=0.02)
    assert (image[:, :width] == 90).all(axis=2).sum() >= height * width * 0.99


def test_the_bars_and_the_mark_move_with_time():
    size = (480, 640)
    overlay = Overlay(story(weights={"video": np.linspace(0, 1, 4)}), size)
    early, next_frame, late = (draw(overlay, size, t) for t in (0.9, 1.0, 4.4))
    panel = np.s_[: overlay.picture[0], overlay.picture[1] :]
    assert np.array_equal(early[panel], next_frame[panel])
    assert not np.array_equal(early[panel], late[panel])
    assert not np.array_equal(early[720:], next_frame[720:])
    white = [(image[722:740] == 255).all(axis=2).any(axis=0) for image in (early, late)]
    places = [np.flatnonzero(row).mean() for row in white]
    left, right = 230, early.shape[1] - 20
    assert places[0] == pytest.approx(left + 0.9 / 5 * (right - left), abs=3)
    assert places[1] == pytest.approx(left + 4.4 / 5 * (right - left), abs=3)


def test_the_window_is_the_one_whose_middle_is_nearest():
    assert [story().window_at(t) for t in (0, 1.4, 1.6, 9)] == [0, 0, 1, 3]


def test_long_names_are_cut_with_an_ellipsis():
    assert shortened("cut", 15, 200) == "cut"
    short = shortened(NAMES[0], 15, 200)
    assert short.endswith("…") and NAMES[0].startswith(short[:-1].rstrip())


def test_a_note_is_wrapped_between_words_and_cut_at_its_last_line():
    note = "no hand is seen in any frame: only the other streams are read, and so on"
    lines = wrapped(note, 13, 180, 4)
    assert len(lines) > 1 and " ".join(lines) == note
    assert all(shortened(line, 13, 180) == line for line in lines)
    cut = wrapped(note, 13, 180, 2)
    assert len(cut) == 2 and cut[0] == lines[0] and cut[1].endswith("…")
    assert wrapped("", 13, 180, 2) == []
    size = (64, 64)
    short, long = (draw(Overlay(story(note=n), size), size, 1.0) for n in ("a", note))
    rows = np.flatnonzero((short != long).any(axis=(1, 2)))
    assert len(rows) and rows.min() > 720 - 90 and rows.max() < 720


def test_a_class_has_one_colour_in_all_videos_of_a_model():
    colours = [colour_of(place) for place in range(25)]
    assert len({*colours}) == 25
    assert all(0 <= part <= 255 for colour in colours for part in colour)
    # class 2 is best, alone or beside the others: its bar is filled alike
    one_hot = np.array([[0, 0, 1.0]] * 4)
    size = (480, 640)
    for scores in (one_hot, np.roll(one_hot, 1, axis=0) * 0.999 + 0.0003):
        image = draw(Overlay(story(scores=scores), size), size, 1.0)
        panel = image[:720, 960:]
        assert (panel == colour_of(2)).all(axis=2).any()


def test_turns_of_windows_meet():
    turns = window_turns(story().spans, 0.0, 5.0)
    assert turns.tolist() == [0.0, 1.5, 2.5, 3.5, 5.0]


def test_times_are_written_as_on_a_clock():
    assert [clock(t) for t in (0, 9.96, 61.25, 600)] == [
        *("0:00.0", "0:10.0", "1:01.2", "10:00.0")
    ]
    assert clock(60, short=True) == "1:00" and clock(0.5, short=True) == "0:00.5"
