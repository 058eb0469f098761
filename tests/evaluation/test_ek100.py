import numpy as np
import pytest

from mmfusion.evaluation.ek100 import (
    Scores,
    Segments,
    Subsets,
    action_index,
    anticipation,
    correct,
    log_probabilities,
    marginalise,
    recognition,
    with_marginals,
)
from mmfusion.evaluation.functional import bootstrap_interval
from mmfusion.layouts import epic_kitchens as epic

SUBSETS = Subsets(frozenset({2, 3}), frozenset({4, 5}), frozenset({"P2"}))
# what the official evaluators (C1 c90b6f9, C3 73b8a00) print for the scores below
OFFICIAL_C1 = {
    "verb/top1": 32.23003723624328,
    "verb/top5": 61.2639635912288,
    "noun/top1": 21.048820852296235,
    "noun/top5": 43.32850641290856,
    "action/top1": 6.5990897807199005,
    "action/top5": 16.621845262722385,
    "unseen/verb/top1": 30.892018779342724,
    "unseen/noun/top1": 21.5962441314554,
    "unseen/action/top1": 5.539906103286385,
    "tail/verb/top1": 32.72727272727273,
    "tail/noun/top1": 20.789473684210527,
    "tail/action/top1": 7.246376811594203,
}
OFFICIAL_C3 = {
    "verb/recall5": 60.358179001743295,
    "noun/recall5": 41.23746538231255,
    "action/recall5": 16.532307250550264,
    "unseen/verb/recall5": 56.08815876876043,
    "unseen/noun/recall5": 41.719649944768214,
    "unseen/action/recall5": 17.371032481675407,
    "tail/verb/recall5": 60.23035249110623,
    "tail/noun/recall5": 39.9150149668833,
    "tail/action/recall5": 17.032046388572052,
}


def random_scores(segments, num_verbs, num_nouns, boost, seed=0):
    rng, rows = np.random.default_rng(seed), np.arange(len(segments.verb))
    verb = rng.standard_normal((len(rows), num_verbs))
    noun = rng.standard_normal((len(rows), num_nouns))
    verb[rows, segments.verb] += boost
    noun[rows, segments.noun] += boost
    return Scores(verb, noun)


def random_segments(n=80, seed=1):
    rng = np.random.default_rng(seed)
    return Segments(
        rng.integers(0, 4, n),
        rng.integers(0, 6, n),
        np.array([f"P{i % 3}_{i % 7}" for i in range(n)]),
        np.array([f"P{i % 3}" for i in range(n)]),
    )


def test_small_probabilities_keep_their_order():
    prob = np.array([[1e-6, 3e-6, 0.999996, 0.0]])
    found = log_probabilities(prob)
    np.testing.assert_allclose(np.exp(found[:, :3]), prob[:, :3], rtol=1e-12)
    assert np.isfinite(found).all() and found[0, 3] < -700


@pytest.mark.parametrize("task", ["verb", "noun", "action"])
def test_intervals_of_subsets_draw_their_own_videos(task):
    segments = random_segments()
    scores = random_scores(segments, 4, 6, 1.0)
    top1, recall = (f(scores, segments, SUBSETS) for f in (recognition, anticipation))
    labels, video = segments.labels(task), segments.video
    for name, masks in SUBSETS.masks(segments).items():
        own = masks[task]
        first = correct(scores, segments, task, 1)[own]
        assert top1[f"{name}/{task}/top1"] == bootstrap_interval(first, video[own])
        five = correct(scores, segments, task, 5)[own]
        expected = bootstrap_interval(five, video[own], classes=labels[own])
        assert recall[f"{name}/{task}/recall5"] == expected


def ranking(score):
    """Keys of a dict from the best to the worst, by sorting all of it."""
    return sorted(score, key=lambda key: -score[key])


def slow_rows(scores, segments):
    """Per segment: its labels and the complete ranking of each task."""
    for i in range(len(segments.verb)):
        verb = np.exp(scores.verb[i]) / np.exp(scores.verb[i]).sum()
        noun = np.exp(scores.noun[i]) / np.exp(scores.noun[i]).sum()
        pairs = {
            (a, b): verb[a] * noun[b]
            for a in range(len(verb))
            for b in range(len(noun))
        }
        label = {"verb": int(segments.verb[i]), "noun": int(segments.noun[i])}
        label["action"] = (label["verb"], label["noun"])
        ranks = {
            "verb": ranking(dict(enumerate(verb))),
            "noun": ranking(dict(enumerate(noun))),
            "action": ranking(pairs),
        }
        tail = {"verb": label["verb"] in SUBSETS.tail_verbs}
        tail["noun"] = label["noun"] in SUBSETS.tail_nouns
        tail["action"] = tail["verb"] or tail["noun"]
        unseen = segments.participant[i] in SUBSETS.unseen_participants
        yield label, ranks, {"unseen/": dict.fromkeys(tail, unseen), "tail/": tail}


def slow_metric(rows, task, k, subset="", by_class=False):
    """Percent of hits, clip by clip or class by class."""
    hits: dict = {}
    for label, ranks, member in rows:
        if subset == "" or member[subset][task]:
            key = label[task] if by_class else None
            hits.setdefault(key, []).append(label[task] in ranks[task][:k])
    return 100 * np.mean([np.mean(values) for values in hits.values()])


@pytest.fixture(scope="module")
def small():
    segments = random_segments()
    scores = random_scores(segments, 4, 6, boost=0.8)
    return scores, segments, list(slow_rows(scores, segments))


@pytest.mark.parametrize("task", ["verb", "noun", "action"])
def test_recognition_is_what_sorting_every_pair_gives(small, task):
    scores, segments, rows = small
    found = recognition(scores, segments, SUBSETS)
    expected = {
        f"{task}/top1": slow_metric(rows, task, 1),
        f"{task}/top5": slow_metric(rows, task, 5),
        f"{task}/mean_class": slow_metric(rows, task, 1, by_class=True),
        f"unseen/{task}/top1": slow_metric(rows, task, 1, "unseen/"),
        f"tail/{task}/top1": slow_metric(rows, task, 1, "tail/"),
    }
    means = {key: found[key].mean for key in expected}
    assert means == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("task", ["verb", "noun", "action"])
def test_anticipation_is_what_sorting_every_pair_gives(small, task):
    scores, segments, rows = small
    found = anticipation(scores, segments, SUBSETS, k=2)
    expected = {
        f"{subset}{task}/recall2": slow_metric(rows, task, 2, subset, by_class=True)
        for subset in ("", "unseen/", "tail/")
    }
    means = {key: found[key].mean for key in expected}
    assert means == pytest.approx(expected, abs=1e-9)


def test_legacy_action_asks_for_verb_and_noun_apart_and_is_never_lower(small):
    scores, segments, rows = small
    found = anticipation(scores, segments, SUBSETS, k=2)
    hits: dict = {}
    for label, ranks, _ in rows:
        both = all(label[task] in ranks[task][:2] for task in ("verb", "noun"))
        hits.setdefault(label["action"], []).append(both)
    legacy = found["action/legacy_recall2"].mean
    assert legacy == pytest.approx(100 * np.mean([np.mean(x) for x in hits.values()]))
    assert legacy > found["action/recall2"].mean


def validation_segments(folder):
    classes = epic.read_classes(folder)
    rows = epic.read_segments(folder / epic.SEGMENT_FILES["val"], classes)
    return Segments(
        np.array([row.verb for row in rows]),
        np.array([row.noun for row in rows]),
        np.array([row.video for row in rows]),
        np.array([row.participant for row in rows]),
    )


def read_subsets(folder, split="val"):
    classes = epic.read_classes(folder)
    unseen = frozenset(epic.read_unseen(folder, split))
    tails = frozenset(classes.tail_verbs), frozenset(classes.tail_nouns)
    return Subsets(*tails, unseen)


def test_equal_to_the_official_evaluators_on_the_whole_validation_set(shared_data):
    folder = shared_data / "ek100"
    segments, subsets = validation_segments(folder), read_subsets(folder)
    assert len(segments.verb) == 9668
    scores = random_scores(segments, 97, 300, boost=2.0)
    c1 = recognition(scores, segments, subsets)
    c3 = anticipation(scores, segments, subsets)
    assert {k: c1[k].mean for k in OFFICIAL_C1} == pytest.approx(OFFICIAL_C1, abs=1e-9)
    assert {k: c3[k].mean for k in OFFICIAL_C3} == pytest.approx(OFFICIAL_C3, abs=1e-9)


def test_sizes_of_the_real_subsets(shared_data):
    folder = shared_data / "ek100"
    masks = read_subsets(folder).masks(validation_segments(folder))
    assert masks["unseen"]["action"].sum() == 1065
    sizes = {task: int(mask.sum()) for task, mask in masks["tail"].items()}
    assert sizes == {"verb": 1760, "noun": 1900, "action": 3105}
    assert read_subsets(folder, "test").unseen_participants == {"P33", "P34", "P36"}


def test_an_action_head_is_ranked_by_its_own_scores():
    segments = random_segments()
    pairs = np.array([(v, n) for v in range(4) for n in range(6) if (v, n) != (1, 2)])
    index = action_index(pairs, segments)
    unknown = (segments.verb == 1) & (segments.noun == 2)
    assert (index == -1).tolist() == unknown.tolist() and unknown.any()
    assert (pairs[index[~unknown], 0] == segments.verb[~unknown]).all()
    action = np.zeros((80, len(pairs)))
    action[np.arange(80), index.clip(0)] = 1.0  # right wherever it can be
    blind = np.zeros((80, 4)), np.zeros((80, 6))
    scores = Scores(*blind, action, pairs)
    assert correct(scores, segments, "action", 1).tolist() == (~unknown).tolist()
    assert not correct(scores, segments, "verb", 1).any()


def test_verb_and_noun_of_an_action_head_are_sums_by_hand():
    pairs = np.array([[0, 0], [0, 1], [1, 1]])
    verb, noun = marginalise(np.array([[0.5, 0.3, 0.2]]), pairs, 2, 3)
    np.testing.assert_allclose(verb, [[0.8, 0.2]])
    np.testing.assert_allclose(noun, [[0.5, 0.5, 0.0]])
    assert np.isfinite(log_probabilities(noun)).all()


def test_a_model_with_an_action_head_only_scores_verbs_and_nouns_too():
    pairs = [[0, 2], [1, 0], [1, 2], [3, 1]]
    action = np.array([[0.5, 0.2, 0.1, 0.2]], np.float32)
    sizes = dict(verb=97, noun=300)  # more than occur
    found = with_marginals({"action": action}, pairs, sizes)
    np.testing.assert_allclose(found["verb"][0, :4], [0.5, 0.3, 0.0, 0.2])
    np.testing.assert_allclose(found["noun"][0, :3], [0.2, 0.2, 0.6])
    assert (found["verb"].shape, found["noun"].shape) == ((1, 97), (1, 300))
    heads = {task: found[task][:, ::-1] for task in ("verb", "noun")}
    kept = with_marginals({"action": action, **heads}, pairs, sizes)
    assert kept["verb"] is heads["verb"]  # its own head's
    with pytest.raises(ValueError, match="of 4 actions, but .* has 3 action_pairs"):
        with_marginals({"action": action}, pairs[:3], sizes)


def test_equal_scores_are_right_for_nobody():
    segments = random_segments(10)
    flat = Scores(np.zeros((10, 4)), np.zeros((10, 6)))
    for task in ("verb", "noun", "action"):
        assert not correct(flat, segments, task, 3).any()


def test_a_subset_without_segments_has_no_number(small):
    scores, segments, _ = small
    found = recognition(scores, segments, Subsets())
    assert not [key for key in found if key.startswith(("unseen", "tail"))]


@pytest.mark.parametrize(
    ("verb", "action", "pairs", "match"),
    [
        (3, None, None, r"of \[2, 3\] segments"),
        (2, np.zeros((2, 5)), None, r"pairs: got None, expected \(5, 2\)"),
        (2, np.zeros((2, 5)), np.zeros((4, 2), int), r"got \(4, 2\), expected \(5, 2"),
    ],
    ids=["segments", "no-pairs", "pairs"],
)
def test_scores_that_do_not_fit_are_named(verb, action, pairs, match):
    with pytest.raises(ValueError, match=match):
        Scores(np.zeros((verb, 4)), np.zeros((2, 6)), action, pairs)
