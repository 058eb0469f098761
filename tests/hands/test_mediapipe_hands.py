"""Searching and following, by made-up models and by the real ones."""

import numpy as np
import pytest

from mmfusion.datasets.media.video_io import open_video
from mmfusion.hands import MediaPipeHands, mediapipe_hands
from mmfusion.hands.crops import Square
from mmfusion.hands.model_files import MODELS, cache_folder
from mmfusion.utils.errors import InputError
from tests.hands.fakes import joints_at

SIZE = mediapipe_hands.SIZE
BRIGHT, DARK = np.full((200, 300, 3), 255, np.uint8), np.zeros((200, 300, 3), np.uint8)


class FakePalms:
    """Two palms in every picture; counts the searches."""

    searches = 0

    def __init__(self, network, min_score):
        FakePalms.searches = 0

    def __call__(self, picture):
        FakePalms.searches += 1
        return [Square(80, 100, 80, 0), Square(220, 100, 80, 0)]


class NoPalms(FakePalms):
    """None in any picture but a white one."""

    def __call__(self, picture):
        found = super().__call__(picture)
        return found[:1] if picture.min() == 255 else []


class FakeHand:
    """A surely right hand in the middle of each bright crop."""

    def __init__(self, content, size, num_outputs):
        pass

    def __call__(self, crop):
        joints = joints_at(0.5, 0.8, 0.625) * SIZE  # its next crop is the same
        shown = 0.9 if crop.mean() > 128 else 0.1
        return [joints.reshape(1, 63), np.array([[shown]]), np.array([[0.8]])]


@pytest.fixture(autouse=True)
def _no_models(request, monkeypatch):
    if "real" in request.node.name:
        return
    monkeypatch.setattr(mediapipe_hands, "load_models", lambda models: (b"", b""))
    monkeypatch.setattr(mediapipe_hands, "PalmDetector", FakePalms)
    monkeypatch.setattr(mediapipe_hands, "Network", FakeHand)


@pytest.mark.parametrize(
    ("settings", "searches"),
    [(dict(), 1), (dict(max_hands=1), 1), (dict(tracking=False), 9)],
)
def test_hands_that_are_seen_are_not_searched_again(settings, searches):
    tracks = MediaPipeHands(**settings)([BRIGHT] * 9)
    assert searches == FakePalms.searches
    assert tracks.valid.sum(axis=1).tolist() == [settings.get("max_hands", 2)] * 9
    assert tracks.keypoint.dtype == tracks.score.dtype == np.float32


def test_second_hand_is_searched_now_and_then():
    half = BRIGHT.copy()
    half[:, 150:] = 0
    tracks = MediaPipeHands(search_every=4)([half] * 9)
    assert FakePalms.searches == 3  # in frames 0, 4 and 8
    assert tracks.valid.tolist() == [[False, True]] * 9
    assert tracks.keypoint[0, 1, :, 0].max() < 0.5


def test_lost_hand_is_searched_at_once():
    tracks = MediaPipeHands()([BRIGHT, DARK, DARK, BRIGHT, BRIGHT])
    assert FakePalms.searches == 4  # in frames 0 to 3
    assert tracks.valid.any(axis=1).tolist() == [True, False, False, True, True]


def test_mirrored_pictures_have_the_other_hand():
    plain = MediaPipeHands(max_hands=1)([BRIGHT])
    mirrored = MediaPipeHands(max_hands=1, mirrored=True)([BRIGHT])
    assert plain.valid.tolist() == [[False, True]]
    assert mirrored.valid.tolist() == [[True, False]]


GREY = np.full((200, 300, 3), 200, np.uint8)


@pytest.mark.parametrize(
    ("look_back", "seen"),
    [(60, [1, 1, 1, 1, 1, 1]), (2, [0, 1, 1, 1, 1, 1]), (0, [0, 0, 0, 1, 1, 1])],
)
def test_new_hand_is_followed_backward(monkeypatch, look_back, seen):
    monkeypatch.setattr(mediapipe_hands, "PalmDetector", NoPalms)
    hands = MediaPipeHands(max_hands=1, look_back=look_back, sweep=False)
    tracks = hands([GREY] * 3 + [BRIGHT] + [GREY] * 2)
    assert tracks.valid[:, 1].tolist() == [bool(value) for value in seen]


def test_going_backward_ends_where_the_hand_is_not_seen(monkeypatch):
    monkeypatch.setattr(mediapipe_hands, "PalmDetector", NoPalms)
    tracks = MediaPipeHands(max_hands=1, sweep=False)([GREY, DARK, GREY, BRIGHT])
    assert tracks.valid.any(axis=1).tolist() == [False, False, True, True]


def test_a_stream_is_followed_from_call_to_call() -> None:
    hands = MediaPipeHands(look_back=9)
    stream, pictures = hands.following(), [DARK, BRIGHT, BRIGHT, DARK, BRIGHT]
    found = [stream([picture]) for picture in pictures]
    assert [bool(one.valid.any()) for one in found] == [False, True, True, False, True]
    searches = FakePalms.searches
    whole = MediaPipeHands(look_back=0)(pictures)
    assert FakePalms.searches == searches < len(pictures)
    for number, one in enumerate(found):
        np.testing.assert_array_equal(one.keypoint[0], whole.keypoint[number])
    hands.following()([BRIGHT])  # another stream begins with a search
    assert FakePalms.searches == 1 + searches


def test_large_pictures_are_followed_backward_in_their_own_pixels(monkeypatch):
    monkeypatch.setattr(mediapipe_hands, "PalmDetector", NoPalms)
    large = [np.full((800, 1280, 3), value, np.uint8) for value in (200, 255)]
    tracks = MediaPipeHands(max_hands=1, sweep=False)(large)
    assert tracks.valid[:, 1].all()
    np.testing.assert_allclose(tracks.keypoint[0], tracks.keypoint[1], atol=1e-3)


def test_sweep_finds_what_has_no_palm(monkeypatch):
    monkeypatch.setattr(mediapipe_hands, "PalmDetector", NoPalms)
    corner = DARK.copy()
    corner[60:, 150:] = 220
    assert MediaPipeHands()([corner] * 3).valid.any(axis=1).all()
    assert not MediaPipeHands(sweep=False)([corner] * 3).valid.any()
    assert not MediaPipeHands(tracking=False)([corner] * 3).valid.any()


def test_sweeps_become_rare(monkeypatch):
    monkeypatch.setattr(mediapipe_hands, "PalmDetector", NoPalms)
    swept = []
    monkeypatch.setattr(
        mediapipe_hands, "squares_over", lambda *args: swept.append(args) or []
    )
    assert not MediaPipeHands()([DARK] * 150).valid.any()
    assert [share for _, _, share in swept] == [0.45, 0.45, 0.3, 0.45, 0.65, 0.45]
    swept.clear()
    MediaPipeHands()([DARK, DARK, BRIGHT, DARK])  # at once where a hand was lost
    assert len(swept) == 2


def test_one_hand_has_one_place():
    tracks = MediaPipeHands(one_hand=True)([BRIGHT] * 3)
    assert tracks.keypoint.shape == (3, 1, 21, 3)
    assert tracks.valid.all() and (tracks.score > 0).all()


def test_no_frames():
    assert MediaPipeHands()([]).keypoint.shape == (0, 2, 21, 3)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_hands", 3),
        ("min_score", 0.0),
        ("min_score", 1.5),
        ("search_every", 0),
        ("look_back", -1),
    ],
)
def test_wrong_settings_are_named(name, value):
    with pytest.raises(InputError, match=f"{name} is {value}"):
        MediaPipeHands(**{name: value})


@pytest.fixture
def real_hands() -> MediaPipeHands:
    pytest.importorskip("ai_edge_litert")
    if not all((cache_folder() / model.name).is_file() for model in MODELS):
        pytest.skip("no model files; tools/data/hands/extract.py fetches them")
    return MediaPipeHands()


def frames_of(path, count) -> list[np.ndarray]:
    reader = open_video(path)
    first = reader.num_frames // 2
    return reader.frames_at_index(np.arange(first, first + count))


def test_real_models_see_the_other_hand_in_a_mirror(shared_data, real_hands):
    frames = frames_of(shared_data / "hands_msl150/videos/hoy_001.mp4", 4)
    tracks = real_hands(frames)
    mirrored = real_hands([frame[:, ::-1].copy() for frame in frames])
    assert tracks.valid.tolist() == [[False, True]] * 4  # one hand is raised
    assert mirrored.valid.tolist() == [[True, False]] * 4
    there = tracks.keypoint[:, 1, :, 0], mirrored.keypoint[:, 0, :, 0]
    np.testing.assert_allclose(there[0], 1 - there[1], atol=0.03)


def test_real_models_see_the_right_hand_of_a_wearer(shared_data, real_hands):
    folder = shared_data / "egogestar"
    tracks = real_hands(frames_of(folder / "videos/testvideo_carret_1.mp4", 4))
    assert tracks.valid.tolist() == [[False, True]] * 4
