import numpy as np
import pytest
from scipy import stats

from mmfusion.evaluation.functional import Interval
from mmfusion.evaluation.predictions import Predictions
from mmfusion.evaluation.statistics import (
    PairTest,
    all_pairs,
    better_baseline,
    clips_needed,
    collect,
    compare_pairs,
    resolution,
    table_rows,
)


def predictions(right, order=None):
    """Predictions of two classes, all labels 0; ``right`` (n,) bool."""
    n = len(right)
    order = np.arange(n) if order is None else order
    score = np.where(np.asarray(right)[:, None], [0.9, 0.1], [0.1, 0.9])[order]
    ids = [f"clip{i:03d}" for i in order]
    labels = np.zeros(n, np.int64)
    return Predictions(ids, {"action": score.astype(np.float32)}, {"action": labels})


def method(name, streams, num_right, total=105, seeds=(0,)):
    right = np.arange(total) < num_right
    return collect(name, streams, {s: predictions(right) for s in seeds})


def methods():
    return [
        method("skeleton", ["skeleton"], 28),
        method("average", ["video", "skeleton"], 65),
        method("video", ["video"], 59),
    ]


def test_rows_have_the_papers_columns():
    rows = {row.result.name: row for row in table_rows(methods())}
    assert list(rows) == ["average", "video", "skeleton"]  # best first
    assert rows["average"].top1.mean == pytest.approx(61.90, abs=0.005)
    assert rows["average"].deltas["video"] == pytest.approx((5.71, 10.17), abs=0.005)
    assert rows["average"].deltas["skeleton"] == pytest.approx(
        (35.24, 132.14), abs=0.005
    )
    assert list(rows["video"].deltas) == ["skeleton"]


def test_the_order_of_clips_in_a_file_does_not_matter():
    right = np.arange(10) < 4
    mixed = np.random.default_rng(0).permutation(10)
    found = collect(
        "m", ["video"], {0: predictions(right), 1: predictions(right, mixed)}
    )
    assert found.correct.tolist() == [right.tolist()] * 2
    assert found.seeds == (0, 1) and found.accuracy == pytest.approx(40.0)


def test_seeds_and_methods_on_other_clips_are_refused():
    with pytest.raises(ValueError, match="m: seed 1 was tested on other clips"):
        collect("m", [], {0: predictions([1] * 9), 1: predictions([1] * 8)})
    with pytest.raises(ValueError, match="a on 9 .* b on 8"):
        table_rows([method("a", ["video"], 5, 9), method("b", ["skeleton"], 5, 8)])


def test_a_pair_of_one_seed_is_tested_by_mcnemar():
    average, video = methods()[1], methods()[2]
    (test,) = compare_pairs([(average, video)])
    assert test.difference.mean == pytest.approx(100 * 6 / 105)
    assert test.p_value == test.p_holm == pytest.approx(2 / 64)


def test_several_pairs_share_holms_adjustment():
    pairs = all_pairs(methods())
    assert [(a.name, b.name) for a, b in pairs] == [
        ("average", "video"),
        ("average", "skeleton"),
        ("video", "skeleton"),
    ]
    tests = compare_pairs(pairs)
    assert tests[0].p_holm == pytest.approx(tests[0].p_value)  # the largest of three
    assert tests[1].p_holm == pytest.approx(3 * tests[1].p_value)
    assert compare_pairs([]) == []


def test_the_better_baseline():
    found = better_baseline(methods())
    assert found is not None and found.name == "video"
    assert better_baseline(methods()[1:2]) is None


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (1, 0, 3, 2), (3, 2, 1, 0)])
def test_of_two_models_of_one_stream_the_better_is_the_baseline(order):
    names = {"worse": 40, "better": 60, "skeleton": 50, "fused": 70}
    streams = dict.fromkeys(names, ["video"])
    streams |= {"skeleton": ["skeleton"], "fused": ["video", "skeleton"]}
    found = [method(name, streams[name], right) for name, right in names.items()]
    found = [found[index] for index in order]
    rows = {row.result.name: row for row in table_rows(found)}
    assert rows["fused"].deltas["video"][0] == pytest.approx(100 * 10 / 105)
    assert rows["fused"].deltas["skeleton"][0] == pytest.approx(100 * 20 / 105)
    assert better_baseline(found).name == "better"


def test_a_baseline_that_is_always_wrong_has_no_relative_difference():
    zero = [method("a", ["video"], 0), method("b", ["video", "skeleton"], 21)]
    assert table_rows(zero)[0].deltas["video"] == (pytest.approx(20.0), None)


def test_resolution_says_what_105_clips_can_show():
    text = resolution(105, 60.0)
    assert "one clip is 0.95 points" in text
    assert "50.4 to 68.9" in text  # about 9.4 to each side
    assert "needs 6 clips (5.7 points)" in text
    assert "needs 6 clips" in resolution(24, 12.5)  # of 5 disagreements none can
    assert "more disagreements than there" in resolution(24, 12.5)
    assert "no difference can be shown" in resolution(5, 60.0)


def test_an_action_without_a_head_is_the_best_pair():
    verb, noun = np.array([0, 1, 1]), np.array([0, 2, 1])
    score = dict(
        verb=np.float32([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]),
        noun=np.float32([[0.8, 0.1, 0.1], [0.1, 0.2, 0.7], [0.1, 0.8, 0.1]]),
    )
    ids = ["c0", "c1", "c2"]
    found = Predictions(ids, score, dict(verb=verb, noun=noun))
    result = collect("m", ["video"], {0: found})
    assert result.correct.tolist() == [[True, True, False]]
    assert collect("m", ["video"], {0: found}, "noun").accuracy == 100.0
    with pytest.raises(ValueError, match=r"scores for \['noun'\], expected 'action'"):
        collect("m", ["video"], {0: Predictions(ids, {"noun": score["noun"]}, {})})


@pytest.mark.parametrize(
    ("first", "second", "total", "expected"),
    [(0, 0, 12, None), (3, 3, 12, None), (25, 5, 100, 57), (2, 1, 12, 281)],
)
def test_clips_needed_follows_connors_formula(first, second, total, expected):
    found = clips_needed(first, second, total)
    assert found == expected


@pytest.mark.parametrize(("first", "second"), [(0.2, 0.1), (0.08, 0.02), (0.3, 0.22)])
def test_so_many_clips_do_tell_two_models_apart_four_times_in_five(first, second):
    count = clips_needed(1000 * first, 1000 * second, 1000)
    rng = np.random.default_rng(0)
    shares = [first, second, 1 - first - second]
    only = rng.multinomial(count, shares, size=2000)[:, :2]
    p_values = stats.binomtest  # McNemar's exact test is a sign test
    cases, times = np.unique(only, axis=0, return_counts=True)
    found = sum(
        int(n) * (p_values(int(a), int(a + b)).pvalue < 0.05)
        for (a, b), n in zip(cases, times, strict=True)
        if a + b
    )
    assert 0.75 < found / 2000 < 0.83


def test_numbers_of_no_test_are_refused():
    with pytest.raises(ValueError, match="8 and 5 clips .* do not fit in 12"):
        clips_needed(8, 5, 12)
    with pytest.raises(ValueError, match="power 1"):
        clips_needed(3, 2, 12, power=1)


@pytest.mark.parametrize(
    ("low", "high", "verb"),
    [(0.1, 3.0, "beats"), (-1.0, 2.0, "does not beat"), (-3, -0.1, "is worse than")],
    ids=["better", "open", "worse"],
)
def test_the_verdict_is_that_of_the_interval(low, high, verb):
    pair = PairTest("a", "b", Interval((low + high) / 2, low, high), 0.5, 0.5)
    assert pair.verdict == verb
