"""A small EPIC-KITCHENS-100 of csv files, for tests to break."""

import csv
from pathlib import Path

from tools.data.ek100 import prepare

TRAIN = [
    # id, start, stop, verb, noun
    ("P01_01_0", 0.14, 3.37, 0, 1),
    ("P01_01_1", 4.0, 6.5, 1, 0),
    ("P02_101_0", 1.0, 2.0, 1, 10),
]
VAL = [("P03_02_0", 0.0, 1.89, 0, 1), ("P03_02_1", 1.56, 2.45, 0, 0)]
TEST = [("P04_103_0", 2.86, 3.87, 0, 0)]
NOUNS = ["tap", "board:chopping", *(f"n{number}" for number in range(2, 11))]
HEAD = [
    *("narration_id", "participant_id", "video_id", "narration_timestamp"),
    *("start_timestamp", "stop_timestamp", "start_frame", "stop_frame"),
    *("narration", "verb", "verb_class", "noun", "noun_class"),
    *("all_nouns", "all_noun_classes"),
]


def write_csv(path: Path, rows: list) -> None:
    with open(path, "w", newline="", encoding="utf-8") as stream:
        csv.writer(stream, lineterminator="\n").writerows(rows)


def segment_row(name: str, start: float, stop: float, verb: int, noun: int) -> list:
    """The 15 columns of one segment, as published."""
    video = name.rpartition("_")[0]
    rate = 50 if len(video.split("_")[1]) == 3 else 60
    clock = [f"00:00:{second:05.2f}" for second in (start, stop)]
    frames = [max(1, int(start * rate)), int(stop * rate)]
    words = ["do a thing", "do", verb, "thing", noun, "['thing']", f"[{noun}]"]
    return [name, video[:3], video, "", *clock, *frames, *words]


def make_ek100(root: Path) -> Path:
    """Write the official files under ``root`` and give it back."""
    root.mkdir(parents=True, exist_ok=True)
    for name, rows in (("train", TRAIN), ("validation", VAL)):
        table = [HEAD, *(segment_row(*row) for row in rows)]
        write_csv(root / f"EPIC_100_{name}.csv", table)
    test = [HEAD[:8], *(segment_row(*row)[:8] for row in TEST)]
    write_csv(root / "EPIC_100_test_timestamps.csv", test)
    words = {"verb": (["take", "turn-on"], "do"), "noun": (NOUNS, "thing")}
    for task, (names, word) in words.items():
        rows = [(i, name, [name, word], "any") for i, name in enumerate(names)]
        head = ("id", "key", "instances", "category")
        write_csv(root / f"EPIC_100_{task}_classes.csv", [head, *rows])
    write_csv(root / "EPIC_100_tail_verbs.csv", [["verb"], [1]])
    write_csv(root / "EPIC_100_tail_nouns.csv", [["noun"], [0], [10]])
    for split, person in (("validation", "P03"), ("test", "P04")):
        path = root / f"EPIC_100_unseen_participant_ids_{split}.csv"
        write_csv(path, [["participant_id"], [person]])
    videos = [(v, 10.0, 50.0, "64x64") for v in ("P01_01", "P02_101", "P03_02")]
    head = ("video_id", "duration", "fps", "resolution")
    write_csv(root / "EPIC_100_video_info.csv", [head, *videos, ("P04_103", 9, 50, "")])
    return root


def prepare_ek100(root: Path, *options: str) -> None:
    """Write the annotation of the files under ``root``, media or not."""
    assert prepare.main(["--root", str(root), "--keep-absent", *options]) == 0


def edit(path: Path, old: str, new: str) -> None:
    """Replace a piece of a file that is surely there."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
