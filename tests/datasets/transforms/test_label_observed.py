"""Labels of observed times, and the actions before a clip that they come from."""

import numpy as np
import pytest

from mmfusion.datasets.transforms import LabelObserved, PackInputs
from mmfusion.datasets.untrimmed import with_past
from mmfusion.utils.errors import AnnotationError, InputError


def record(name, start, end, verb, group="film"):
    label = dict(verb=verb)
    base = dict(group=group, video=None, frame_dir=None, extra={"video_id": group})
    return dict(base, id=name, start_sec=start, end_sec=end, label=label)


RECORDS = [
    record("a", 0.0, 2.0, 1),
    record("b", 1.0, 4.0, 2),
    record("c", 6.0, 7.0, 3),
    record("other", 1.0, 2.0, 4, group="another film"),
]


def test_a_clip_gets_what_precedes_it_in_its_video():
    made = with_past(RECORDS, 4.0, "records")
    found = {one["id"]: one["extra"]["segments"] for one in made}
    assert found["c"] == [[1.0, 4.0, {"verb": 2}]]  # a ended 4 s before
    assert found["b"] == [[0.0, 2.0, {"verb": 1}]]
    assert found["a"] == [] == found["other"]
    assert made[0]["extra"]["video_id"] == "film"
    with pytest.raises(InputError, match="past_seconds: got 0"):
        with_past(RECORDS, 0, "records")
    with pytest.raises(AnnotationError, match="'x' has no end"):
        with_past([record("x", 1.0, None, 1)], 1.0, "records")


def test_times_have_the_label_of_the_nearest_middle_or_none():
    results = dict(
        times={"video": np.array([[0.5, 1.4, 1.9, 4.0, 5.0]])},
        extra={"segments": with_past(RECORDS, 9.0, "records")[2]["extra"]["segments"]},
        ann_meta={"classes": {"verb": ["v"] * 5}},
        label={"verb": 3},
        video=np.zeros((1, 2), np.float32),
        sample_id="c",
    )
    results = LabelObserved().transform(results)
    # a's middle is 1.0, b's 2.5: 1.4 is a's, 1.9 is b's; an end belongs to its action
    assert results["past_label"]["verb"].tolist() == [1, 1, 2, 2, -1]
    results["clip"] = results.pop("video")
    sample = PackInputs(streams=("clip",)).transform(results)["data_samples"]
    assert sample.past_verb.tolist() == [1, 1, 2, 2, -1] and sample.tasks() == ["verb"]


def test_without_segments_or_with_views_raises():
    with pytest.raises(InputError, match="past_seconds"):
        LabelObserved().transform(dict(sample_id="a"))
    results = dict(times={"video": np.zeros((2, 3))}, extra={"segments": []})
    with pytest.raises(InputError, match="2 views, expected 1"):
        LabelObserved().transform(results)
