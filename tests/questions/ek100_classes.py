"""A few classes in the words of EPIC-KITCHENS-100, for tests without its files."""

import csv
from pathlib import Path

from mmfusion.datasets.annotation import load_annotation
from mmfusion.layouts.epic_kitchens import read_classes
from mmfusion.questions.clips import Clip, clips_of
from mmfusion.questions.vocabulary import Vocabulary
from tests.ek100_files import HEAD, prepare_ek100, segment_row, write_csv

VERBS = """id,key,instances,category
0,take,"['collect-from', 'fetch', 'grab', 'pick-up', 'take', 'take-from']",retrieve
1,put,"['lay-down', 'leave', 'place', 'put', 'put-down', 'put-on', 'return']",leave
2,wash,"['clean', 'clean-up', 'rinse', 'wash', 'wash-up', 'wipe']",clean
3,turn-on,"['light', 'start', 'switch-on', 'turn-on', 'water-on']",access
4,cut,"['chop', 'cut', 'cut-off', 'dice', 'halve', 'slice']",split
"""
NOUNS = """id,key,instances,category
0,tap,"['tap', 'tap:water', 'flow:tap']",appliances
1,plate,"['plate', 'dish', 'plate:pasta', 'edge:plate', 'saucer']",crockery
2,knife,"['knife', 'knife:bread', 'blade']",cutlery
3,board:chopping,"['board:chopping', 'board:cutting', 'pad', 'board']",utensils
4,can,"['can', 'can:tin', 'tin']",containers
5,tomato,"['tomato', 'tomato:cherry']",vegetables
"""
ANNOTATION = """narration_id,narration,verb,verb_class,noun,noun_class
P01_01_0,take plate,take,0,plate,1
P01_01_1,put down plate,put-down,1,plate,1
P01_01_2,wash chopping board,wash,2,board:chopping,3
P01_01_3,turn on tap,turn-on,3,tap,0
P01_01_4,slice cherry tomatoes,slice,4,tomato:cherry,5
P01_01_5,take plate,take,0,plate,1
P02_01_0,pick up bread knife,pick-up,0,knife:bread,2
P02_01_1,open can,place,1,can,4
"""


def write_ek100(folder: Path) -> Path:
    """An annotation of these clips, split val; returns its path."""
    (folder / "EPIC_100_verb_classes.csv").write_text(VERBS)
    (folder / "EPIC_100_noun_classes.csv").write_text(NOUNS)
    rows = []
    for row in csv.reader(ANNOTATION.splitlines()[1:]):
        times = segment_row(row[0], 1.0, 2.0, 0, 0)[:8]
        rows.append([*times, *row[1:], "[]", "[]"])
    write_csv(folder / "EPIC_100_validation.csv", [HEAD, *rows])
    prepare_ek100(folder, "--actions", "none")
    return folder / "mmfusion/annotation.json"


def read_ek100(path: Path) -> list[Clip]:
    """The clips of such an annotation."""
    metainfo, records = load_annotation(str(path))
    return clips_of(metainfo, records, str(path))


def vocabulary_of(folder: Path) -> Vocabulary:
    """The classes of a folder with class files."""
    classes = read_classes(folder)
    return Vocabulary(classes.verb, classes.noun)
