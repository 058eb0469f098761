"""Online detection and anticipation of whole videos, as a run measures them."""

import numpy as np
import pytest
import torch

from mmfusion.evaluation import (
    ClassReportMetric,
    EpicKitchensMetric,
    OnlineDetectionMetric,
    StreamAnticipationMetric,
)
from mmfusion.evaluation.moments import join_windows, moments_row, scores_at
from mmfusion.utils.errors import InputError

RATE, TAU_A = 4, 1.0


def video(name, scores, labels, segments, start=0.0, **more):
    """A data sample of moments at 4 a second."""
    return {
        "sample_id": f"{name}@{start}",
        "video_id": name,
        "participant_id": name[:3],
        "moments": start + np.arange(len(scores)) / RATE,
        "segments": segments,
        "score_verb": torch.as_tensor(scores),
        "gt_verb": torch.as_tensor(labels),
        **more,
    }


def one_hot(classes, count=3):
    return np.eye(count, dtype=np.float32)[classes]


def test_an_oracle_and_a_constant() -> None:
    truth = one_hot([2, 0, 0, 2, 1, 1, 1, 2])
    segments = [[0.25, 0.75, {"verb": 0}], [1.0, 1.75, {"verb": 1}]]
    metric = OnlineDetectionMetric()
    metric.process(None, [video("P01_01", truth, truth, segments)])
    found = metric.compute_metrics(metric.results)
    assert found == {
        "verb/frame_mAP": 100.0,
        "verb/moments_top1": 100.0,
        "verb/mp_mAP": 100.0,
    }
    metric = OnlineDetectionMetric(points=None)
    metric.process(None, [video("P01_01", truth * 0 + 1 / 3, truth, segments)])
    found = metric.compute_metrics(metric.results)  # the shares of frames, 2/8 and 3/8
    assert found["verb/frame_mAP"] == pytest.approx(100 * 2.5 / 8)


def test_windows_that_overlap_count_once() -> None:
    truth = one_hot([2, 0, 0, 2, 1, 1, 1, 2])
    wrong = truth[:, [1, 0, 2]]
    segments = [[0.25, 0.75, {"verb": 0}], [1.0, 1.75, {"verb": 1}]]
    rows = [  # the later window is right about the moments of both
        moments_row(video("P01_01", wrong[:5], truth[:5], segments)),
        moments_row(video("P01_01", truth[1:], truth[1:], segments, start=0.25)),
    ]
    (joined,) = join_windows(rows)
    assert len(joined["moments"]) == 8 and len(joined["segments"]) == 2
    np.testing.assert_array_equal(joined["score"]["verb"], truth)


def test_scores_at_a_time_are_never_of_a_later_moment() -> None:
    scores = np.arange(12, dtype=np.float32).reshape(4, 3)
    (joined,) = join_windows([moments_row(video("P01_01", scores, scores, []))])
    for seconds, place in ((0.0, 0), (0.49, 1), (0.5, 2), (9.0, 3), (-1.0, 0)):
        np.testing.assert_array_equal(scores_at(joined, seconds)["verb"], scores[place])


def causal(frames):
    """Scores (t, 2, 6) of a causal model: moment i has seen the frames up to i."""
    return torch.as_tensor(frames).cumsum(0).tanh().softmax(-1)


def anticipated(rng, name):
    """A stream's data sample, and those of its segments clip by clip."""
    frames = rng.normal(size=(120, 2, 6)).astype(np.float32)
    starts = np.sort(rng.uniform(0.2, 28, 12)).round(2)
    segments = [
        [s, s + 1.5, {"verb": int(rng.integers(5)), "noun": int(rng.integers(5))}]
        for s in starts
    ]
    scores = causal(frames)
    stream = video(name, scores[:, 0], scores[:, 0], segments, tau_a=TAU_A)
    stream |= {"score_noun": scores[:, 1], "gt_noun": scores[:, 1]}
    clips = []
    for number, (start, _, label) in enumerate(segments):
        seen = max(1, int((start - TAU_A) * RATE + 1e-6) + 1)  # a frame at least
        last = causal(frames[:seen])[-1]
        clip = {"sample_id": f"{name}_{number}", "tau_a": TAU_A}
        clip |= {key: stream[key] for key in ("video_id", "participant_id")}
        clip |= {f"gt_{task}": torch.tensor(one) for task, one in label.items()}
        clips.append(clip | {"score_verb": last[0, :5], "score_noun": last[1, :5]})
    return stream, clips


def test_a_stream_gives_the_official_numbers_of_anticipation() -> None:
    rng = np.random.default_rng(0)
    made = [anticipated(rng, f"P0{i}_0{i}") for i in (1, 2, 3)]
    meta = {"tail_verbs": [1], "unseen_participants": ["P02"]}
    live, offline = StreamAnticipationMetric(), EpicKitchensMetric("anticipation")
    live.dataset_meta = offline.dataset_meta = meta
    live.process(None, [stream for stream, _ in made])
    offline.process(None, [clip for _, clips in made for clip in clips])
    found = live.compute_metrics(live.results)
    assert found == offline.compute_metrics(offline.results)
    assert found["tau_a=1s/verb/recall5"] == 100.0  # of five classes
    assert 0 < found["tau_a=1s/action/recall5"] < 100


def test_what_the_metrics_ask_for() -> None:
    truth = one_hot([2, 0])
    row = moments_row(video("P01_01", truth, truth, [[0, 1, {"verb": 0}]]))
    with pytest.raises(InputError, match="does not look ahead"):
        StreamAnticipationMetric().compute_metrics([row])
    clip = {"sample_id": "a", "video_id": "P01_01", "score_verb": torch.ones(3)}
    no_background = video("a", truth[:, :2], truth, [])
    with pytest.raises(InputError, match=r"scores \(\d, 2\), expected \(\d, 3\)"):
        OnlineDetectionMetric().process(None, [no_background])
    with pytest.raises(InputError, match=r"'a' lacks \['moments', 'segments'"):
        moments_row(clip)
    report = ClassReportMetric()
    report.process(None, [video("P01_01", truth, truth, [])])
    assert report.compute_metrics(report.results) == {}
    with pytest.raises(InputError, match="OnlineDetectionMetric"):
        EpicKitchensMetric().process(None, [video("P01_01", truth, truth, [])])
