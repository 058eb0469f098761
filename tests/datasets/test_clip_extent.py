"""A clip that does not lie within its video: one rule for dataset and samplers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmfusion.datasets import MultiModalDataset
from mmfusion.datasets.transforms import (
    SampleObservedFrames,
    SampleSegments,
    SampleTimes,
    SampleWindow,
)
from mmfusion.utils.errors import AnnotationError, ClipExtentError, MMFusionError
from tests.datasets.clips import make_record, write_clips
from tests.video_files import write_video

FRAMES = {"frame_dir": "f", "filename_tmpl": "{:06d}.jpg", "index_fps": 10.0}
RECORDS = [
    make_record(0, duration_sec=1.0),
    make_record(1, duration_sec=0.6),  # half a second of slack
    make_record(2, duration_sec=12.0, end_sec=20.0, end_frame=199, index_fps=10.0),
    make_record(3, duration_sec=12.0, start_sec=13.0, end_sec=14.0),
    make_record(4, **FRAMES, total_frames=4, end_sec=1.5),
    make_record(5, end_sec=99.0),  # nobody knows
]


def ends(
    folder: Path, policy: str, records: list[dict] = RECORDS
) -> dict[str, float | None]:
    dataset = MultiModalDataset(write_clips(folder, records), [], outside=policy)
    kept = [dataset.get_record(index) for index in range(len(dataset))]
    return {record["id"]: record["end_sec"] for record in kept}


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (2, "'clip2': it ends at 20 s and its video at 12 s"),
        (3, "'clip3': it starts at 13 s and its video ends at 12 s"),
        (4, "'clip4': it ends at 1.5 s and its video at 0.4 s"),
    ],
)
def test_the_dataset_refuses_it_when_it_is_built(
    number: int, message: str, tmp_path: Path
) -> None:
    with pytest.raises(AnnotationError, match=rf"annotation.json: clip {message}"):
        ends(tmp_path, "raise", RECORDS[number : number + 1])
    assert set(ends(tmp_path, "raise", RECORDS[:2])) == {"clip0", "clip1"}


def test_it_is_cut_or_dropped_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []
    monkeypatch.setattr(
        "mmfusion.datasets.clip_extent.print_log",
        lambda text, **options: lines.append(text),
    )
    assert ends(tmp_path, "drop") == {"clip0": 1.0, "clip1": 1.0, "clip5": 99.0}
    assert "3 of 6 records of" in lines[0] and "'clip2', 'clip3', 'clip4'" in lines[0]
    lines.clear()
    kept = {"clip0": 1.0, "clip1": 1.0, "clip2": 12.0, "clip4": 0.4, "clip5": 99.0}
    assert ends(tmp_path, "cut") == kept
    assert "2 of 6" in lines[0] and "are cut there: ['clip2', 'clip4']" in lines[0]
    assert "1 of 6" in lines[1] and "dropped: ['clip3']" in lines[1]
    dataset = MultiModalDataset(write_clips(tmp_path, RECORDS[2:3]), [], outside="cut")
    assert dataset.get_record(0)["end_frame"] == 120
    with pytest.raises(AnnotationError, match="none of 1 clips lies within its video"):
        ends(tmp_path, "drop", RECORDS[2:3])
    with pytest.raises(ValueError, match="outside is 'trim', expected one of"):
        ends(tmp_path, "trim")


def test_a_reversed_clip_is_refused_whatever_the_policy(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match="'clip0'.*zero frames or is reversed"):
        ends(tmp_path, "cut", [make_record(0, start_sec=3.0, end_sec=1.0)])


SAMPLERS = {
    "times": lambda: SampleTimes(dict(video=4)),
    "segments": lambda: SampleSegments(4),
    "window": lambda: SampleWindow(4, seconds=0.5),
    "observed": lambda: SampleObservedFrames(dict(video=4), tau_a=0.1),
}


@pytest.mark.parametrize("make", SAMPLERS.values(), ids=SAMPLERS)
def test_every_sampler_answers_the_same(
    make: Callable[[], Any], tmp_path: Path
) -> None:
    clip = {
        "sample_id": "v#7",
        "start_sec": 0.2,
        "end_sec": 5.0,
        "video_path": str(write_video(tmp_path / "a.mp4")),  # of 1.2 s
    }
    sampler = make()
    for policy in ("raise", "drop"):
        with pytest.raises(
            ClipExtentError, match=r"'v#7': it ends at 5 s .* at 1.2 s \(.*a.mp4\)"
        ):
            sampler({**clip, "outside": policy})
    out = sampler({**clip, "outside": "cut"})
    assert max(out["times"]["video"].max(), out["end_sec"]) < 1.2 + 1e-9
    for policy in ("raise", "cut", "drop"):
        late = {**clip, "start_sec": 3.0, "outside": policy}
        with pytest.raises(ClipExtentError, match="'v#7': it starts at 3 s"):
            sampler(late)
    within = sampler({**clip, "end_sec": 1.6})
    np.testing.assert_array_less(within["times"]["video"], 1.6)


def test_a_broken_clip_is_named(tmp_path: Path) -> None:
    path = write_clips(tmp_path, [make_record(0)])
    pipeline = [
        {"type": "SampleTimes", "num_frames": {"video": 2}},
        {"type": "DecodeVideo"},
    ]
    dataset = MultiModalDataset(path, pipeline, data_root=str(tmp_path))
    with pytest.raises(MMFusionError, match=r"sample 'clip0': .*v0.mp4"):
        dataset[0]
