"""Splits, sequences and twin blocks."""

from collections import Counter

import pytest

from mmfusion.tinyego import ACTIONS, WorldConfig, plan_world

CONFIG = WorldConfig(num_train=50, num_val=36, num_test=12)


def test_splits_have_the_clips_asked_for_and_no_common_subject() -> None:
    plans = plan_world(CONFIG)
    clips = Counter()
    subjects: dict[str, set[int]] = {"train": set(), "val": set(), "test": set()}
    for plan in plans:
        clips[plan.split] += len(plan.clips)
        subjects[plan.split].add(plan.subject)
    assert clips == {"train": 50, "val": 36, "test": 12}
    assert sum(map(len, subjects.values())) == len(set.union(*subjects.values()))


def test_paths_are_unique() -> None:
    paths = [plan.path for plan in plan_world(WorldConfig())]
    assert len(paths) == len(set(paths))


def test_evaluation_sequences_hold_complete_twin_blocks() -> None:
    for plan in plan_world(CONFIG):
        if plan.split == "train":
            scenes = [clip.scene for clip in plan.clips]
            assert len(scenes) == len(set(scenes))
            continue
        assert sorted(clip.action.index for clip in plan.clips) == list(range(12))
        for scene in {clip.scene for clip in plan.clips}:
            twins = [c.action for c in plan.clips if c.scene == scene]
            look = twins[0].verb.look
            assert {a.index for a in twins} == {
                a.index for a in ACTIONS if a.verb.look == look
            }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_val": 100}, "num_val is 100; expected a multiple of 12"),
        ({"num_test": -12}, "num_test is -12"),
        ({"num_train": -1}, "num_train is -1"),
        ({"height": 20}, "height is 20"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_bad_parameters_are_named(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        WorldConfig(**arguments)
