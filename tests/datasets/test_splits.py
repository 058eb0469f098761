"""Splits: nobody and no video on both sides, each class on both, seeded, and told."""

from collections import Counter

import pytest

from mmfusion.datasets.splits import SplitItem, assign_splits
from mmfusion.utils.errors import MMFusionError


def clips(num: int = 40, classes: int = 4, **more) -> list[SplitItem]:
    """Clips of as many videos; ``more`` are functions of a clip's number."""
    return [
        SplitItem(
            f"clips.csv:{number + 2}",
            f"class{number % classes}",
            more.get("group", str)(number),
            more.get("subject", lambda _: None)(number),
            more.get("split", lambda _: None)(number),
        )
        for number in range(num)
    ]


def sides(items, names, key) -> dict[str, set]:
    found: dict[str, set] = {}
    for item, name in zip(items, names, strict=True):
        found.setdefault(name, set()).add(getattr(item, key))
    return found


def test_each_class_is_cut_by_the_same_shares():
    items = clips(40)
    made = assign_splits(items, seed=1)
    counts = Counter(zip(made.names, [i.label for i in items], strict=True))
    assert counts == {
        (name, f"class{label}"): share
        for label in range(4)
        for name, share in (("train", 7), ("val", 1), ("test", 2))
    }
    assert "class by class, seed 1" in made.rule
    assert any("splits know no subject" in note for note in made.notes)
    assert made.names == assign_splits(items, seed=1).names
    assert made.names != assign_splits(items, seed=2).names


@pytest.mark.parametrize("people", [3, 5, 11])
def test_nobody_is_in_two_splits(people):
    items = clips(60, subject=lambda number: f"p{number % people}")
    made = assign_splits(items)
    found = sides(items, made.names, "subject")
    assert {*found} == {"train", "val", "test"}
    assert sum(map(len, found.values())) == people
    assert "by subject" in made.rule


def test_with_two_people_the_test_has_one_of_them():
    items = clips(40, subject=lambda number: f"p{number // 20}")
    made = assign_splits(items)
    found = sides(items, made.names, "subject")
    assert found["test"].isdisjoint(found["train"] | found["val"])
    assert any("too few subjects" in note for note in made.notes)


def test_one_person_is_no_subject():
    made = assign_splits(clips(40, subject=lambda number: "me"))
    assert "class by class" in made.rule and "only one subject" in made.notes[0]


@pytest.mark.parametrize("subject", [lambda n: None, lambda n: f"p{n // 3 % 7}"])
def test_parts_of_a_video_stay_together(subject):
    items = clips(60, group=lambda number: f"video{number // 3}", subject=subject)
    found = sides(items, assign_splits(items).names, "group")
    assert {*found} == {"train", "val", "test"}
    assert sum(map(len, found.values())) == 20


def test_given_splits_are_kept_and_val_comes_out_of_train():
    items = clips(40, split=lambda number: "test" if number % 10 < 2 else "train")
    made = assign_splits(items, val_fraction=0.25)
    assert all(
        item.split == name if item.split == "test" else name != "test"
        for item, name in zip(items, made.names, strict=True)
    )
    assert Counter(made.names)["val"] == 8
    kept = assign_splits(items, val_fraction=0)
    assert kept.names == [item.split for item in items] and kept.rule == "as given"
    assert "no val split" in kept.notes[0]


def test_a_given_split_may_share_people_and_says_so():
    items = clips(
        40,
        split=lambda number: ("train", "val", "test", "train")[number // 10],
        subject=lambda number: "me",
    )
    assert "new people" in assign_splits(items).notes[0]


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([], "there is no clip"),
        (clips(9, split=lambda n: "train"), "all 9 clips are in the split 'train'"),
        (
            clips(9, split=lambda n: None if n == 4 else "train"),
            "csv:6: no split, and 8",
        ),
        (clips(9, subject=lambda n: "p" if n else None), "csv:2: no subject"),
        (clips(9, split=lambda n: ("val", "test")[n % 2]), "expected 'train' too"),
        (clips(9, classes=8), "csv:3: the class 'class1' has this clip only"),
        (clips(9, group=lambda n: "long.mp4"), "all 9 clips are parts of 'long.mp4'"),
        (
            clips(9, group=lambda n: "v", split=lambda n: ("train", "test")[n % 2]),
            "csv:3: parts of 'v' are in train and test",
        ),
    ],
)
def test_what_cannot_be_split_is_one_line(items, message):
    with pytest.raises(MMFusionError, match=message):
        assign_splits(items)


def test_a_class_on_one_side_is_told():
    items = clips(12, classes=3, subject=lambda n: f"p{n % 3}")
    notes = assign_splits(items).notes
    assert any(note.startswith("no clip to train on of: ") for note in notes)
