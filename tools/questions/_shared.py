"""Arguments and readers that the commands of this folder share."""

import argparse
import sys
from pathlib import Path
from typing import NoReturn

from mmfusion.questions.clips import READERS, Clip, read_ek100
from mmfusion.questions.vocabulary import Vocabulary

CSV_DATASETS = ("ek100", "tinyego")
DATASETS = sorted({*CSV_DATASETS, *READERS})


def add_classes(parser: argparse.ArgumentParser) -> None:
    """The two class files."""
    parser.add_argument(
        "--classes",
        type=Path,
        nargs=2,
        metavar=("VERBS", "NOUNS"),
        help="EPIC_100_verb_classes.csv and EPIC_100_noun_classes.csv; the ones beside "
        "the annotations if not given",
    )


def read_vocabulary(
    classes: list[Path] | None, annotations: Path | None, dataset: str
) -> Vocabulary | None:
    """The class files; None for datasets without them.

    Raises:
        ValueError: a file is not there, or is another kind of file.
    """
    if classes is None and annotations is not None and dataset in CSV_DATASETS:
        names = (f"EPIC_100_{task}_classes.csv" for task in ("verb", "noun"))
        classes = [annotations.parent / name for name in names]
    if classes is None:
        return None
    for path in classes:
        if not path.is_file():
            raise ValueError(f"{path}: no such file; name the class files by --classes")
    return Vocabulary.read(*classes)


def read_clips(path: Path, dataset: str, vocabulary: Vocabulary | None) -> list[Clip]:
    """Clips of an annotation of one of ``DATASETS``."""
    if dataset not in CSV_DATASETS:
        return READERS[dataset](path)
    if vocabulary is None:
        raise ValueError("the class files are needed: name them by --classes")
    return read_ek100(path, vocabulary)


def fail(code: int, error: Exception) -> NoReturn:
    """One line on stderr, and the exit code."""
    print(f"error: {error}", file=sys.stderr)
    raise SystemExit(code)
