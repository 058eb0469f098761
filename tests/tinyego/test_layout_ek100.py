"""The kitchen: EPIC-KITCHENS-100's files, and nothing in them that should be hidden."""

import csv
import hashlib
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from mmfusion.questions.records import SOURCES, load_questions
from mmfusion.tinyego import CEILINGS, LAYOUTS, generate
from mmfusion.tinyego.kitchen import (
    ACTIONS,
    CUE_RIGHT,
    FPS,
    UNTRAINED,
    clue,
    noun_look,
    plan_films,
)
from mmfusion.tinyego.kitchen_ceilings import (
    kitchen_ceilings,
    recall_ceiling,
    top1_ceiling,
)
from mmfusion.tinyego.kitchen_film import make_film
from tests.tinyego.conftest import KITCHEN

DEFAULT = LAYOUTS["ek100"].world.default


def _rows(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def _seconds(stamp: str) -> float:
    hours, minutes, seconds = stamp.split(":")
    return 3600 * int(hours) + 60 * int(minutes) + float(seconds)


def test_official_files_and_columns_are_there(ek100_root: Path) -> None:
    rows = _rows(ek100_root / "EPIC_100_validation.csv")
    assert len(rows) == 12 and len(rows[0]) == 15
    hidden = _rows(ek100_root / "EPIC_100_test_timestamps.csv")
    assert len(hidden) == 12 and len(hidden[0]) == 8
    for task, count in (("verb", 6), ("noun", 12)):
        classes = _rows(ek100_root / f"EPIC_100_{task}_classes.csv")
        assert [int(row["id"]) for row in classes] == list(range(count))
    people = {row["participant_id"] for row in _rows(ek100_root / "EPIC_100_train.csv")}
    unseen = _rows(ek100_root / "EPIC_100_unseen_participant_ids_validation.csv")
    assert not people & {row["participant_id"] for row in unseen}


def test_seconds_frames_and_films_agree(ek100_root: Path) -> None:
    videos = {
        row["video_id"]: row for row in _rows(ek100_root / "EPIC_100_video_info.csv")
    }
    rates = set()
    for name in ("train", "validation", "test_timestamps"):
        for row in _rows(ek100_root / f"EPIC_100_{name}.csv"):
            start, stop = (_seconds(row[f"{k}_timestamp"]) for k in ("start", "stop"))
            rate = 50 if len(row["video_id"]) == 7 else 60
            rates.add(rate)
            assert int(row["start_frame"]) == max(1, round(start * rate))
            assert start < stop <= float(videos[row["video_id"]]["duration"])
    assert rates == {50, 60}
    video = next(iter(videos))
    path = ek100_root / "videos" / video[:3] / "videos" / f"{video}.MP4"
    with av.open(str(path)) as container:
        frames = [frame.pts for frame in container.decode(video=0)]
    assert len(frames) == round(float(videos[video]["duration"]) * FPS)


def test_questions_of_every_source_fit_the_annotation(ek100_root: Path) -> None:
    for split in ("train", "validation"):
        ids = [r["narration_id"] for r in _rows(ek100_root / f"EPIC_100_{split}.csv")]
        for source in SOURCES:
            path = ek100_root / f"questions/{source}_{split}.jsonl"
            found = load_questions(path, known=ids, needed=ids)
            assert {record.source for record in found.values()} == {source}


@pytest.mark.parametrize("source", SOURCES)
def test_no_question_holds_its_answer(ek100_root: Path, source: str) -> None:
    path = ek100_root / f"questions/{source}_train.jsonl"
    for record in load_questions(path).values():
        for question, answer in (
            (record.verb_question, record.verb_answer),
            (record.noun_question, record.noun_answer),
        ):
            for word in (answer or "").split():
                assert word not in question.lower()


def test_the_hidden_halves_leave_no_trace_in_the_film() -> None:
    plan = plan_films(replace(DEFAULT, num_train=0, num_val=24, num_test=0))[0]
    plan = replace(plan, clips=plan.clips[:3])
    twins = []
    for clip in plan.clips:
        alike = [
            action
            for action in ACTIONS
            if action.verb.look == clip.action.verb.look
            and noun_look(action) == noun_look(clip.action)
            and clue(action) != clue(clip.action)
        ]
        twins.append(replace(clip, action=alike[-1]))
    one = make_film(DEFAULT, plan)
    other = make_film(DEFAULT, replace(plan, clips=tuple(twins)))
    np.testing.assert_array_equal(one.images, other.images)
    assert [s.action for s in one.segments] != [s.action for s in other.segments]


def test_boxes_hold_what_is_drawn() -> None:
    plan = plan_films(replace(DEFAULT, num_train=2, num_val=0, num_test=0))[0]
    film = make_film(DEFAULT, plan)
    assert film.boxes.shape == (len(film.images), 3, 4)
    seen = film.boxes[film.boxes_valid]
    assert (seen[:, 2:] > seen[:, :2]).all() and (seen >= 0).all() and (seen <= 1).all()
    assert film.boxes_valid[:, 2].mean() > 0.8  # an object in all but the last frames
    assert not film.boxes_valid[-1].any() and not film.boxes[-1].any()
    # a hand that the tracker sees has a box, and its joints are in the picture
    assert film.boxes_valid[:, :2][film.valid].all()


def test_evaluation_is_balanced_over_what_is_hidden() -> None:
    films = plan_films(DEFAULT)
    counts = Counter(
        (clip.action.verb.look, noun_look(clip.action).name, clip.action.name)
        for film in films
        if film.split == "val"
        for clip in film.clips
    )
    assert sum(counts.values()) == 240
    cells: dict[tuple[str, str], set[int]] = {}
    for (verb, noun, _), count in counts.items():
        cells.setdefault((verb, noun), set()).add(count)
    assert all(len(found) == 1 for found in cells.values())
    trained = {c.action.name for f in films if f.split == "train" for c in f.clips}
    assert trained == {a.name for a in ACTIONS} - set(UNTRAINED)
    assert set(UNTRAINED) <= {name for _, _, name in counts}


def test_cues_are_right_as_often_as_they_say() -> None:
    clips = [clip for film in plan_films(DEFAULT) for clip in film.clips]
    right = [
        (
            c.cue.verb_look == c.action.verb.look,
            c.cue.noun_look == noun_look(c.action).name,
        )
        for c in clips
        if c.cue is not None
    ]
    assert len(right) == 744
    for share in np.mean(right, axis=0):
        assert abs(share - CUE_RIGHT) < 0.05  # over three standard errors


def test_ceilings_lie_beside_the_data(ek100_root: Path) -> None:
    content = json.loads((ek100_root / CEILINGS).read_text())["splits"]["val"]
    assert content["noun"]["video"] == content["noun"]["video+generic"] == 50.0
    assert content["noun"]["video+informative"] == 100.0
    assert content["anticipation"]["tau_a"] == 1.0


def test_ceilings_of_the_default_world() -> None:
    contents = [
        (clip.action.index, True)
        for film in plan_films(DEFAULT)
        if film.split == "val"
        for clip in film.clips
    ]
    found = kitchen_ceilings(contents)
    assert found["noun"]["video"] == 50.0 and found["noun"]["both"] == 50.0
    assert found["verb"]["skeleton"] == 100.0
    # right .6, its twin .4/11, any of ten others .4/11 each: then one of two
    assert found["noun"]["video+predicted"] == pytest.approx(60 + 40 * 10 / 11 / 2)
    assert found["action"]["both+informative"] == 100.0
    ahead = found["anticipation"]
    assert ahead["top1"]["noun"]["video"] == pytest.approx(100 * CUE_RIGHT / 2, abs=1)
    for task in ("action", "verb", "noun"):
        for table in ("top1", "class_mean_recall5"):
            row = ahead[table][task]
            assert row["chance"] < row["video"] <= row["video+informative"] <= 100


def test_ceilings_worked_by_hand() -> None:
    one, other = ACTIONS[0], ACTIONS[1]  # the same verb, two nouns
    clips = [
        (one, {"x": 0.7, "y": 0.3}),
        (one, {"x": 0.7, "y": 0.3}),
        (other, {"y": 1.0}),
    ]
    assert top1_ceiling(clips, "noun") == pytest.approx(100 * (1.4 + 1.0) / 3)
    assert top1_ceiling(clips, "verb") == pytest.approx(100.0)
    assert recall_ceiling(clips, "noun", k=1) == pytest.approx(100 * (0.7 + 1.0) / 2)
    with pytest.raises(ValueError, match="no clips"):
        kitchen_ceilings([])


def test_an_odd_width_is_refused() -> None:
    with pytest.raises(ValueError, match="107 x 60; layout ek100 expects both even"):
        plan_films(replace(DEFAULT, height=60))


@pytest.mark.slow
def test_the_same_bytes_again(ek100_root: Path, tmp_path: Path) -> None:
    generate(tmp_path, "ek100", KITCHEN, workers=2)

    def digests(root: Path) -> dict[str, str]:
        return {
            str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in root.rglob("*")
            if path.is_file()
        }

    assert digests(tmp_path) == digests(ek100_root)
