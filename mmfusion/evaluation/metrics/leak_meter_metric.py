"""The leak meter in a run: beside every number with questions, what they tell."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger

from mmfusion.evaluation.leak_meter import (
    AskedClips,
    Leak,
    import_sklearn,
    measure_leak,
)
from mmfusion.evaluation.protocols import AskedDataset
from mmfusion.questions.generic import GENERIC
from mmfusion.questions.records import ORACLE_SOURCES
from mmfusion.registry import METRICS
from mmfusion.utils.errors import InputError


@METRICS.register_module()
class LeakMeterMetric(BaseMetric):
    """``<source>/leak/verb``, ``noun`` and ``action``: accuracy of a text-only reader.

    See :mod:`mmfusion.evaluation.leak_meter`. It learns from the training split's
    questions of the same source. Where there are none, each half of the evaluated
    clips is read by what the other half taught. It is measured once a run, as questions
    do not change, and is silent where the dataset has no questions. Questions that are
    worded from the labels are warned about.

    The runner hands the dataset to :meth:`set_dataset`.

    Args:
        questions: the training split's file of questions; ``{source}`` is the source of
            those that are evaluated.
        collect_device: as in MMEngine.
        prefix: put before every key; none by default.

    Example:
        >>> LeakMeterMetric("questions/{source}_train.jsonl").questions
        'questions/{source}_train.jsonl'
    """

    default_prefix = ""  # None would make MMEngine warn

    def __init__(
        self,
        questions: str,
        *,
        collect_device: str = "cpu",
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device, prefix)
        self.questions = questions
        self._dataset: AskedDataset | None = None
        self._measured: dict[str, float] | None = None

    def set_dataset(self, dataset: AskedDataset) -> None:
        """Take the dataset that is evaluated.

        Raises:
            ImportError: it has questions, and scikit-learn is not installed.
        """
        if dataset.metainfo["question_source"] is not None:
            import_sklearn("linear_model")
        self._dataset, self._measured = dataset, None

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Nothing is kept of the clips but that there are some."""
        self.results.extend([None] * len(data_samples))

    def compute_metrics(self, results: list) -> dict[str, float]:
        """The text-only reader's accuracies, percent; none without questions."""
        if self._dataset is None:
            raise InputError(
                "LeakMeterMetric has no dataset: it is for FusionRunner, or call "
                "set_dataset()"
            )
        if self._measured is None:
            self._measured = self._measure(self._dataset)
        return self._measured

    def _measure(self, dataset: AskedDataset) -> dict[str, float]:
        asked = asked_clips(dataset)
        if asked is None:
            return {}
        source = str(dataset.metainfo["question_source"])
        train, learnt_from = self._training_clips(dataset, source)
        found = measure_leak(asked, train)
        logger = MMLogger.get_current_instance()
        count = f"{len(asked)} clips, text-only reader taught by {learnt_from}"
        logger.info(format_leak(f"leak meter: {source} questions, {count}", found))
        if set(source.split("+")) & set(ORACLE_SOURCES):
            leak = found["action"]
            logger.warning(
                f"the {source} questions are worded from the labels of the very clips "
                f"that are evaluated: from the text alone {leak.accuracy:.1f} % of the "
                f"actions are right ({leak.majority:.1f} % by always answering the "
                "commonest); no number here shows what can be seen in a video"
            )
        return {f"{source}/leak/{task}": leak.accuracy for task, leak in found.items()}

    def _training_clips(
        self, dataset: AskedDataset, source: str
    ) -> tuple[AskedClips | None, str]:
        """The training split's clips with questions of ``source``, and their name."""
        file = self.questions.format(source=source)
        path = Path(dataset.data_root, file)
        if source != GENERIC and not path.is_file():
            return None, f"the other half of them ({path} is not there)"
        file = GENERIC if source == GENERIC else file
        clips = asked_clips(dataset.with_questions("train", file))
        if clips is None:
            raise InputError(f"questions: {file} has none for labelled clips")
        return clips, f"{len(clips)} training clips"


def asked_clips(dataset: AskedDataset) -> AskedClips | None:
    """Questions and labels of a dataset's records; None without any."""
    rows = []
    for index in range(len(dataset)):
        record = dataset.get_record(index)
        text, label = record.get("text") or {}, record.get("label") or {}
        if text.get("verb_question") and {"verb", "noun"} <= set(label):
            questions = (text["verb_question"], text["noun_question"])
            rows.append((*questions, label["verb"], label["noun"]))
    if not rows:
        return None
    verb_questions, noun_questions, verbs, nouns = zip(*rows, strict=True)
    return AskedClips(verb_questions, noun_questions, np.array(verbs), np.array(nouns))


def format_leak(header: str, found: Mapping[str, Leak]) -> str:
    """One line a task under the header."""
    lines = [
        f"  {task:<6} {leak.accuracy:6.2f} %  (commonest class {leak.majority:.2f}, "
        f"chance {leak.chance:.2f})"
        for task, leak in found.items()
    ]
    return "\n".join([header, *lines])
