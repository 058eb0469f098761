import numpy as np
import pytest
from scipy import stats

from mmfusion.evaluation.functional import (
    accuracy_interval,
    bootstrap_interval,
    difference_interval,
    holm_adjust,
    mcnemar_bounds,
    mcnemar_test,
    mean_class_accuracy,
    paired_permutation_test,
    smallest_difference,
    topk_correct,
    wilson_interval,
)

SCORES = [[0.1, 0.7, 0.2], [0.5, 0.3, 0.2], [0.2, 0.5, 0.3]]


def test_topk_correct_by_hand():
    assert topk_correct(SCORES, [1, 1, 0], 1).tolist() == [True, False, False]
    assert topk_correct(SCORES, [1, 1, 0], 2).tolist() == [True, True, False]
    assert topk_correct(SCORES, [1, 1, 0], 3).all()


def test_a_tie_counts_against_the_label():
    constant = np.full((4, 4), 0.25)
    assert not topk_correct(constant, [0, 1, 2, 3], 1).any()
    assert topk_correct(constant, [0, 1, 2, 3], 4).all()


@pytest.mark.parametrize(
    ("scores", "labels", "match"),
    [
        (SCORES, [0, 1, 3], "0 to 3 do not fit scores of 3"),
        (SCORES, [0, -1, 2], "-1 to 2"),
        ([[np.nan, 1.0]], [0], "row 0 is not finite"),
        (SCORES, [0, 1], "got"),
    ],
    ids=["too-large", "negative", "nan", "shape"],
)
def test_wrong_scores_and_labels_are_named(scores, labels, match):
    with pytest.raises(ValueError, match=match):
        topk_correct(scores, labels, 1)


def test_mean_class_accuracy_is_over_classes_that_have_clips():
    # class 0: 1 of 2, class 1: 1 of 1; class 2 is only predicted
    scores = np.eye(3)[[0, 2, 1]]
    assert mean_class_accuracy(scores, [0, 0, 1]) == pytest.approx(75.0)
    # the same of classes 1 and 2: the first has no clip
    scores = np.eye(3)[[1, 0, 2]]
    assert mean_class_accuracy(scores, [1, 1, 2]) == pytest.approx(75.0)


def test_wilson_interval_by_hand():
    # p = 0.5, n = 4, z = 1.96: centre 0.5, half z sqrt(1/16 + z^2/64) / (1 + z^2/4)
    z = 1.959963985
    half = z * np.sqrt(0.25 / 4 + z**2 / 64) / (1 + z**2 / 4)
    found = wilson_interval(2, 4)
    expected = (50.0, 50 - 100 * half, 50 + 100 * half)
    assert found == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("correct", "total"), [(5, 4), (-1, 4), (0, 0)])
def test_wilson_interval_refuses_impossible_counts(correct, total):
    with pytest.raises(ValueError, match="num_correct"):
        wilson_interval(correct, total)


def test_one_seed_gives_the_wilson_interval():
    correct = np.arange(20)[None] < 13
    assert accuracy_interval(correct) == pytest.approx(wilson_interval(13, 20))


def test_seeds_that_agree_add_nothing_to_the_interval():
    correct = np.tile(np.arange(200) < 120, (3, 1))
    found, one = accuracy_interval(correct), wilson_interval(120, 200)
    assert found == pytest.approx(one, abs=0.15)  # n - 1 and Student's t against z


def test_seeds_that_differ_widen_the_interval():
    clips = np.arange(200)
    alike = np.stack([clips % 10 < 6] * 3)
    apart = np.stack([clips % 10 < k for k in (4, 6, 8)])
    assert alike.mean() == apart.mean()
    width = [i.high - i.low for i in map(accuracy_interval, (alike, apart))]
    assert width[1] > 2 * width[0]


@pytest.mark.parametrize("value", [0, 1])
def test_all_wrong_or_all_right_still_has_an_interval(value):
    found = accuracy_interval(np.full((3, 50), value))
    assert found.mean == 100 * value
    assert found.high - found.low == pytest.approx(7.1, abs=0.1)  # 1 / (1 + n / z^2)
    assert 0 <= found.low <= found.high <= 100


def test_difference_of_one_seed_by_hand():
    # differences 1, 1, 0, 0: mean 0.5, variance 1/3, t(3) = 3.1824
    found = difference_interval([[1, 1, 1, 0]], [[0, 0, 1, 0]])
    half = 100 * 3.182446 * np.sqrt(1 / 3 / 4)
    assert found == pytest.approx((50, 50 - half, min(100, 50 + half)), abs=1e-3)


def test_difference_of_seeds_by_hand():
    # difference rows (1, 1, 0, 0) and (0, 1, 0, -1): mean squares of rows 0.5, of
    # columns 0.8333, of the rest 0.1667; variance (0.5 + 0.8333 - 0.1667) / 8
    a, b = [[1, 1, 0, 0], [0, 1, 0, 0]], [[0, 0, 0, 0], [0, 0, 0, 1]]
    found = difference_interval(a, b, confidence=0.5)
    variance = (0.5 + 5 / 6 - 1 / 6) / 8
    freedom = (7 / 6) ** 2 / (0.5**2 + (5 / 6) ** 2 / 3 + (1 / 6) ** 2 / 3)
    half = 100 * np.sqrt(variance) * stats.t.ppf(0.75, freedom)
    assert found == pytest.approx((25, 25 - half, 25 + half))


def test_where_no_clip_differs_the_interval_is_newcombes():
    # 54 pairs that are all right, as Newcombe (1998) has them: -0.0664 to 0.0664
    right = np.ones((1, 54))
    for rows in (right, np.ones((3, 54))):
        found = difference_interval(rows, rows)
        assert found == pytest.approx((0, -6.641, 6.641), abs=1e-3)
    # by hand: Wilson 0.15 to 0.85 each, and phi (4 - 2) / 4
    half = np.array([[1, 1, 0, 0]])
    found = difference_interval(half, half)
    assert found == pytest.approx((0, -34.996, 34.996), abs=1e-3)
    apart = difference_interval(right, 0 * right)
    assert apart == pytest.approx((100, 90.608, 100), abs=1e-3)


def test_intervals_hold_the_truth_as_often_as_they_say():
    random = np.random.default_rng(0)
    hits = 0
    for _ in range(400):
        clip = random.standard_normal((1, 80))
        a, b = (
            0.5
            + 0.2 * random.standard_normal((3, 1))
            + clip
            + 0.6 * random.standard_normal((3, 80))
            > 0
            for _ in range(2)
        )
        found = difference_interval(a, b)
        hits += found.low <= 0 <= found.high
    assert 0.92 < hits / 400 <= 1.0


def test_mcnemar_by_hand():
    # 6 clips only a, 0 only b: 2 / 2^6; agreement elsewhere does not matter
    a, b = np.ones(20), np.ones(20)
    b[:6] = 0
    assert mcnemar_test(a, b) == pytest.approx(2 / 64)
    assert mcnemar_test(b, a) == pytest.approx(2 / 64)
    assert mcnemar_test(a, a) == 1.0


def test_permutation_test_of_one_seed_agrees_with_mcnemar():
    a, b = np.ones((1, 30)), np.ones((1, 30))
    b[0, :9] = 0
    a[0, 9:11] = 0
    assert paired_permutation_test(a, b) == pytest.approx(
        mcnemar_test(a[0], b[0]), abs=0.02
    )


def test_permutation_test_is_exact_where_it_can_be():
    # 3 clips differ, always for a: of 8 exchanges 2 are as extreme
    a, b = np.ones((2, 10)), np.ones((2, 10))
    b[:, :3] = 0
    assert paired_permutation_test(a, b) == pytest.approx(0.25)


def test_permutation_test_repeats_itself_and_sees_a_difference():
    random = np.random.default_rng(1)
    a, b = random.random((3, 100)) < 0.8, random.random((3, 100)) < 0.6
    assert paired_permutation_test(a, b) == paired_permutation_test(a, b) < 0.01
    assert paired_permutation_test(a, a) == 1.0


def test_other_clips_are_refused():
    with pytest.raises(ValueError, match="not tested alike"):
        mcnemar_test([1, 0], [1, 0, 1])
    with pytest.raises(ValueError, match=r"expected \(seeds, clips\)"):
        accuracy_interval([1, 0, 1])


def test_holm_by_hand():
    assert holm_adjust([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm_adjust([0.9, 0.8]) == pytest.approx([1.0, 1.0])
    assert holm_adjust([]).tolist() == []


@pytest.mark.parametrize(
    ("correct", "half"),
    [
        # rows 1/64, columns 1/64, rest 11/192: the columns alone, t(0.75, 3) = 0.7649
        ([[1, 0, 1, 1], [0, 1, 1, 0]], 12.5 * 0.764892),
        # rows 9/256, columns 23/1792, rest 31/1792: the rows alone, t(0.75, 1) = 1
        ([[1, 0, 1, 1, 0, 1, 0, 1], [0, 1, 0, 0, 0, 0, 0, 1]], 18.75),
    ],
    ids=["clips", "seeds"],
)
def test_what_varies_no_more_than_the_rest_adds_nothing(correct, half):
    found = difference_interval(correct, np.zeros_like(correct), confidence=0.5)
    mean = 100 * np.mean(correct)
    assert found == pytest.approx((mean, mean - half, mean + half), abs=1e-3)


def test_an_interval_is_never_that_of_more_answers_than_there_were():
    """Two seeds that are right on other clips vary less than a binomial of 16."""
    correct = [[0, 0, 1, 1, 1, 1, 0, 0], [0, 1, 0, 0, 0, 0, 0, 1]]
    found, p, z = accuracy_interval(correct), 6 / 16, stats.t.ppf(0.975, 7)
    shrink, half = 1 + z**2 / 16, z * np.sqrt(p * (1 - p) / 16 + z**2 / (4 * 16**2))
    ends = [100 * (p + z**2 / 32 + sign * half) / shrink for sign in (-1, 1)]
    assert found == pytest.approx((37.5, *ends))


def test_bounds_of_mcnemar_where_both_must_be_right_on_some():
    """8 and 7 of 12 share at least 3: they differ on 1 to 5 + 4 clips."""
    low, high = mcnemar_bounds(7, 8, 12)
    assert (low, high) == (1.0, 1.0)
    low, high = mcnemar_bounds(11, 7, 12)  # at least 6 shared: 4 to 0, or 5 to 1
    assert low == pytest.approx(2 / 16)
    assert high == pytest.approx(2 * (1 + 6) / 64)


def test_bounds_of_mcnemar_from_two_counts():
    # 3 and 9 of 12: at least 6 clips differ, at most all 12
    low, high = mcnemar_bounds(9, 3, 12)
    assert low == pytest.approx(2 / 64)
    assert high == pytest.approx(2 * (1 + 12 + 66 + 220) / 4096)
    assert mcnemar_bounds(5, 5, 12) == (1.0, 1.0)


@pytest.mark.parametrize(
    ("n", "disagreements", "clips"),
    [(105, None, 6), (105, 6, 6), (105, 7, 7), (105, 50, 16), (105, 5, None)],
)
def test_smallest_difference_by_hand(n, disagreements, clips):
    # 2 / 2^6 < 0.05 <= 2 / 2^5; with 7, 6 against 1 gives 2 * 8 / 2^7 > 0.05
    found = smallest_difference(n, num_disagreements=disagreements)
    assert found == (None if clips is None else pytest.approx(100 * clips / n))


def test_too_few_clips_show_nothing():
    assert smallest_difference(5) is None
    with pytest.raises(ValueError, match="num_disagreements=9"):
        smallest_difference(5, num_disagreements=9)


def test_bootstrap_draws_whole_groups():
    # two videos, one all right, one all wrong: draws are 0, 50 or 100 %
    values, groups = [1, 1, 1, 0, 0, 0], list("aaabbb")
    assert bootstrap_interval(values, groups) == (50.0, 0.0, 100.0)
    narrow = bootstrap_interval(values * 50, np.arange(300))
    assert 43 < narrow.low < 46 and 54 < narrow.high < 57
    assert bootstrap_interval(values, ["a"] * 6) == (50.0, 0.0, 100.0)


def test_bootstrap_of_a_class_mean_is_over_present_classes():
    # class 0: 1 of 3, class 7: 1 of 1
    found = bootstrap_interval([1, 0, 0, 1], list("abcd"), classes=[0, 0, 0, 7])
    assert found.mean == pytest.approx(100 * (1 / 3 + 1) / 2)
    assert found.low < found.mean < found.high <= 100.0
    again = bootstrap_interval([1, 0, 0, 1], list("abcd"), classes=[0, 0, 0, 7])
    assert found == again


def test_a_class_means_interval_holds_it_where_rare_classes_are_hard():
    """20 classes of one clip each are wrong, and a third of them lacks in a draw."""
    found = bootstrap_interval(
        [1] * 40 + [0] * 20, np.arange(60), classes=[0] * 40 + list(range(1, 21))
    )
    assert found.mean == pytest.approx(100 / 21)
    assert found.low < found.mean < found.high


def test_a_class_that_a_draw_lacks_does_not_count_in_it():
    """All is right, whichever of the two videos is drawn twice."""
    found = bootstrap_interval([1, 1], list("ab"), classes=[0, 1])
    assert found == (100.0, 100.0, 100.0)


def test_bootstrap_refuses_arrays_that_do_not_fit():
    with pytest.raises(ValueError, match=r"got \(2,\), \(1,\) and \(2,\)"):
        bootstrap_interval([1, 0], ["a"])


def test_folds_that_differ_widen_the_interval():
    rng = np.random.default_rng(0)
    folds = np.repeat(np.arange(5), 40)
    even = rng.random((2, 200)) < 0.8
    apart = np.sort(even, axis=1)  # the first fold all wrong
    for correct, wider in ((even, False), (apart, True)):
        plain, folded = (accuracy_interval(correct, folds=f) for f in (None, folds))
        assert plain.mean == folded.mean
        assert (folded.high - folded.low > 1.2 * (plain.high - plain.low)) == wider
    with pytest.raises(ValueError, match="two folds at least"):
        accuracy_interval(even, folds=np.zeros(200))


def test_differences_of_even_folds_are_a_t_test_over_them():
    folds = np.repeat(np.arange(5), 40)
    apart = np.repeat([[1, 0, 1, 1, 0]], 40, axis=1)
    found = difference_interval(apart, np.zeros((1, 200)), folds=folds)
    by_scipy = stats.ttest_1samp([1, 0, 1, 1, 0], 0).confidence_interval()
    assert found.mean == pytest.approx(60)
    assert (found.low, found.high) == pytest.approx((100 * by_scipy.low, 100))
