"""Streams are what clips are, frame by frame, also after a kill."""

import math
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from mmengine.registry import DefaultScope

from mmfusion.apis.streaming import StreamingRecognizer
from mmfusion.datasets import fusion_collate
from mmfusion.datasets.media.array_video import ArrayVideo
from mmfusion.registry import TRANSFORMS
from mmfusion.utils.errors import CheckpointError, InputError
from tests.apis.small import model_config
from tests.apis.small_streams import PIPELINE, RATES, SKELETON, frames, hands, loaded

SECONDS = 2.0
COUNTS = {stream: int(SECONDS * rate) for stream, rate in RATES.items()}


@pytest.fixture(scope="module")
def model():
    return loaded()


def _events(video_kept, hands_kept, seed=0):
    """(time, stream, data) of kept frames, in order of time."""
    video, (joints, mask) = (
        frames(COUNTS["video"], seed),
        hands(COUNTS["skeleton"], seed),
    )
    made = [
        ((i + 0.5) / RATES["video"], "video", video[i])
        for i in np.flatnonzero(video_kept)
    ]
    made += [
        ((i + 0.5) / RATES["skeleton"], "skeleton", (joints[i], mask[i]))
        for i in np.flatnonzero(hands_kept)
    ]
    return sorted(made, key=lambda event: event[0])


def _offline(model, until, video_kept, hands_kept, seed=0):
    """Scores of the pipeline and the model on the frames before a time, as a clip."""
    joints, mask = hands(COUNTS["skeleton"], seed)
    joints = np.where((mask & hands_kept[:, None, None])[..., None], joints, 0)
    results = dict(
        sample_id="clip",
        start_sec=0.0,
        end_sec=until,
        index_fps=RATES["skeleton"],
        ann_meta={"skeleton": SKELETON, "extra": None},
        video_data=ArrayVideo(frames(COUNTS["video"], seed), RATES["video"]),
        skeleton_data=dict(
            keypoint=joints, valid=mask & hands_kept[:, None, None], fps=30.0
        ),
    )
    with DefaultScope.overwrite_default_scope("mmfusion"):
        steps = [TRANSFORMS.build(dict(step)) for step in model.pipeline]
    for step in steps:
        results = step(results)
    count = results["inputs"]["video_mask"].shape[1]
    kept = np.pad(video_kept, (0, count - len(video_kept)))
    results["inputs"]["video_mask"] &= torch.from_numpy(kept)
    with torch.inference_mode():
        (sample,) = model.model.test_step(fusion_collate([results]))
    return sample.score_action.numpy()


def test_streaming_equals_the_clip_with_two_clocks_and_lost_frames(model) -> None:
    generator = np.random.default_rng(0)
    video_kept = generator.random(COUNTS["video"]) > 0.3
    hands_kept = generator.random(COUNTS["skeleton"]) > 0.3
    recognizer = StreamingRecognizer(model, hold=math.inf)
    checked = 0
    for index, event in enumerate(_events(video_kept, hands_kept)):
        moment, stream, data = event
        reading = recognizer.push(stream, moment, data)
        assert reading.accepted.all() and reading.time == moment
        if index % 5 == 4:
            until = moment + 1e-6
            offline = _offline(model, until, video_kept, hands_kept)
            np.testing.assert_allclose(
                reading.scores["action"][0], offline, atol=1e-5, rtol=0
            )
            checked += 1
    assert checked > 8


def test_cameras_of_a_batch_are_what_they_are_alone(model) -> None:
    together = StreamingRecognizer(model, cameras=3)
    every = np.ones(COUNTS["skeleton"], bool)
    streams = [_events(every[: COUNTS["video"]], every, seed) for seed in range(3)]
    for moment, stream, _ in streams[0][:30]:
        given = [
            next(e[2] for e in events if e[:2] == (moment, stream))
            for events in streams
        ]
        rows = [2, 0] if stream == "video" else [0, 1, 2]
        together.push(stream, moment, [given[row] for row in rows], cameras=rows)
    for row, events in enumerate(streams):
        alone = StreamingRecognizer(model)
        for moment, stream, data in events[:30]:
            if stream == "skeleton" or row != 1:
                alone.push(stream, moment, data)
        mine, other = alone.read(), together.read([row])
        assert mine.time == other.time
        np.testing.assert_allclose(
            mine.scores["action"], other.scores["action"], atol=1e-5, rtol=0
        )


def test_frames_of_the_past_are_refused_and_counted(model) -> None:
    recognizer = StreamingRecognizer(model, late=0.2)
    video, (joints, mask) = frames(2), hands(2)
    recognizer.push("video", 1.0, video[0])
    before = recognizer.push("skeleton", 0.9, (joints[0], mask[0]))  # another clock
    assert before.accepted.all() and before.time == 1.0
    for stream, moment, data in (
        ("video", 1.0, video[1]),
        ("video", 0.5, video[1]),
        ("skeleton", 0.9, joints[1]),
    ):
        reading = recognizer.push(stream, moment, data)
        assert not reading.accepted.any() and reading.time == 1.0
        assert np.array_equal(reading.scores["action"], before.scores["action"])
    recognizer.push("video", 2.0, video[1])
    assert not recognizer.push("skeleton", 1.7, joints[1]).accepted.any()
    counts = recognizer.counts
    assert counts["video"] == dict(accepted=2, unseen=0, late=0, out_of_order=2)
    assert counts["skeleton"] == dict(accepted=1, unseen=0, late=1, out_of_order=1)


def test_a_stream_that_is_silent_counts_as_missing(model) -> None:
    recognizer = StreamingRecognizer(model, hold=0.5)
    assert np.isnan(recognizer.read().scores["action"]).all()
    video, (joints, _) = frames(3), hands(1)
    recognizer.push("skeleton", 0.0, joints[0])
    both = recognizer.push("video", 0.4, video[0]).scores["action"]
    assert np.isfinite(both).all()
    recognizer.push("video", 0.8, video[1])
    alone = StreamingRecognizer(model, hold=0.5)
    for moment, frame in zip((0.4, 0.8), video, strict=False):
        reading = alone.push("video", moment, frame)
    assert np.array_equal(recognizer.read().scores["action"], reading.scores["action"])
    # hands of which no joint is seen say nothing, and time goes on
    unseen = recognizer.push("skeleton", 2.0, np.full_like(joints[0], np.nan))
    assert unseen.time == 2.0 and np.isnan(unseen.scores["action"]).all()
    assert recognizer.counts["skeleton"]["unseen"] == 1


def test_state_has_a_fixed_size_and_goes_on_with_the_same_digits(
    model, tmp_path
) -> None:
    every = np.ones(COUNTS["skeleton"], bool)
    events = _events(every[: COUNTS["video"]], every)
    recognizer = StreamingRecognizer(model)
    sizes = {name: value.shape for name, value in recognizer.state().items()}
    for moment, stream, data in events[:40]:
        recognizer.push(stream, moment, data)
    assert {n: v.shape for n, v in recognizer.state().items()} == sizes
    recognizer.save(tmp_path / "state.safetensors")
    restored = StreamingRecognizer(model)
    restored.load(tmp_path / "state.safetensors")
    for moment, stream, data in events[40:]:
        one = recognizer.push(stream, moment, data)
        two = restored.push(stream, moment, data)
        assert np.array_equal(one.scores["action"], two.scores["action"])
    assert restored.counts == recognizer.counts
    recognizer.reset()
    assert recognizer.read().time == -math.inf


_SENDER = """
import sys, time
import torch
torch.set_num_threads(1)
from mmfusion.apis.streaming import StreamingRecognizer
from tests.apis.small_streams import hands, loaded
recognizer = StreamingRecognizer(loaded())
joints, mask = hands(60)
for index in range(30):
    recognizer.push("skeleton", index / 30, (joints[index], mask[index]))
    recognizer.save(sys.argv[1])
    print(index, flush=True)
time.sleep(600)
"""


def test_a_killed_process_is_gone_on_with(model, tmp_path) -> None:
    path = tmp_path / "state.safetensors"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(
        [sys.executable, "-c", _SENDER, str(path)],
        stdout=subprocess.PIPE,
        env=environment,
        cwd=os.getcwd(),
    )
    with process:
        while b"12" not in process.stdout.readline():
            assert process.poll() is None
        process.kill()
    restored = StreamingRecognizer(model)
    restored.load(path)
    done = restored.counts["skeleton"]
    joints, mask = hands(60)
    whole = StreamingRecognizer(model)
    for index in range(60):
        one = whole.push("skeleton", index / 30, (joints[index], mask[index]))
        if index >= sum(done.values()):
            two = restored.push("skeleton", index / 30, (joints[index], mask[index]))
            assert np.array_equal(one.scores["action"], two.scores["action"])
    assert whole.counts == restored.counts and sum(done.values()) >= 13


def test_a_state_of_another_model_is_refused(model, tmp_path) -> None:
    recognizer = StreamingRecognizer(model)
    other = StreamingRecognizer(loaded(seed=1))
    with pytest.raises(CheckpointError, match="other weights"):
        recognizer.restore(other.state())
    with pytest.raises(CheckpointError, match="expected"):
        recognizer.restore(StreamingRecognizer(model, cameras=2).state())
    with pytest.raises(CheckpointError, match="does not exist"):
        recognizer.load(tmp_path / "nothing.safetensors")
    none = [dict(s, mode="none") if "Normalize" in s["type"] else s for s in PIPELINE]
    StreamingRecognizer(loaded(pipeline=none)).save(tmp_path / "a.safetensors")
    with pytest.raises(CheckpointError, match="a.safetensors: .* another pipeline"):
        recognizer.load(tmp_path / "a.safetensors")
    with pytest.raises(InputError, match="expected NAME.safetensors"):
        recognizer.save(tmp_path / "a.state")


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("video/readout", math.nan, "numbers that no stream gives"),
        ("video/last", math.nan, "numbers"),
        ("video/counts", -1, "numbers"),
        ("video/readout", None, "is NoneType, expected torch.float32"),
    ],
)
def test_a_state_that_no_stream_leaves_is_refused(model, name, value, text) -> None:
    recognizer = StreamingRecognizer(model)
    state = recognizer.state()
    state[name] = None if value is None else torch.full_like(state[name], value)
    with pytest.raises(CheckpointError, match=f"{name}.*{text}"):
        recognizer.restore(state)
    assert recognizer.read().time == -math.inf


def test_models_of_whole_clips_are_refused() -> None:
    clip = loaded(model_config())
    with pytest.raises(InputError, match="reads whole clips"):
        StreamingRecognizer(clip)
    step = dict(type="NormalizeSkeleton", mode="size")
    pipeline = [step if p["type"] == step["type"] else p for p in PIPELINE]
    with pytest.raises(InputError, match="measures the whole clip"):
        StreamingRecognizer(loaded(pipeline=pipeline))
    pipeline = [*PIPELINE[:2], dict(type="LoadSkeleton", interpolate=True)]
    with pytest.raises(InputError, match="next frame"):
        StreamingRecognizer(loaded(pipeline=pipeline))


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("audio", 0.0, None), "expected one of"),
        (("video", math.nan, frames(1)[0]), "time is"),
        (("video", 0.0, frames(1)), "expected \\(h, w, 3\\)"),
        (("skeleton", 0.0, np.zeros((21, 3))), "expected numbers \\(hands"),
        (("video", 0.0, [frames(1)[0]], [1]), "cameras is"),
        (("video", 0.0, [], [0]), "0 frames for 1"),
        (("video", 0.0, 5, [0]), "no frames for 1"),
        (("video", 0.0, [frames(1)[0]], [0.0]), "cameras is"),
        (("video", "1", frames(1)[0]), "time is"),
        (("skeleton", 0.0, [[["a"] * 3] * 21] * 2), "expected numbers"),
        (("skeleton", 0.0, [[1, 2], [3]]), "joints of a frame"),
    ],
)
def test_wrong_frames_change_nothing(model, arguments, text) -> None:
    recognizer = StreamingRecognizer(model)
    with pytest.raises(InputError, match=text):
        recognizer.push(*arguments)
    assert recognizer.read().time == -math.inf
