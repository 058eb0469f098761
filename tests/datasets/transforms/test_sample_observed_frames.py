"""Nothing that a model sees of an action to come is later than start - tau_a."""

import types
from functools import cache

import numpy as np
import pytest

from mmfusion.datasets import MultiModalDataset
from mmfusion.datasets.media.video_io import open_video
from mmfusion.datasets.transforms import (
    DecodeVideo,
    LoadSkeleton,
    PackInputs,
    SampleClipsBefore,
    SampleObservedFrames,
)
from mmfusion.engine import ObservedWindowHook
from mmfusion.layouts import epic_kitchens as epic
from mmfusion.layouts.epic_annotation import EpicMedia, make_record
from tests.datasets.transforms.helpers import results, skeleton
from tests.ek100_files import make_ek100, prepare_ek100
from tests.video_files import number_of, write_frames, write_video


def sample(start, seed=0, frames=4, **options):
    np.random.seed(seed)
    sampler = SampleObservedFrames(dict(video=frames), **options)
    return sampler(dict(sample_id="a", start_sec=start, end_sec=start + 2.0))


def test_the_default_is_16_frames_of_64_at_30_a_second():
    out = SampleObservedFrames(mode="uniform")(dict(start_sec=10.0))
    times = out["times"]["video"]
    assert times.shape == (1, 16) and (out["tau_a"], out["tau_o"]) == (1.0, 64 / 30)
    np.testing.assert_allclose(times[0], 9 - 64 / 30 * (np.arange(16)[::-1] + 0.5) / 16)
    assert not out["padded"] and out["observed_times"]["video"] is times


def test_middles_in_test_and_one_random_time_in_each_part_in_training():
    out = sample(5.0, tau_o=2.0, mode="uniform")
    np.testing.assert_allclose(out["times"]["video"], [[2.25, 2.75, 3.25, 3.75]])
    assert (out["start_sec"], out["end_sec"]) == (2.0, 4.0)
    drawn = np.stack([sample(5.0, s, tau_o=2.0)["times"]["video"] for s in range(50)])
    parts = np.floor((drawn - 2.0) * 2)
    np.testing.assert_array_equal(parts[:, 0], np.tile([0, 1, 2, 3], (50, 1)))
    assert len(np.unique(drawn)) == 200


@pytest.mark.parametrize(("start", "there"), [(0.5, 0), (3.5, 1), (5.5, 2)])
def test_clips_before_the_source_are_marked_but_the_last(start, there):
    out = sample(start, frames=6, tau_o=6.0, num_clips=3, mode="uniform")
    clips = out["times_mask"]["video"].reshape(3, 2)
    np.testing.assert_array_equal(clips[:, 0], np.arange(3) >= min(2, 2 - there))
    np.testing.assert_array_equal(clips[:, 0], clips[:, 1])
    with pytest.raises(ValueError, match="multiples"):
        sample(start, frames=6, num_clips=4)


@pytest.mark.parametrize(("start", "there"), [(0.4, 0), (2.4, 1), (3.0, 2)])
def test_clips_before_an_action_end_where_it_starts(start, there):
    sampler = SampleClipsBefore(dict(video=6), 3, clip_seconds=2.0, mode="uniform")
    out = sampler(dict(start_sec=start, end_sec=start + 1))
    times, mask = (out[key]["video"] for key in ("times", "times_mask"))
    expected = start + np.array([[-3.5, -2.5, -1.5, -0.5, 0.25, 0.75]])
    np.testing.assert_allclose(times[mask], np.maximum(expected[mask], 0))
    np.testing.assert_array_equal(mask, [np.repeat([there > 1, there > 0, True], 2)])
    assert (times >= 0).all() and (times[:, :4] < start).all()
    with pytest.raises(ValueError, match="multiples"):
        SampleClipsBefore(dict(video=5), 3)


def test_streams_share_a_warp_and_clips_follow_each_other():
    frames = dict(video=4, skeleton=4, gaze=12)
    np.random.seed(0)
    out = SampleObservedFrames(frames, tau_o=6.0, num_views=3)(dict(start_sec=9.0))
    video = out["times"]["video"]
    np.testing.assert_array_equal(video, out["times"]["skeleton"])
    np.testing.assert_allclose(out["times"]["gaze"][:, 1::3], video)
    assert out["times"]["gaze"].shape == (3, 12)
    np.testing.assert_array_equal(
        np.floor((video - 2) / 2), np.arange(3)[:, None] + 0 * video
    )


@pytest.mark.parametrize(
    ("start", "times", "padded"),
    [
        (3.0, [0.25, 0.75, 1.25, 1.75], False),
        (2.0, [0.0, 0.0, 0.25, 0.75], True),
        (1.0, [0.0, 0.0, 0.0, 0.0], True),
        (0.0, [0.0, 0.0, 0.0, 0.0], True),
    ],
)
def test_the_first_frame_stands_for_what_is_before_it(start, times, padded):
    out = sample(start, tau_o=2.0, mode="uniform")
    np.testing.assert_allclose(out["times"]["video"], [times])
    assert out["padded"] is padded


@pytest.mark.parametrize("drop, kept", [("none", 4), ("empty", 2), ("padded", 1)])
def test_drop(drop, kept):
    sampler = SampleObservedFrames(tau_o=2.0, drop=drop)
    starts = (3.0, 1.0, 0.99, 0.0)
    assert sum(sampler.keeps(dict(start_sec=start)) for start in starts) == kept
    line = sampler.describe([dict(start_sec=start) for start in starts])
    assert "3 of 4 clips padded" in line and "2 of them with nothing" in line


def test_decoded_frames_appear_before_the_limit(tmp_path):
    """Frames of an uneven video whose next one comes right after the limit."""
    stamps = [0, 10, 21, 29, 40, 51, 62, 70, 80, 91, 100, 110]
    path = str(write_video(tmp_path / "a.mp4", stamps=stamps))
    own = open_video(path).times
    for limit in np.r_[own + 1e-9, own - 1e-9, own - 4e-4, own + 0.03]:
        if limit < 0:
            continue
        record = dict(sample_id="a", start_sec=limit + 0.5, video_path=path)
        for seed in range(3):
            np.random.seed(seed)
            sampler = SampleObservedFrames(dict(video=9), tau_a=0.5, tau_o=0.02)
            out = DecodeVideo()(sampler(dict(record)))
            shown = own[[number_of(image) for image in out["imgs"]]]
            assert (shown <= limit).all()


def test_where_images_are_missing_the_last_one_stays(tmp_path):
    """A reader takes the nearest image: here image 10 from 0.75 s on."""
    folder = write_frames(tmp_path / "frames", [0, 5, 10])
    record = dict(
        sample_id="a",
        start_sec=1.9,
        frame_dir_path=str(folder),
        filename_tmpl="img_{:05d}.png",
        start_index=0,
        frame_ids=[0, 5, 10],
        index_fps=10.0,
    )
    sampler = SampleObservedFrames(dict(video=4), tau_o=0.8, mode="uniform")
    out = DecodeVideo()(sampler(record))
    assert [number_of(image) for image in out["imgs"]] == [0, 0, 5, 5]


def test_joints_of_the_action_are_not_seen():
    data = skeleton()
    record = results(skeleton_data=data, start_sec=2.04)
    sampler = SampleObservedFrames(dict(skeleton=50), tau_o=0.5)
    out = LoadSkeleton()(sampler(record))
    frames = out["joints"][0, :, 0, 0, 0]
    assert frames.min() == 5 and frames.max() == 9  # at 0.9 s
    data["keypoint"], data["frame_id"] = data["keypoint"][12:], data["frame_id"][12:]
    data["valid"] = data["valid"][12:]  # they begin at 1.2 s
    out = LoadSkeleton()(sampler(results(skeleton_data=data, start_sec=2.04)))
    assert not out["joints_mask"].any() and not out["joints"].any()


def test_a_window_in_the_action_is_asked_for_aloud():
    with pytest.raises(ValueError, match="allow_action=True"):
        SampleObservedFrames(tau_a=-1.0)
    options = dict(tau_a=-1.0, allow_action=True)
    times = sample(5.0, tau_o=1.5, **options)["times"]["video"]
    assert times.max() > 5.0
    short = SampleObservedFrames(dict(video=4), tau_o=1.5, mode="uniform", **options)
    assert short(dict(start_sec=5.0, end_sec=5.4))["times"]["video"].max() < 5.4
    assert "INTO the action" in short.describe([dict(start_sec=5.0)])


@pytest.mark.parametrize(
    ("length", "numbers"),
    [
        (0, [0] * 16),
        (1, [0] * 16),
        (2, [1, *[0] * 15]),
        (60, [1, *[0] * 15]),
        # in the middle of the action's room, 0 + 136 - 2 frames on
        (400, np.floor(np.linspace(7, 135, 16))),
    ],
)
def test_legacy_inavit_counts_as_the_public_loader(length, numbers, monkeypatch):
    """Worked by hand at 60 frames a second; a 60-frame action gives 1, 0, 0, ..."""
    monkeypatch.setattr(np.random, "random", lambda size: np.full(size, 0.5))
    sampler = SampleObservedFrames(legacy_inavit=True)
    record = dict(start_sec=10.0, start_frame=601, end_frame=601 + length)
    out = sampler(dict(record, end_sec=10 + length / 60, index_fps=60.0))
    np.testing.assert_allclose(out["times"]["video"][0] * 60 - 600, numbers)
    assert (out["tau_a"], out["sampling"]) == (None, "legacy_inavit")


def published(start, stop, **keys):
    """A record whose numbers count at 60 a second from 1 at 0 s."""
    numbers = dict(start_frame=int(60 * start) + 1, end_frame=int(60 * stop) + 1)
    times = dict(start_sec=start, end_sec=stop, index_fps=60.0)
    return dict(sample_id="a", **times, **numbers, **keys)


def test_legacy_vjepa2_ends_a_second_before_the_end():
    sampler = SampleObservedFrames(
        dict(video=3), tau_a=9.0, mode="uniform", legacy_vjepa2=True
    )
    out = sampler(published(10.0, 12.0))  # numbers 601 and 721
    np.testing.assert_allclose(out["times"]["video"] * 60, [[640, 647, 654]])
    assert (out["tau_a"], out["tau_o"], out["padded"]) == (None, None, False)
    assert out["sampling"] == "legacy_vjepa2" and out["start_sec"] == 10.0
    assert not sampler(published(0.0, 0.5))["times"]["video"].any()  # as that loader
    assert sampler.keeps(published(0.0, 0.5))
    line = sampler.describe([published(10.0, 12.0), published(3.0, 4.0)])
    assert "action's END" in line and "1 of 2 clips" in line


def test_legacy_vjepa2_draws_gap_and_point_in_training(monkeypatch):
    drawn = []
    monkeypatch.setattr(np.random, "uniform", lambda *ends: drawn.append(ends) or 0.25)
    sampler = SampleObservedFrames(dict(video=2), legacy_vjepa2=True)
    times = sampler(published(10.0, 12.0))["times"]["video"]
    assert drawn == [(0.25, 1.75), (0.0, 0.25)]
    # 0.25 * 601 + 0.75 * 721 = 691, less 15
    np.testing.assert_allclose(times * 60, [[662, 669]])


def test_legacy_vjepa2_takes_the_numbers_for_the_videos_own(tmp_path):
    """40 frames at 10 a second: number 61 is no frame of the first second there."""
    path = str(write_video(tmp_path / "a.mp4", num_frames=40))
    sampler = SampleObservedFrames(dict(video=3), mode="uniform", legacy_vjepa2=True)
    # int(10 / 8) = 1 frame apart, ten of them before 37: 2.4 to 2.6 s, of 0.5 to 0.6
    out = sampler(published(0.5, 0.6, video_path=path))
    np.testing.assert_allclose(out["times"]["video"], [[2.4, 2.5, 2.6]])
    shown = sampler(published(0.5, 1.0, video_path=path))["times"]["video"]
    np.testing.assert_allclose(shown, [[3.9] * 3])  # 48 to 50: the last there is


def test_legacy_vjepa2_is_one_view_of_annotated_numbers():
    for options in (dict(legacy_inavit=True), dict(num_views=2)):
        with pytest.raises(ValueError, match="num_views=1"):
            SampleObservedFrames(legacy_vjepa2=True, **options)
    for name in ("legacy_inavit", "legacy_vjepa2"):
        with pytest.raises(ValueError, match="'a' has start_frame.*expected all three"):
            SampleObservedFrames(**{name: True})(dict(sample_id="a", start_sec=3.0))


@pytest.mark.parametrize(
    ("start", "padded", "empty"),
    [
        (3.0, False, False),  # the window is 0 s to 2 s
        (2.999, True, False),
        (1.0, True, False),  # it ends at 0 s, where the first frame is
        (0.999, True, True),
    ],
)
def test_a_window_that_just_fits_is_whole(start, padded, empty):
    sampler = SampleObservedFrames(tau_o=2.0)
    record = dict(start_sec=start)
    assert (sampler.is_padded(record), sampler.is_empty(record)) == (padded, empty)


@cache
def real_records(folder, split):
    """start_sec of every segment; training through RULSTM's list at 30 a second."""
    root = folder / "ek100"
    name = "rulstm/training.csv" if split == "train" else epic.SEGMENT_FILES["val"]
    segments = epic.read_segments(root / name, epic.read_classes(root))
    return [dict(start_sec=one.start_sec, end_sec=one.stop_sec) for one in segments]


@pytest.mark.parametrize(
    ("split", "total"), [("train", 67_217), ("val", 9_668)], ids=["train", "val"]
)
def test_all_real_segments_keep_the_gap(shared_data, split, total):
    """All windows; times of all early segments and of every twentieth other one."""
    samplers = [
        SampleObservedFrames(dict(video=16, skeleton=32), mode=mode)
        for mode in ("uniform", "random")
    ]
    records = real_records(shared_data, split)
    assert len(records) == total
    for record in records:
        assert samplers[0].window(record)[1] == record["start_sec"] - 1.0
    early = [record for record in records if record["start_sec"] < 4]
    others = [record for record in records if record["start_sec"] >= 4]
    for sampler in samplers:
        for record in early + others[::20]:
            check_the_gap(record, sampler(dict(record)))


def check_the_gap(record, out):
    last = max(times.max() for times in out["times"].values())
    limit = record["start_sec"] - 1.0
    if limit >= 0:
        assert last <= limit and out["end_sec"] <= limit
    else:  # the only exception: the first frame, and flagged
        assert last == 0.0 and out["padded"]
    assert min(times.min() for times in out["times"].values()) >= 0


def test_clips_without_room_are_as_many_as_are_known(shared_data):
    """27 of validation start before 1 s, 122 before 3 s."""
    records = real_records(shared_data, "val")
    sampler = SampleObservedFrames(tau_o=2.0)
    assert sum(map(sampler.is_empty, records)) == 27
    assert sum(map(sampler.is_padded, records)) == 122
    assert (
        len(records) - sum(map(SampleObservedFrames(drop="empty").keeps, records)) == 27
    )


def test_legacy_inavit_breaks_the_gap_on_real_segments(shared_data):
    root = shared_data / "ek100"
    classes = epic.read_classes(root)
    segments = epic.read_segments(root / epic.SEGMENT_FILES["val"], classes)[::10]
    sampler = SampleObservedFrames(legacy_inavit=True, mode="uniform")
    records = [make_record(one, "val", EpicMedia(), {}) for one in segments]
    gaps = [r["start_sec"] - sampler(dict(r))["times"]["video"].max() for r in records]
    assert max(gaps) < 0.05  # seconds before the start: never near 1 s
    assert np.mean(np.array(gaps) <= 0.02) > 0.9


def observed_dataset(root, split="val", **options):
    write_video(root / "videos/P03/videos/P03_02.MP4", num_frames=20)
    pipeline = [
        dict(type=SampleObservedFrames, num_frames=dict(video=4), tau_o=0.4, **options),
        dict(type=DecodeVideo),
        dict(type=PackInputs, streams=("video",)),
    ]
    ann_file = "mmfusion/annotation.json"
    return MultiModalDataset(
        ann_file, pipeline, data_root=str(root), split=split, test_mode=True
    )


@pytest.fixture
def root(tmp_path):
    root = make_ek100(tmp_path)
    (root / "videos/P03/videos").mkdir(parents=True)
    prepare_ek100(root)
    return root


def test_a_dataset_packs_the_protocol_and_drops_by_request(root, monkeypatch):
    sample = observed_dataset(root, mode="uniform")[1]["data_samples"]
    assert (sample.tau_a, sample.tau_o, sample.padded) == (1.0, 0.4, False)
    lines = []
    name = "mmfusion.datasets.record_selection.print_log"
    monkeypatch.setattr(name, lambda line, **_: lines.append(line))
    assert len(observed_dataset(root, drop="empty")) == 1
    assert lines[0].startswith("1 of 2 records of split 'val' of ")
    assert lines[0].endswith(" dropped by SampleObservedFrames")


def test_the_hook_tells_before_each_epoch(root):
    lines = []
    logger = types.SimpleNamespace(info=lines.append, warning=lines.append)
    loader = types.SimpleNamespace(dataset=observed_dataset(root))
    runner = types.SimpleNamespace(val_dataloader=loader, logger=logger)
    hook = ObservedWindowHook()
    hook.before_val_epoch(runner)
    hook.before_val_epoch(runner)
    assert len(lines) == 2
    assert "val: tau_a=1s, tau_o=0.4s" in lines[0] and "1 of 2 clips padded" in lines[0]


@pytest.mark.parametrize(
    "options",
    [dict(tau_o=0.0), dict(num_views=0), dict(drop="all"), dict(mode="dense")],
    ids=str,
)
def test_wrong_options(options):
    with pytest.raises(ValueError, match="expected"):
        SampleObservedFrames(**options)
    with pytest.raises(ValueError, match="no start_sec"):
        SampleObservedFrames()(dict(sample_id="a"))
