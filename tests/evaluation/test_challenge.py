import contextlib
import copy
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from mmfusion.evaluation.challenge import (
    SubmissionError,
    Supervision,
    best_actions,
    check_submission,
    read_submission,
    write_submission,
)
from mmfusion.evaluation.ek100 import Scores

IDS = ["P01_101_0", "P01_101_1", "P33_101_0"]
SIZES = dict(num_verbs=4, num_nouns=6, num_actions=10)
LEVELS = Supervision(pt=2, tl=5, td=3)


def random_scores(seed=0, num_verbs=4, num_nouns=6):
    rng = np.random.default_rng(seed)
    verb = rng.standard_normal((len(IDS), num_verbs)).astype(np.float32)
    return Scores(verb, rng.standard_normal((len(IDS), num_nouns)).astype(np.float32))


def head_scores(num_actions, worst):
    action = np.zeros((len(IDS), num_actions), np.float32)
    action[0, 3] = worst
    pairs = np.stack([np.arange(num_actions) // 6, np.arange(num_actions) % 6], 1)
    return Scores(np.zeros((3, 20)), np.zeros((3, 6)), action, pairs)


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "out" / "test.zip"
    write_submission(
        path,
        IDS,
        random_scores(),
        challenge="action_anticipation",
        supervision=LEVELS,
        num_actions=10,
    )
    return path


def test_what_is_written_passes_and_holds_the_scores(archive):
    found = read_submission(archive)
    check_submission(found, IDS, challenge="action_anticipation", **SIZES)
    assert found["sls_tl"] == 5 and found["version"] == "0.2"
    scores = random_scores()
    for i, name in enumerate(IDS):
        verb = [found["results"][name]["verb"][str(c)] for c in range(4)]
        np.testing.assert_array_equal(np.float32(verb), scores.verb[i])
        sums = {
            f"{v},{n}": float(scores.verb[i, v]) + float(scores.noun[i, n])
            for v in range(4)
            for n in range(6)
        }
        best = sorted(sums, key=lambda key: -sums[key])[:10]
        assert list(found["results"][name]["action"]) == best


def test_equal_scores_give_an_equal_file(archive, tmp_path):
    again = tmp_path / "again.zip"
    write_submission(
        again,
        IDS,
        random_scores(),
        challenge="action_anticipation",
        supervision=LEVELS,
        num_actions=10,
    )
    assert again.read_bytes() == archive.read_bytes()


def test_best_actions_of_a_head_are_its_own():
    pairs = np.array([[0, 0], [3, 5], [1, 2]])
    action = np.array([[0.1, 0.9, 0.5]])
    scores = Scores(np.zeros((1, 4)), np.zeros((1, 6)), action, pairs)
    assert next(best_actions(scores, 2)) == [(3, 5, 0.9), (1, 2, 0.5)]
    assert len(next(best_actions(scores, 100))) == 3


def test_a_hundred_actions_of_official_size():
    best = list(best_actions(random_scores(num_verbs=97, num_nouns=300)))
    assert [len({(v, n) for v, n, _ in one}) for one in best] == [100] * 3
    assert all(one == sorted(one, key=lambda x: -x[2]) for one in best)


def put(*path, value):
    def change(submission):
        for key in path[:-1]:
            submission = submission[key]
        submission[path[-1]] = value

    return change


def drop(*path):
    def change(submission):
        for key in path[:-1]:
            submission = submission[key]
        del submission[path[-1]]

    return change


ENTRY = ("results", "P01_101_1")
FAULTS = {
    "no-version": ("version", drop("version")),
    "old-version": ("version", put("version", value="0.1")),
    "no-challenge": ("challenge", drop("challenge")),
    "other-challenge": ("challenge", put("challenge", value="action_recognition")),
    "no-sls": ("sls", drop("sls_td")),
    "sls-6": ("sls", put("sls_pt", value=6)),
    "sls-text": ("sls", put("sls_pt", value="2")),
    "no-results": ("results", drop("results")),
    "results-list": ("results", put(*ENTRY, value=[])),
    "missing-id": ("missing id", drop(*ENTRY)),
    "unexpected-id": ("unexpected id", put("results", "P99_1_0", value={})),
    "no-verb": ("task", drop(*ENTRY, "verb")),
    "other-task": ("task", put(*ENTRY, "adverb", value={})),
    "missing-class": ("missing class", drop(*ENTRY, "noun", "5")),
    "class-too-high": ("unexpected class", put(*ENTRY, "noun", "6", value=0.0)),
    "class-name": ("class", put(*ENTRY, "verb", "take", value=0.0)),
    "class-with-zeros": ("class", put(*ENTRY, "verb", "03", value=0.0)),
    "score-text": ("score", put(*ENTRY, "verb", "3", value="0.1")),
    "class-of-5000-digits": ("class", put(*ENTRY, "noun", "9" * 5000, value=0.0)),
    "score-true": ("score", put(*ENTRY, "verb", "3", value=True)),
    "score-nan": ("score", put(*ENTRY, "noun", "3", value=float("nan"))),
    "action-of-some": ("some actions", drop(*ENTRY, "action")),
    "action-count": ("action count", put(*ENTRY, "action", value={"0,0": 1.0})),
    "action-key": ("action", put(*ENTRY, "action", value={"0-0": 1.0})),
    "action-spaces": ("action", put(*ENTRY, "action", value={"0, 0": 1.0})),
    "action-class": ("unexpected class", put(*ENTRY, "action", value={"4,0": 1.0})),
    "action-score": ("score", put(*ENTRY, "action", value={"0,0": None})),
}


@pytest.mark.parametrize("name", FAULTS)
def test_each_kind_of_fault_is_refused_by_its_name(archive, name):
    fault, change = FAULTS[name]
    submission = copy.deepcopy(read_submission(archive))
    change(submission)
    sizes = SIZES
    if name.startswith("action-") and fault not in ("some actions", "action count"):
        sizes = {**SIZES, "num_actions": 1}
        for other in ("P01_101_0", "P33_101_0"):
            submission["results"][other]["action"] = {"0,0": 1.0}
    with pytest.raises(SubmissionError) as caught:
        check_submission(submission, IDS, challenge="action_anticipation", **sizes)
    assert caught.value.fault == fault


def test_without_actions_a_file_is_whole(archive):
    submission = read_submission(archive)
    for entry in submission["results"].values():
        del entry["action"]
    check_submission(submission, IDS, **SIZES)


@pytest.mark.parametrize(
    ("member", "content", "fault"),
    [
        ("test.json", '{"a": 1, "a": 2}', "key twice"),
        ("test.json", '{"a": NaN}', "score"),
        ("test.json", "{", "json"),
        ("test.json", "[]", "json"),
        ("folder/test.json", "{}", "zip"),
        ("test.json", '{"a": 1' + "0" * 400 + "}", "score"),
        ("test.json", '{"a": 1' + "0" * 5000 + "}", "score"),
        ("test.json", "\ufeff{}", "json"),
        ("test.json", "{}".encode("utf-16"), "json"),
    ],
    ids=["twice", "nan", "broken", "list", "folder", "400", "5000", "bom", "utf16"],
)
def test_a_zip_with_something_else_is_named(tmp_path, member, content, fault):
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(member, content)
    with pytest.raises(SubmissionError) as caught:
        read_submission(path)
    assert caught.value.fault == fault


def test_a_damaged_zip_is_refused_by_name(archive, tmp_path):
    whole = bytearray(Path(archive).read_bytes())
    rng = np.random.default_rng(0)
    for place in rng.integers(40, len(whole), 50):
        damaged = bytearray(whole)
        damaged[place] ^= 0xFF
        (tmp_path / "x.zip").write_bytes(damaged)
        with contextlib.suppress(SubmissionError):
            check_submission(read_submission(tmp_path / "x.zip"), IDS, **SIZES)


def test_no_zip_at_all_and_a_bare_json(archive, tmp_path):
    bare = tmp_path / "test.json"
    bare.write_text(json.dumps(read_submission(archive)))
    check_submission(read_submission(bare), IDS, **SIZES)
    (tmp_path / "x.zip").write_text("{}")
    with pytest.raises(SubmissionError, match=r"^zip: .*x\.zip"):
        read_submission(tmp_path / "x.zip")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (dict(path="out.json"), r"out\.json.*expected a name in \.zip"),
        (dict(challenge="anticipation"), "challenge is 'anticipation'"),
        (dict(supervision=Supervision(2, 7, 3)), "sls_tl is 7"),
        (dict(ids=IDS[:2]), "2 ids for scores of 3"),
        (dict(ids=[*IDS[:2], IDS[0]]), "'P01_101_0' comes more than once"),
        (
            dict(scores=Scores(np.full((3, 4), np.nan), np.zeros((3, 6)))),
            "'P01_101_0' has a verb score that is not finite",
        ),
        (
            dict(scores=head_scores(100, np.inf)),
            "'P01_101_0' has an? action score that is not finite",
        ),
        (dict(scores=head_scores(99, 0.0)), "there are 99 actions, expected 100"),
    ],
    ids=[
        *("suffix", "challenge", "level", "ids", "twice", "nan"),
        *("action-inf", "few-actions"),
    ],
)
def test_nothing_is_written_that_would_be_refused(tmp_path, change, match):
    path = tmp_path / change.pop("path", "out.zip")
    options = dict(challenge="action_recognition", supervision=LEVELS)
    options |= {k: v for k, v in change.items() if k in options}
    args = [change.get("ids", IDS), change.get("scores", random_scores())]
    with pytest.raises(ValueError, match=match):
        write_submission(path, *args, **options)
    assert not path.exists()
