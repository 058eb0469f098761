"""Folds: each clip is tested once, whole subjects and scenes, val from training."""

from dataclasses import replace

import pytest

from mmfusion.datasets.folds import assign_folds
from mmfusion.datasets.splits import SplitItem
from mmfusion.utils.errors import MMFusionError


def clips(num=60, classes=3, **more) -> list[SplitItem]:
    """Clips of as many videos; ``more`` are functions of a clip's number."""
    return [
        SplitItem(
            f"clips.csv:{number + 2}",
            f"class{number % classes}",
            f"v{number}",
            **{key: function(number) for key, function in more.items()},
        )
        for number in range(num)
    ]


def names_in(items, splits, key, name):
    pairs = zip(items, splits.names, strict=True)
    return {getattr(item, key) for item, split in pairs if split == name}


@pytest.mark.parametrize("key", ["subject", "scene"])
def test_nothing_of_a_tested_subject_or_scene_is_trained_on(key):
    pytest.importorskip("sklearn", reason="it deals the folds")
    items = clips(**{key: lambda n: f"p{n // 3 % 11}"})
    found = assign_folds(items, 4, seed=1)
    tested = [splits.names.index("test") for splits in found]
    assert len(tested) == 4 and f"by {key}, seed 1" in found[0].rule
    columns = list(zip(*(splits.names for splits in found), strict=True))
    assert all(column.count("test") == 1 for column in columns)
    for splits in found:
        sides = [names_in(items, splits, key, s) for s in ("train", "val", "test")]
        assert all(sides) and sum(map(len, sides)) == 11
        assert names_in(items, splits, "label", "test") == {
            f"class{number}" for number in range(3)
        }
    assert found == assign_folds(items, 4, seed=1)


def test_without_groups_each_class_is_dealt_evenly():
    pytest.importorskip("sklearn", reason="it deals the folds")
    found = assign_folds(clips(), 5, val_fraction=0)
    for splits in found:
        tested = [n for n, name in enumerate(splits.names) if name == "test"]
        assert [sum(n % 3 == label for n in tested) for label in range(3)] == [4] * 3
        assert any("no val split" in note for note in splits.notes)


def test_given_folds_and_vals_are_kept():
    items = clips(6, 2, fold=lambda n: n // 2, val_of=lambda n: (1, 2) if n < 2 else ())
    found = assign_folds(items, 3)
    assert found[0].names == ["test"] * 2 + ["train"] * 4
    assert found[2].names == ["val"] * 2 + ["train"] * 2 + ["test"] * 2
    assert any("fold 0: no val_of names it" in note for note in found[0].notes)
    assert found[0].rule == "as given"
    own = [
        replace(item, scene="s", subject=f"p{n // 3}") for n, item in enumerate(items)
    ]
    notes = assign_folds(own, 3)[0].notes
    assert any("the subject 'p0' are in fold 0 and fold 1" in note for note in notes)


@pytest.mark.parametrize(
    ("items", "message"),
    [
        (clips(split=lambda n: "test"), "csv:2: split is 'test', and --folds makes"),
        (clips(fold=lambda n: n % 4), "csv:5: there is a fold 3; expected 0 to 2"),
        (clips(fold=lambda n: n % 2), "no clip has the fold 2"),
        (clips(fold=lambda n: n or None), "csv:2: no fold, and 59 of 60"),
        (clips(fold=lambda n: n % 3, val_of=lambda n: (1,)), "csv:3: fold 1 tests"),
        (clips(scene=lambda n: "ab"[n % 2]), "all 60 clips are 2 when .* by scene"),
        (clips(4, 4), "no class has 3 clips"),
        (clips(val_of=lambda n: (n % 3,)), "csv:2: val_of says .* no fold tests it"),
        (
            clips(fold=lambda n: n % 3, val_of=lambda n: ((n + 1) % 3, (n + 2) % 3)),
            "fold 0 trains on no clip: it tests 20 and validates on 40 of 60",
        ),
    ],
)
def test_what_cannot_be_folded_is_one_line(items, message):
    with pytest.raises(MMFusionError, match=message):
        assign_folds(items, 3)


def test_parts_of_a_video_are_never_on_two_sides():
    items = [replace(item, group="v") for item in clips(6, 2, fold=lambda n: n // 2)]
    with pytest.raises(MMFusionError, match="parts of 'v' are in fold 0 and fold 1"):
        assign_folds(items, 3)
