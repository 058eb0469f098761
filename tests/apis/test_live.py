"""Frames in time or not at all: the loop, its sources, and hands beside them."""

import json
import os
import shutil
import time
from threading import Event
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from mmfusion.apis.live import Latencies, LiveLoop, rates_of
from mmfusion.apis.live_hands import LiveHands, with_hands
from mmfusion.apis.live_session import LineFile, LiveSession
from mmfusion.apis.live_sources import (
    Arrival,
    Camera,
    FillingFolder,
    PlayedHands,
    PlayedVideo,
    open_source,
)
from mmfusion.apis.streaming import StreamingRecognizer
from mmfusion.hands import SKELETON, HandTracks
from mmfusion.layouts.skeleton_arrays import ANY_KIND
from mmfusion.utils.errors import InputError, SkeletonError
from tests.apis.small_streams import PIPELINE, loaded
from tests.hands.fakes import BrightHands
from tests.video_files import write_video


class Echo:
    """A recognizer whose scores tell the frame's value; a slow one moves the clock."""

    streams = ("video", "skeleton")

    def __init__(self, clock=None, seconds=0.0):
        self.taken, self.clock, self.seconds = [], clock, seconds

    def push(self, stream, time, data):
        self.taken.append((stream, time))
        if self.clock:
            self.clock.now += self.seconds
        scores = {"action": np.array([[data, 1.0]], np.float32)}
        accepted = np.array([data is not None])
        return SimpleNamespace(time=np.array([time]), scores=scores, accepted=accepted)


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def frame(time, due=None, stream="video", data=0.5):
    return Arrival(stream, time, time if due is None else due, data)


def test_an_answer_has_the_time_of_its_frame() -> None:
    clock = Clock()
    loop = LiveLoop(Echo(clock, 0.03), {}, answer_on="video", limit=0.1)
    clock.now = 2.01
    answer = loop.take(frame(2.0, data=0.25), clock)
    assert (answer.time, answer.scores["action"][0]) == (2.0, 0.25)
    assert answer.latency == pytest.approx(0.04)
    assert loop.take(frame(2.0, due=2.04, stream="skeleton"), clock) is None
    counts = loop.summary.frames
    assert (counts["video"]["answered"], counts["skeleton"]["taken"]) == (1, 1)


def test_what_is_late_is_dropped_and_counted() -> None:
    clock = Clock()
    echo = Echo(clock, 0.2)
    loop = LiveLoop(echo, {}, answer_on="video", limit=0.1)
    clock.now = 1.05
    assert loop.take(frame(1.0), clock) is None  # ready 0.25 s after its frame
    assert loop.take(frame(1.1), clock) is None  # 0.15 s old before it is looked at
    assert loop.summary.frames["video"] == {"late": 1, "dropped": 1}
    assert echo.taken == [("video", 1.0)]
    assert loop.summary.as_dict()["latency_p99_ms"] is None


def play(loop, clock, arrivals):
    """Give a loop frames as they are due, on a clock that only its model moves."""
    coming, answers = sorted(arrivals, key=lambda one: one.due), []
    while coming or loop.has_waiting:
        if not loop.has_waiting:
            clock.now = max(clock.now, coming[0].due)
        while coming and coming[0].due <= clock.now:
            loop.put(coming.pop(0))
        picked = loop.pick()
        if picked is not None:
            answers.append(loop.take(picked, clock))
    return [one for one in answers if one is not None]


def test_a_fast_camera_is_thinned_out_to_the_clock_of_the_model() -> None:
    clock, echo = Clock(), Echo()
    loop = LiveLoop(echo, {"video": 8.0}, answer_on="video", limit=9)
    play(loop, clock, [frame(number / 30) for number in range(60)])
    times = [time for _, time in echo.taken]
    assert len(times) == 16 and loop.summary.frames["video"]["between"] == 44
    assert [int(time * 8 + 0.01) for time in times] == [*range(16)]


@pytest.mark.parametrize(
    ("seconds", "answered"),
    [(0.1, 400), (0.25, 200), (0.4, 125), (0.6, 0)],
    ids=["keeps up", "half the speed", "less than a third", "slower than the limit"],
)
def test_a_slow_model_answers_fewer_frames_as_soon(seconds, answered) -> None:
    clock = Clock()
    loop = LiveLoop(Echo(clock, seconds), {"video": 8.0}, answer_on="video", limit=0.55)
    found = play(loop, clock, [frame(number / 8) for number in range(400)])
    assert len(found) == pytest.approx(answered, abs=1)
    counts = loop.summary.frames["video"]
    assert sum(counts.values()) == 400
    if answered:
        assert max(one.latency for one in found) <= seconds + 1 / 8 + 1e-6
        assert counts["dropped"] == 400 - len(found)


def test_streams_take_turns_under_load() -> None:
    clock = Clock()
    echo = Echo(clock, 0.1)  # 38 frames a second come, 10 can be read
    rates = {"video": 8.0, "skeleton": 30.0}
    loop = LiveLoop(echo, rates, answer_on="video", limit=0.5)
    hands = [frame(number / 30, stream="skeleton") for number in range(300)]
    found = play(loop, clock, [frame(number / 8) for number in range(80)] + hands)
    streams = [stream for stream, _ in echo.taken]
    assert (streams.count("video"), len(streams)) == (51, 105)  # in 10.5 s
    assert len(found) == streams.count("video")
    assert max(one.latency for one in found) <= 0.3  # two turns and its own
    assert all(
        later > earlier
        for stream in rates
        for times in [[time for name, time in echo.taken if name == stream]]
        for earlier, later in zip(times, times[1:], strict=False)
    )


def test_refused_frames_and_unknown_scores_are_no_answers() -> None:
    loop = LiveLoop(Echo(), {}, answer_on="video", limit=9)
    assert loop.take(frame(0.0, data=None), Clock()) is None
    assert loop.take(frame(0.1, data=np.nan), Clock()) is None
    assert loop.summary.frames["video"] == {"refused": 1, "taken": 1}


def test_the_box_holds_the_last_tenth_of_a_second_of_each_stream() -> None:
    loop = LiveLoop(Echo(), {}, answer_on="video")
    for number in range(300):
        loop.put(frame(number / 32))
    loop.put(frame(7.0, stream="skeleton"))
    assert loop.summary.frames["video"] == {"dropped": 296}
    found = [loop.pick() for _ in range(5)]
    assert [one.time * 32 for one in found if one.stream == "video"] == [
        *range(296, 300)
    ]
    assert found[1].stream == "skeleton"
    assert loop.pick() is None and not loop.has_waiting


def test_a_short_halt_costs_no_frame() -> None:
    clock, echo = Clock(), Echo()
    loop = LiveLoop(echo, {}, answer_on="video")
    clock.now = 0.09
    play(loop, clock, [frame(number / 30) for number in range(300)])
    assert loop.summary.frames["video"] == {"answered": 300}


def test_a_run_answers_all_sources_and_ends_with_them() -> None:
    class Frames:
        def __init__(self, stream):
            self.stream = stream

        def arrivals(self, start, stop):
            yield frame(0.5, due=start + 60.0, stream=self.stream)

    loop = LiveLoop(Echo(), {}, answer_on="video", limit=100)
    found = [one.time for one in loop.run([Frames("video"), Frames("skeleton")])]
    assert found == [0.5] and loop.summary.frames["skeleton"] == {"taken": 1}

    class Broken:
        def arrivals(self, start, stop):
            raise cv2.error("the plug was pulled")  # whatever it is
            yield

    with pytest.raises(cv2.error, match="plug"):
        [*LiveLoop(Echo(), {}, answer_on="video").run([Broken()])]

    class Endless:
        def arrivals(self, start, stop):
            while not stop.is_set():
                yield frame(0.0, due=start + 60.0)
                stop.wait(0.005)

    loop = LiveLoop(Echo(), {}, answer_on="video", limit=100)
    for _ in loop.run([Endless()]):
        loop.stop()
    assert loop.summary.frames["video"]["answered"] == 1


def test_latencies_need_no_memory() -> None:
    found = Latencies()
    assert found.quantile(0.5) is None
    for ms in (5, 10, 15, 20_000):
        found.add(ms / 1000)
    assert (found.quantile(0.5), found.quantile(0.99)) == (0.01, 10.0)


def test_rates_stand_in_the_pipeline() -> None:
    steps = [dict(type="SampleClock", rates=dict(video=8)), dict(type="DecodeVideo")]
    assert rates_of(steps) == {"video": 8.0}
    assert rates_of(steps[1:]) == {}


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp("live") / "a.mp4", stamps=[0, 5, 10, 15])


def test_a_file_is_played_at_its_own_rate(video) -> None:
    source = open_source(str(video))
    assert isinstance(source, PlayedVideo)
    start = time.monotonic()
    found = [(a.time, a.due, time.monotonic()) for a in source.arrivals(start, Event())]
    np.testing.assert_allclose([time for time, *_ in found], np.arange(4) / 20)
    for seconds, due, now in found:
        assert due == start + seconds and now >= due
    assert [*source.arrivals(start, _set())] == []


def _set():
    event = Event()
    event.set()
    return event


def test_a_file_stands_for_a_camera(video) -> None:
    found = [*Camera(str(video)).arrivals(time.monotonic(), Event())]
    assert len(found) == 4 and found[0].data.dtype == np.uint8
    assert found[0].time == pytest.approx(found[0].time) and found[0].time >= 0
    assert [a.time for a in found] == sorted(a.time for a in found)


def test_a_camera_that_is_not_there_is_one_clear_line(capfd) -> None:
    with pytest.raises(InputError, match="camera 97 cannot be opened.*video97"):
        open_source("97")
    with pytest.raises(InputError, match="cannot be opened"):
        open_source("9" * 20)
    assert capfd.readouterr().err == ""
    with pytest.raises(InputError, match="neither a camera's number"):
        open_source("nothing.mp4")


def test_a_folder_that_fills(tmp_path) -> None:
    picture = np.zeros((8, 8, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "old.png"), picture)
    source = open_source(str(tmp_path), idle=0.05)
    assert isinstance(source, FillingFolder)
    start = time.monotonic()
    for number in (2, 1):  # the order is that of time, not of names
        picture[..., 2] = number  # red, in OpenCV's order
        cv2.imwrite(str(tmp_path / f"{number}.png"), picture)
        time.sleep(0.01)
    (tmp_path / "half.png").write_bytes(b"\x89PNG")
    found = [*source.arrivals(start, Event())]
    assert [a.data[0, 0, 0] for a in found] == [2, 1]
    assert 0 < found[0].time < found[1].time < time.monotonic() - start
    assert source.broken == 0  # it may still be written
    assert source._read("half.png", age=2.0) is None and source.broken == 1


def test_a_folder_with_what_is_no_picture_yet_or_of_another_clock(tmp_path) -> None:
    source = open_source(str(tmp_path), idle=0.05)
    whole = cv2.imencode(".jpg", np.zeros((64, 64, 3), np.uint8))[1].tobytes()
    (tmp_path / "half.jpg").write_bytes(whole[: len(whole) * 2 // 3])  # OpenCV reads it
    (tmp_path / "whole.jpg").write_bytes(whole + bytes(100))  # padded, as cameras do
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    later = time.time() + 3600
    os.utime(tmp_path / "whole.jpg", (later, later))
    start = time.monotonic()
    (found,) = source.arrivals(start, Event())
    assert 0 <= found.time <= time.monotonic() - start  # now, not in an hour
    shutil.rmtree(tmp_path)
    with pytest.raises(InputError, match="cannot be looked into any more"):
        [*source.arrivals(start, Event())]


def test_hands_out_of_a_file(tmp_path) -> None:
    path = tmp_path / "a.npz"
    joints = np.random.default_rng(0).random((3, 2, 21, 3)).astype(np.float32)
    np.savez(path, keypoint=joints, valid=np.ones((3, 2), bool), fps=100.0)
    source = PlayedHands(path, ANY_KIND)
    found = [*source.arrivals(time.monotonic(), Event())]
    np.testing.assert_allclose([a.time for a in found], [0.005, 0.015, 0.025])
    np.testing.assert_array_equal(found[1].data[0], joints[1])


def test_hands_are_looked_for_in_the_newest_frame() -> None:
    def extractor(frames):
        value = np.full((1, 2, 21, 3), frames[0], np.float32)
        valid = np.ones((1, 2), bool)
        return HandTracks(value, valid, np.ones((1, 2), np.float32), np.zeros(1, int))

    class Frames:
        def arrivals(self, start, stop):
            for number in range(4):
                yield frame(float(number), data=number)

    finder = LiveHands(Frames(), extractor)
    assert len([*finder.video.arrivals(0.0, Event())]) == 4
    (found,) = finder.arrivals(0.0, Event())  # three were replaced while none looked
    assert (found.stream, found.time, found.data[0][0, 0, 0]) == ("skeleton", 3.0, 3)
    assert finder.dropped == 3


def test_lines_are_whole(tmp_path) -> None:
    path = tmp_path / "out" / "live.jsonl"
    with LineFile(path) as file:
        file.write({"time": 1.0})
        assert json.loads(path.read_text()) == {"time": 1.0}
    with LineFile(None) as nothing:
        nothing.write({"time": 1.0})


def test_a_played_video_with_found_hands_is_answered_and_summed_up(tmp_path) -> None:
    model = loaded(
        pipeline=[
            dict(PIPELINE[0], rates=dict(video=40.0, skeleton=40.0)),
            *PIPELINE[1:],
        ]
    )
    model.card["skeleton"] = SKELETON
    recognizer = StreamingRecognizer(model, late=100.0)
    path = write_video(tmp_path / "a.mp4", 4, stamps=[0, 5, 10, 15], size=(64, 48))
    session = LiveSession(
        recognizer, open_source(str(path)), limit=100.0, extractor=BrightHands()
    )
    assert session.hands == "found in the frames"
    answers = [*session.answers()]
    times = [one.time for one in answers]  # a busy machine may pass one over
    assert times and {*np.rint(np.multiply(times, 20))} <= {0, 1, 2, 3}
    told = session.describe(answers[0], 2)
    assert [*told["scores"]] == ["action"] and len(told["scores"]["action"]) == 2
    found = session.summary()
    looked = found["frames_not_looked_at_for_hands"]
    assert sum(found["frames"]["skeleton"].values()) + looked == 4
    assert sum(found["frames"]["video"].values()) == 4
    assert f"video: {len(answers)} answered" in "\n".join(session.report())


def test_hands_of_a_live_video_are_of_the_models_kind(tmp_path) -> None:
    camera, other = SimpleNamespace(), dict(layout="openpose21", hands=["left"])
    assert with_hands(camera, None, SKELETON) == ([camera], "none")
    sources, told = with_hands(camera, "auto", other)
    assert sources == [camera] and "openpose21" in told
    with pytest.raises(SkeletonError, match="openpose21"):
        with_hands(camera, "extract", other)
    with pytest.raises(InputError, match="goes with a video file"):
        with_hands(camera, "hands.npz", SKELETON)
