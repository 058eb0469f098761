import json

import numpy as np
import pytest
import torch

from mmfusion.analysis.reliance import (
    batch_size_without_rest,
    predict_subsets,
    reliance_of,
    subsets,
    swapped,
)
from mmfusion.evaluation.predictions import Predictions
from mmfusion.structures import TokenFeatures
from tests.models.recognizers.test_multimodal_recognizer import (
    NECK,
    build,
    forward,
    make_batch,
)

ALL, VIDEO, SKELETON = ("video", "skeleton"), ("video",), ("skeleton",)


class Loader(list):
    class dataset:
        metainfo = {"classes": {"action": list("abcde")}}


def scores(predictions):
    return torch.from_numpy(predictions.score["action"])


@pytest.mark.parametrize("mix", ["NaiveMix", "AverageMix", "ContextMix"])
def test_an_absent_stream_is_what_a_clip_without_its_file_has(mix):
    model = build(neck={**NECK, "mix": dict(type=mix)}).eval()
    torch.manual_seed(1)
    batch = make_batch(batch=2, views=2)
    found = predict_subsets(model, Loader([batch]), ["absent"])
    whole = forward(model, make_batch_like(batch), "predict")
    got = scores(found["absent", ALL])
    torch.testing.assert_close(got, torch.stack([s.score_action for s in whole]))
    for kept, lost in ((VIDEO, "skeleton"), (SKELETON, "video")):
        without = make_batch_like(batch)
        values = without["inputs"][lost]
        without["inputs"][lost] = torch.zeros_like(values)
        shape = (2, 2, 4, 42) if lost == "skeleton" else (2, 2, 2)
        without["inputs"][f"{lost}_mask"] = torch.zeros(shape, dtype=torch.bool)
        expected = [s.score_action for s in forward(model, without, "predict")]
        torch.testing.assert_close(scores(found["absent", kept]), torch.stack(expected))
    assert found["absent", VIDEO].metainfo["kept"] == ["video"]


def make_batch_like(batch):
    samples = [sample.clone() for sample in batch["data_samples"]]
    return {"inputs": dict(batch["inputs"]), "data_samples": samples}


def test_a_swapped_stream_is_that_of_the_clip_before():
    model = build().eval()
    batch = make_batch(batch=3, views=2)
    found = predict_subsets(model, Loader([batch]), ["swapped"])
    other = make_batch_like(batch)
    for name in ("skeleton", "skeleton_mask"):
        other["inputs"][name] = batch["inputs"][name][[2, 0, 1]]
    expected = [s.score_action for s in forward(model, other, "predict")]
    torch.testing.assert_close(scores(found["swapped", VIDEO]), torch.stack(expected))


def test_a_clip_with_two_questions_moves_as_one():
    rows = torch.arange(6.0).reshape(6, 1, 1)  # three clips of two questions
    moved = swapped(TokenFeatures(rows, rows[:, 0]), 3)
    assert moved.tokens.flatten().tolist() == [4, 5, 0, 1, 2, 3]
    assert moved.cls.flatten().tolist() == [4, 5, 0, 1, 2, 3]
    assert moved.mask is None


def test_subsets_of_few_and_of_many_streams():
    assert subsets("ab") == [("a", "b"), ("a",), ("b",)]
    assert len(subsets("abcd")) == 15
    many = subsets("abcdef")
    assert [len(kept) for kept in many] == [6] + [5] * 6 + [1] * 6


def test_no_batch_of_one_clip():
    assert batch_size_without_rest(8, 24) == 8
    assert batch_size_without_rest(8, 25) == 9
    assert batch_size_without_rest(1, 3) == 3
    assert batch_size_without_rest(32, 2) == 32
    with pytest.raises(ValueError, match="two clips or more"):
        batch_size_without_rest(8, 1)


def test_one_stream_cannot_be_taken_away():
    with pytest.raises(ValueError, match="one stream, 'video'"):
        predict_subsets(build(VIDEO), Loader([make_batch()]))


def test_tables_by_task_with_paired_tests():
    ids, labels = [f"c{i}" for i in range(40)], {"action": np.zeros(40, np.int64)}

    def dump(right):
        own = np.where(np.arange(40) < right, 0.9, 0.2)
        score = {"action": np.stack([own, 1 - own], axis=1)}
        return Predictions(ids, score, labels)

    found = {
        ("absent", ALL): dump(36),
        ("absent", VIDEO): dump(20),
        ("absent", SKELETON): dump(34),
    }
    ceilings = {ALL: 100.0, VIDEO: 75.0, SKELETON: None}
    (one,) = reliance_of(found, ceiling=lambda task, kept: ceilings[kept])
    whole, video, skeleton = one.results
    assert (one.task, one.way, one.num_clips) == ("action", "absent", 40)
    assert (whole.accuracy.mean, whole.test) == (90.0, None)
    assert video.test.difference.mean == pytest.approx(-40.0)
    assert video.test.difference.high < 0
    assert video.test.p_value == pytest.approx(2 * 0.5**16)
    assert video.test.p_holm == pytest.approx(4 * 0.5**16)
    assert skeleton.test.p_holm == pytest.approx(0.5)
    grid = one.grid()
    assert grid.rows[1][:4] == ["video", "50.00", "35.2 to 64.8", "-40.00"]
    assert (grid.head[-1], grid.rows[1][-1], grid.rows[2][-1]) == (
        "ceiling (%)",
        "75.0",
        "",
    )
    content = json.loads(json.dumps(one.as_dict(), allow_nan=False))
    assert content["results"][1]["minus_all"]["mean"] == pytest.approx(-40.0)
    assert content["results"][0]["minus_all"] is None
