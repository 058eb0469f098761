import numpy as np
import pytest
import torch
from mmengine.logging import MMLogger

from mmfusion.evaluation import EpicKitchensMetric
from mmfusion.evaluation.challenge import check_submission, read_submission
from mmfusion.structures import ActionDataSample

PAIRS = [[0, 0], [0, 2], [1, 0], [1, 1], [1, 2]]
DATASET = dict(
    classes=dict(verb=["a", "b"], noun=["x", "y", "z"]),
    tail_verbs=[1],
    tail_nouns=[2],
    unseen_participants=["P2"],
    action_pairs=PAIRS,
)
N = 12


def samples(heads=("verb", "noun"), right=True, **meta):
    """Scores that put every label first, or last."""
    for i in range(N):
        labels = dict(verb=i % 2, noun=i % 3)
        pair = [*labels.values()]
        labels["action"] = PAIRS.index(pair) if pair in PAIRS else 0
        person = f"P{i % 4}"
        known = dict(sample_id=f"s{i}", video_id=f"{person}_0", participant_id=person)
        sample = ActionDataSample(metainfo=known | meta)
        for task, size in dict(verb=2, noun=3, action=5).items():
            if task != "action":
                sample.set_field(torch.tensor(labels[task]), f"gt_{task}")
            if task in heads:
                score = torch.full((size,), 0.1)
                score[labels[task]] = 0.8 if right else 0.0
                sample.set_field(score, f"score_{task}")
        yield sample.to_dict()


def evaluate(metric, data, dataset=DATASET):
    metric.dataset_meta = dataset
    data = list(data)
    metric.process(None, data)
    return metric.evaluate(len(data))


def test_right_scores_are_right_in_every_subset():
    found = evaluate(EpicKitchensMetric(), samples())
    assert set(found.values()) == {100.0}
    assert {"action/top1", "unseen/verb/top1", "tail/noun/top1"} <= set(found)
    wrong = evaluate(EpicKitchensMetric(), samples(right=False))
    assert wrong["action/top1"] == wrong["tail/action/top1"] == 0.0


def test_every_key_names_the_protocol():
    metric = EpicKitchensMetric(task="anticipation")
    meta = dict(question_source="predicted", tau_a=1.0, tau_o=64 / 30)
    found = evaluate(metric, samples(**meta))
    path = "predicted/tau_a=1s/tau_o=2.13s/"
    assert all(key.startswith(path) for key in found)
    assert found[path + "action/recall5"] == 100.0


def test_the_log_has_the_protocol_the_intervals_and_what_was_padded(caplog):
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    evaluate(EpicKitchensMetric(), samples(question_source="generic", padded=True))
    logger.removeHandler(caplog.handler)
    assert "recognition, 12 segments of 4 videos, 12 of them padded" in caplog.text
    assert "; generic" in caplog.text and "100.00 (100.0 to 100.0)" in caplog.text


@pytest.mark.parametrize("action_from", [None, "head"])
def test_an_action_head_gives_all_three(action_from):
    # label (0, 1) is no action of this head: 2 of 12
    found = evaluate(EpicKitchensMetric(action_from=action_from), samples(("action",)))
    assert found["action/top1"] == pytest.approx(100 * 10 / 12)
    both = evaluate(
        EpicKitchensMetric(action_from="pairs"), samples(("verb", "noun", "action"))
    )
    assert both["action/top1"] == 100.0


def test_the_challenge_file_is_written_on_request(tmp_path):
    path = tmp_path / "test.zip"
    evaluate(EpicKitchensMetric(challenge_file=str(path)), samples())
    ids = [f"s{i}" for i in range(N)]
    found = read_submission(path)
    check_submission(found, ids, num_verbs=2, num_nouns=3, num_actions=6)
    assert found["challenge"] == "action_recognition"
    best = next(iter(found["results"]["s4"]["action"]))
    assert best == "0,1"


def broken(change):
    def make():
        rows = list(samples(question_source="generic"))
        change(rows)
        return rows

    return make


@pytest.mark.parametrize(
    ("rows", "options", "match"),
    [
        (lambda: samples(("verb",)), {}, r"scores of \['verb'\]; expected verb and"),
        (lambda: samples(), dict(action_from="head"), "action_from is 'head'"),
        (
            broken(lambda rows: rows[3].update(score_verb=torch.full((2,), np.nan))),
            {},
            "'s3' has a verb score that is not finite",
        ),
        (broken(lambda rows: rows[3].pop("video_id")), {}, r"'s3' has no \['video_id"),
        (
            broken(lambda rows: rows[3].pop("question_source")),
            {},
            "1 of 12 segments have no question_source",
        ),
        (broken(lambda rows: rows[3].update(tau_a=2.0)), {}, "tau_a differs"),
        (broken(lambda rows: rows[3].pop("gt_verb")), {}, "no label for 'verb'"),
    ],
    ids=["no-noun", "no-head", "nan", "video", "source", "tau", "label"],
)
def test_what_cannot_be_scored_is_named(rows, options, match):
    with pytest.raises(ValueError, match=match):
        evaluate(EpicKitchensMetric(**options), rows())


def test_an_action_head_needs_its_pairs():
    with pytest.raises(ValueError, match="has 0 action_pairs"):
        evaluate(EpicKitchensMetric(), samples(("action",)), dict(classes={}))


@pytest.mark.parametrize(
    ("options", "match"),
    [
        (dict(task="c1"), "task is 'c1'"),
        (dict(action_from="verb"), "action_from is 'verb'"),
        (dict(supervision=(1, 2)), r"supervision is \(1, 2\)"),
    ],
    ids=["task", "action", "supervision"],
)
def test_wrong_options_are_named(options, match):
    with pytest.raises(ValueError, match=match):
        EpicKitchensMetric(**options)


def test_who_chose_the_questions_stands_above_the_table(monkeypatch):
    lines = []
    logger = MMLogger.get_current_instance()
    monkeypatch.setattr(logger, "info", lines.append)
    accuracy = dict(num_labelled=12, verb=60.0, noun=50.0, action=25.04)
    dataset = DATASET | dict(recognisers=[dict(recogniser="nano", accuracy=accuracy)])
    meta = dict(question_source="predicted")
    evaluate(EpicKitchensMetric(), samples(**meta), dataset)
    told = lines[-1].splitlines()
    assert told[0].endswith("predicted")
    assert told[1] == (
        "questions chosen by 'nano': verb 60.0, noun 50.0, action 25.0 % top-1 (n = 12)"
    )


@pytest.mark.parametrize("name", ["legacy_inavit", "legacy_vjepa2"])
def test_the_legacy_sampling_stands_in_every_key(name):
    meta = dict(tau_a=None, tau_o=None, sampling=name)
    found = evaluate(EpicKitchensMetric(task="anticipation"), samples(**meta))
    assert all(key.startswith(f"sampling={name}/") for key in found)
