"""Arguments and readers that the commands of this folder share."""

from pathlib import Path
from typing import NamedTuple

from mmfusion.datasets.annotation import load_annotation
from mmfusion.questions.clips import Clip, clips_of, records_of_split
from mmfusion.questions.vocabulary import Vocabulary
from mmfusion.utils.errors import MissingDataError


class Annotation(NamedTuple):
    """One split of an annotation.

    Attributes:
        ids: of its clips.
        clips: the same with their labels; empty where labels are not asked for.
        vocabulary: its classes; None where the annotation does not give their words.
    """

    ids: list[str]
    clips: list[Clip]
    vocabulary: Vocabulary | None


def read_annotation(
    path: Path, split: str | None, *, labelled: bool = True
) -> Annotation:
    """A split of the annotation.json that ``tools/data/*/prepare.py`` wrote."""
    if not path.is_file():
        raise MissingDataError(
            f"{path}: no such file; write it with tools/data/<dataset>/prepare.py"
        )
    metainfo, records = load_annotation(str(path))
    kept = records_of_split(records, split, str(path))
    clips = clips_of(metainfo, kept, str(path)) if labelled else []
    ids = [record["id"] for record in kept]
    return Annotation(ids, clips, Vocabulary.of_annotation(metainfo))
