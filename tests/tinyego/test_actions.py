"""TinyEgo's classes are classes of H2O."""

from mmfusion.layouts.h2o import ACTIONS as H2O_ACTIONS
from mmfusion.tinyego import ACTIONS


def test_every_action_is_the_h2o_class_of_its_number() -> None:
    for action in ACTIONS:
        assert H2O_ACTIONS[action.h2o_id - 1] == (action.verb.name, action.noun)


def test_actions_count_from_zero_verb_by_verb() -> None:
    assert [action.index for action in ACTIONS] == list(range(12))
    assert ACTIONS[4].name == "place milk"
