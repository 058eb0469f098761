"""Boxes at the frames' times, cut and mirrored as the frames are."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mmfusion.datasets.caches.box_cache import (
    load_box_file,
    take_boxes,
    write_box_cache,
)
from mmfusion.datasets.transforms import (
    AlignBoxes,
    ArrangeBoxes,
    LoadBoxes,
    PackInputs,
)
from mmfusion.layouts.box_arrays import BoxFile
from mmfusion.layouts.hand_object_boxes import boxes_of_rows
from mmfusion.registry import TRANSFORMS
from mmfusion.utils.errors import BoxError

NAMES = ("left hand", "right hand", "object")
FILE = boxes_of_rows(
    [
        (0, "left hand", 0.0, 0.5, 0.2, 1.0),
        (0, "object", 0.4, 0.4, 0.6, 0.6),
        (1, "right hand", 0.7, 0.5, 0.9, 1.0),
        (9, "object", 0.0, 0.0, 1.0, 1.0),
    ],
    names=NAMES,
    fps=10.0,
    sequence="P01_01",
)


@pytest.fixture
def results(tmp_path: Path) -> dict:
    path = tmp_path / "P01_01.npz"
    write_box_cache(path, FILE)
    times = np.array([[0.05, 0.19], [0.45, 5.0]])
    return {"boxes_path": str(path), "group": "P01_01", "times": {"video": times}}


def test_boxes_are_those_of_the_frame_that_is_shown(results: dict) -> None:
    found = LoadBoxes()(results)
    assert found["boxes"].shape == (2, 2, 3, 4) and found["boxes"].dtype == np.float32
    mask = found["boxes_mask"]  # (v, t, o)
    assert mask[0, 0].tolist() == [True, False, True]
    assert mask[0, 1].tolist() == [False, True, False]
    assert mask[1, 0].tolist() == [False, True, False]  # frame 1, a quarter ago
    assert not mask[1, 1].any()  # over half a second after the last one
    np.testing.assert_allclose(found["boxes"][0, 0, 0], [0, 0.5, 0.2, 1], atol=1e-6)
    assert not found["boxes"][~mask].any()


def test_no_box_comes_from_a_later_frame() -> None:
    early = replace(FILE, frame_id=FILE.frame_id + 3)  # frames 3, 4 and 12
    seconds = np.array([0.0, 0.29, 0.3, 1.19, 1.2])
    valid = take_boxes(early, seconds, max_age=9.0)[1]
    assert valid.any(axis=1).tolist() == [False, False, True, True, True]
    assert valid[3].tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("seconds", "fresh"),
    [
        (0.0999, True),
        (0.1, True),  # frame 1 appears
        (0.2, True),  # and is shown until here
        (0.2 + 0.5 - 1e-6, True),
        (0.2 + 0.5 + 1e-6, False),
        (0.9 - 1e-5, False),
        (0.9 - 1e-7, True),  # frame 9, a rounding error early
        (1.0 + 0.5 - 1e-6, True),
        (1.0 + 0.5 + 1e-6, False),
    ],
)
def test_the_age_of_a_box_counts_from_when_its_frame_was_gone(
    seconds: float, fresh: bool
) -> None:
    valid = take_boxes(FILE, np.array([seconds]), max_age=0.5)[1]
    assert valid.any() == fresh


def test_a_box_is_valid_at_the_greatest_age_itself() -> None:
    quarters = replace(FILE, fps=4.0)  # no rounding: frame 1 is gone at 0.5 s
    valid = take_boxes(quarters, np.array([1.0]), max_age=0.5)[1]
    assert valid[0].tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("corner", "sound"),
    [(1.00009, True), (1.0002, False), (-0.00009, True), (-0.0002, False)],
)
def test_a_rounding_error_beyond_the_picture_is_no_pixel(
    corner: float, sound: bool, tmp_path: Path
) -> None:
    boxes = FILE.boxes.copy()
    boxes[0, 0] = (min(corner, 0), 0.5, max(corner, 0.2), 1.0)
    if sound:
        write_box_cache(tmp_path / "x.npz", replace(FILE, boxes=boxes))
        return
    with pytest.raises(BoxError, match="not pixels"):
        write_box_cache(tmp_path / "x.npz", replace(FILE, boxes=boxes))


def test_the_number_of_places_is_fixed_where_asked(results: dict) -> None:
    assert LoadBoxes(num_boxes=2)(results)["boxes"].shape == (2, 2, 2, 4)
    wide = LoadBoxes(num_boxes=5)({**results})
    assert wide["boxes"].shape == (2, 2, 5, 4)
    assert not wide["boxes_mask"][..., 3:].any()
    none = LoadBoxes(num_boxes=3, optional=True)({**results, "boxes_path": None})
    assert not none["boxes_mask"].any() and none["boxes"].shape == (2, 2, 3, 4)
    packed = PackInputs(streams=("boxes",))(wide)["inputs"]
    assert packed["boxes"].shape == (2, 2, 5, 4)
    assert packed["boxes_mask"].shape == (2, 2, 5)


def test_a_crop_cuts_boxes_and_drops_those_outside(results: dict) -> None:
    found = LoadBoxes()(results)
    found |= {"imgs": [0] * 4, "num_clips": 2, "clip_len": 2}
    found["crop_quadruple"] = np.array([0.5, 0.0, 0.5, 1.0], np.float32)
    found = AlignBoxes()(found)
    assert found["boxes_mask"][0, 0].tolist() == [False, False, True]
    np.testing.assert_allclose(found["boxes"][0, 0, 2], [0, 0.4, 0.2, 0.6], atol=1e-6)
    np.testing.assert_allclose(found["boxes"][0, 1, 1], [0.4, 0.5, 0.8, 1], atol=1e-6)
    with pytest.raises(ValueError, match="AlignBoxes: found twice"):
        AlignBoxes()(found)


def test_named_boxes_are_put_into_places(results: dict) -> None:
    """After a flip the place of the right hand has what was the left one."""
    found = {**LoadBoxes()(results), "flip": True, "flip_direction": "horizontal"}
    names = ("right hand", None, "object")
    found = ArrangeBoxes(names)(AlignBoxes()(found))
    assert found["boxes"].shape == (2, 2, 3, 4) and found["boxes"].dtype == np.float32
    assert found["boxes_mask"][0].tolist() == [[True, False, True], [False] * 3]
    np.testing.assert_allclose(found["boxes"][0, 0, 0], [0.8, 0.5, 1, 1], atol=1e-6)
    thin = ArrangeBoxes(("object",), min_side=0.3)({**found})
    assert not thin["boxes_mask"].any() and not thin["boxes"].any()
    none = LoadBoxes(num_boxes=3, optional=True)({**results, "boxes_path": None})
    assert not ArrangeBoxes(names)(none)["boxes_mask"].any()
    with pytest.raises(ValueError, match=r"expected \['object 2'\] too"):
        ArrangeBoxes(("object 2",))(LoadBoxes()(results))
    for wrong in ((), ("object", "object")):
        with pytest.raises(ValueError, match="expected different ones"):
            ArrangeBoxes(wrong)


def test_a_flip_mirrors_and_swaps_the_hands(results: dict) -> None:
    found = LoadBoxes(num_boxes=4)(results)
    found |= {"flip": True, "flip_direction": "horizontal"}
    found = AlignBoxes()(found)
    assert found["boxes_mask"][0, 0].tolist() == [False, True, True, False]
    np.testing.assert_allclose(found["boxes"][0, 0, 1], [0.8, 0.5, 1, 1], atol=1e-6)
    np.testing.assert_allclose(found["boxes"][0, 1, 0], [0.1, 0.5, 0.3, 1], atol=1e-6)
    found.pop("boxes_aligned")
    with pytest.raises(ValueError, match="flip_direction: got 'vertical'"):
        AlignBoxes()({**found, "flip_direction": "vertical"})


def test_boxes_follow_real_crops_and_flips(results: dict) -> None:
    """A white square is drawn where the box is, and is there afterwards."""
    found = LoadBoxes()(results)
    image = np.zeros((100, 100, 3), np.uint8)
    image[40:60, 40:60] = 255
    found |= {"imgs": [image.copy() for _ in range(4)], "num_clips": 2, "clip_len": 2}
    found |= {"img_shape": (100, 100), "original_shape": (100, 100), "modality": "RGB"}
    np.random.seed(3)
    for config in (
        dict(type="mmaction.RandomResizedCrop", area_range=(0.5, 0.6)),
        dict(type="mmaction.Resize", scale=(80, 80), keep_ratio=False),
        dict(type="mmaction.Flip", flip_ratio=1.0),
    ):
        found = TRANSFORMS.build(config)(found)
    found = AlignBoxes()(found)
    white = np.argwhere(found["imgs"][0][..., 0] > 127)  # rows y, x
    low, high = white.min(0) / 80, (white.max(0) + 1) / 80
    drawn = [low[1], low[0], high[1], high[0]]
    np.testing.assert_allclose(found["boxes"][0, 0, 2], drawn, atol=0.02)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(boxes=FILE.boxes * 100), "expected fractions of the picture"),
        (dict(boxes=FILE.boxes[..., ::-1]), "a box is not x1 <= x2"),
        (dict(boxes=FILE.boxes + np.nan), "a box is not x1 <= x2"),
        (dict(boxes=FILE.boxes[0]), r"boxes has shape \(3, 4\)"),
        (dict(valid=FILE.valid[:2]), r"valid has shape \(2, 3\)"),
        (dict(frame_id=FILE.frame_id[::-1]), "3 ascending frame numbers"),
        (dict(fps=0.0), "fps is 0.0"),
    ],
)
def test_malformed_caches_are_refused(
    change: dict, message: str, tmp_path: Path
) -> None:
    with pytest.raises(BoxError, match=message):
        write_box_cache(tmp_path / "x.npz", replace(FILE, **change))


def test_a_box_may_be_as_thin_as_a_line(tmp_path: Path) -> None:
    boxes = FILE.boxes.copy()
    boxes[0, 0] = (0.2, 0.5, 0.2, 0.5)
    write_box_cache(tmp_path / "x.npz", replace(FILE, boxes=boxes))
    found = load_box_file(str(tmp_path / "x.npz"))
    assert found.valid[0, 0] and (found.boxes == boxes).all()


def test_unreadable_files_are_named(results: dict, tmp_path: Path) -> None:
    with pytest.raises(BoxError, match="it belongs to 'P01_01'; expected 'P01_011'"):
        LoadBoxes()({**results, "group": "P01_011"})
    with pytest.raises(BoxError, match="does not exist"):
        load_box_file(str(tmp_path / "none.npz"))
    (tmp_path / "text.npz").write_text("no")
    with pytest.raises(BoxError, match="not a readable npz"):
        load_box_file(str(tmp_path / "text.npz"))
    np.savez(tmp_path / "few.npz", boxes=FILE.boxes)
    with pytest.raises(BoxError, match=r"it lacks \['valid', 'frame_id'"):
        load_box_file(str(tmp_path / "few.npz"))
    with pytest.raises(ValueError, match="'P01_01_0' has no boxes"):
        LoadBoxes()({**results, "boxes_path": None, "sample_id": "P01_01_0"})


def test_wrong_arguments_and_rows_are_named(results: dict) -> None:
    with pytest.raises(ValueError, match="num_boxes: got 0"):
        LoadBoxes(num_boxes=0)
    with pytest.raises(ValueError, match="expected num_boxes with it"):
        LoadBoxes(optional=True)
    with pytest.raises(ValueError, match="expected 'video'"):
        LoadBoxes()({**results, "times": {"skeleton": None}})
    options: dict = dict(names=NAMES, fps=10.0, sequence="x")
    row = (0, "object", 0.0, 0.0, 1.0, 1.0)
    with pytest.raises(ValueError, match="frame 0: 'object' comes twice"):
        boxes_of_rows([row, row], **options)
    with pytest.raises(ValueError, match="frame 0: name is 'foot'"):
        boxes_of_rows([(0, "foot", 0.0, 0.0, 1.0, 1.0)], **options)


def test_the_file_type_is_what_is_read(results: dict) -> None:
    found = load_box_file(results["boxes_path"])
    assert isinstance(found, BoxFile) and found.names == NAMES
    np.testing.assert_array_equal(found.valid, FILE.valid)
