from types import SimpleNamespace

import pytest
from mmengine.logging import MMLogger

from mmfusion.evaluation import LeakMeterMetric

NOUNS = ["cup", "pan", "lid"]


class Kitchen:
    """A dataset of 60 clips whose noun question tells the noun, if it is no fixed one.

    Args:
        questions, data_root: as of a real one.
        size: how many clips.
    """

    def __init__(self, questions, data_root="", size=60):
        self.questions, self.data_root, self.size = questions, data_root, size
        source = "ground_truth" if "ground_truth" in str(questions) else questions
        self.metainfo = dict(question_source=source)

    def __len__(self):
        return self.size

    def with_questions(self, split, questions):
        assert split == "train"
        return Kitchen(questions, self.data_root, size=90)

    def get_record(self, index):
        noun = index * 7 % 3
        text = None
        if self.questions is not None:
            told = NOUNS[noun] if "ground_truth" in self.questions else "thing"
            text = dict(verb_question="What?", noun_question=f"Which {told} is it?")
        return dict(text=text, label=dict(verb=index % 4, noun=noun))


def measure(dataset, file="{source}_train.jsonl"):
    metric = LeakMeterMetric(file)
    metric.set_dataset(dataset)
    metric.process(None, [{}] * len(dataset))
    return metric.evaluate(len(dataset))


def test_generic_questions_tell_nothing():
    found = measure(Kitchen("generic"))
    assert found["generic/leak/verb"] == 25.0
    assert found["generic/leak/noun"] == pytest.approx(100 / 3)


def test_ground_truth_questions_tell_all_and_are_warned_about(tmp_path, caplog):
    (tmp_path / "ground_truth_train.jsonl").touch()
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    found = measure(Kitchen("ground_truth", str(tmp_path)))
    logger.removeHandler(caplog.handler)
    assert found["ground_truth/leak/noun"] == 100.0
    assert found["ground_truth/leak/verb"] == 25.0
    assert "taught by 90 training clips" in caplog.text
    assert "worded from the labels" in caplog.text
    assert "commonest class 33.33, chance 33.33" in caplog.text


def test_it_is_taught_by_the_training_split_and_no_other(tmp_path):
    """Training that means other nouns by the same words makes all be read wrongly."""

    class Other(Kitchen):
        def with_questions(self, split, questions):
            made = super().with_questions(split, questions)
            record = made.get_record
            made.get_record = lambda index: {
                **record(index),
                "label": record(index + 1)["label"],
            }
            return made

    (tmp_path / "ground_truth_train.jsonl").touch()
    found = measure(Other("ground_truth", str(tmp_path)))
    assert found["ground_truth/leak/noun"] == 0.0


def test_without_a_training_file_halves_teach_each_other(tmp_path, caplog):
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    found = measure(Kitchen("ground_truth", str(tmp_path)))
    logger.removeHandler(caplog.handler)
    assert found["ground_truth/leak/noun"] == 100.0
    assert "ground_truth_train.jsonl is not there" in caplog.text


def test_no_questions_no_numbers():
    assert measure(Kitchen(None)) == {}


def test_it_is_measured_once(monkeypatch):
    calls = []
    monkeypatch.setattr(
        "mmfusion.evaluation.metrics.leak_meter_metric.measure_leak",
        lambda *clips: calls.append(clips) or {"action": SimpleNamespace(accuracy=1)},
    )
    monkeypatch.setattr(
        "mmfusion.evaluation.metrics.leak_meter_metric.format_leak", lambda *x: ""
    )
    metric = LeakMeterMetric("x")
    metric.set_dataset(Kitchen("generic"))
    for _ in range(2):
        metric.process(None, [{}])
        assert metric.evaluate(1) == {"generic/leak/action": 1}
    assert len(calls) == 1


def test_wrong_use_is_named():
    metric = LeakMeterMetric("x")
    metric.process(None, [{}])
    with pytest.raises(ValueError, match="has no dataset"):
        metric.evaluate(1)
