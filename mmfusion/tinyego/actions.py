"""Actions of TinyEgo, and what each stream can know of them.

An action is a verb done to a noun. `Verb.look` names what the camera sees of the verb:
two verbs with one look differ only in finger motion that the object hides. The noun is
never visible in the hands. Every ceiling follows from these two lines.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Verb:
    """A verb and its look: verbs that share a look are the same to a camera."""

    name: str
    look: str


@dataclass(frozen=True)
class Action:
    """One class: its place in TinyEgo's own order and H2O's number for it (1..36)."""

    index: int
    verb: Verb
    noun: str
    h2o_id: int

    @property
    def name(self) -> str:
        return f"{self.verb.name} {self.noun}"


VERBS = (
    Verb("grab", look="grab"),
    Verb("place", look="place"),
    Verb("open", look="twist"),
    Verb("close", look="twist"),
)
NOUNS = ("lotion", "milk", "chips")

# from H2O's class table, where these twelve are ordinary classes
_H2O_IDS = {
    "grab": {"lotion": 3, "milk": 5, "chips": 7},
    "place": {"lotion": 11, "milk": 13, "chips": 15},
    "open": {"lotion": 17, "milk": 18, "chips": 19},
    "close": {"lotion": 20, "milk": 21, "chips": 22},
}

ACTIONS = tuple(
    Action(len(NOUNS) * v + n, verb, noun, _H2O_IDS[verb.name][noun])
    for v, verb in enumerate(VERBS)
    for n, noun in enumerate(NOUNS)
)
