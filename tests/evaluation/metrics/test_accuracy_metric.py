import pytest
import torch
from mmengine.evaluator import Evaluator

from mmfusion.evaluation import AccuracyMetric
from mmfusion.registry import METRICS
from mmfusion.structures import ActionDataSample


def sample(name, scores, labels):
    """A data sample with scores and labels by task."""
    made = ActionDataSample(metainfo={"sample_id": name})
    for task, score in scores.items():
        made.set_field(torch.tensor(score), f"score_{task}")
    for task, label in labels.items():
        made.set_field(torch.tensor(label), f"gt_{task}")
    return made


def evaluate(metric, samples):
    evaluator = Evaluator([metric])
    for one in samples:
        evaluator.process(data_samples=[one])
    return evaluator.evaluate(len(samples))


SAMPLES = [
    sample("a", {"verb": [0.6, 0.3, 0.1]}, {"verb": 0}),
    sample("b", {"verb": [0.6, 0.3, 0.1]}, {"verb": 0}),
    sample("c", {"verb": [0.1, 0.5, 0.4]}, {"verb": 2}),
    sample("d", {"verb": [0.7, 0.2, 0.1]}, {"verb": 2}),
]


def test_percent_by_hand():
    metric = METRICS.build(dict(type="AccuracyMetric", topk=(1, 2)))
    assert isinstance(metric, AccuracyMetric)
    assert evaluate(metric, SAMPLES) == pytest.approx(
        {"verb/top1": 50.0, "verb/top2": 75.0, "verb/mean_class": 50.0}
    )


def test_keys_of_every_task_and_none_in_between_epochs():
    both = [
        sample(n, {"verb": [0.9, 0.1], "noun": [0.1, 0.9]}, {"verb": 0, "noun": 0})
        for n in "ab"
    ]
    metric = AccuracyMetric()
    for _ in range(2):  # a second epoch starts from nothing
        found = evaluate(metric, both)
        assert found["verb/top1"] == 100 and found["noun/top1"] == 0
        assert found["noun/top5"] == 100 and len(found) == 6
    assert evaluate(AccuracyMetric(["noun"], (1,)), both).keys() == {
        "noun/top1",
        "noun/mean_class",
    }


def test_joint_task_needs_all_its_parts():
    scores = {"verb": [0.9, 0.1], "noun": [0.4, 0.6]}
    labels = [(0, 1), (0, 0), (1, 1), (1, 0)]
    samples = [
        sample(str(i), scores, {"verb": v, "noun": n})
        for i, (v, n) in enumerate(labels)
    ]
    metric = AccuracyMetric(topk=(1, 2), joint_tasks={"action": ("verb", "noun")})
    found = evaluate(metric, samples)
    assert found["verb/top1"] == found["noun/top1"] == 50.0
    assert found["action/top1"] == 25.0 and found["action/top2"] == 100.0


@pytest.mark.parametrize(
    ("samples", "tasks", "match"),
    [
        (
            [sample("t", {"verb": [1.0, 0.0]}, {})],
            None,
            "no label for 'verb'.*'t'.*H2O",
        ),
        (SAMPLES[:1] * 2, None, "more than once"),
        (SAMPLES, ["noun"], "no scores for 'noun'"),
        ([sample("t", {"verb": [float("nan"), 0]}, {"verb": 0})], None, "not finite"),
    ],
    ids=["hidden-label", "twice", "unknown-task", "nan"],
)
def test_what_cannot_be_counted_is_refused(samples, tasks, match):
    with pytest.raises(ValueError, match=match):
        evaluate(AccuracyMetric(tasks), samples)


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="tasks: got 'verb'"):
        AccuracyMetric("verb")
    with pytest.raises(ValueError, match="topk"):
        AccuracyMetric(topk=())
