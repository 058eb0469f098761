"""TinyEgo: a generated egocentric world that stands in for data nobody may share.

It imports numpy and OpenCV only, so that its worker processes start quickly.
"""

from .actions import ACTIONS, NOUNS, VERBS, Action, Verb
from .ceilings import (
    ClipContent,
    best_accuracy,
    ceilings,
    designed_ceilings,
    expected_ceilings,
)
from .generator import CEILINGS, LAYOUTS, MANIFEST, generate
from .plan import ClipPlan, SequencePlan, WorldConfig, plan_world
from .recording import ActedClip, Recording, record
from .reliability import REGIMES, Reliability, Shown

__all__ = [
    "ACTIONS",
    "CEILINGS",
    "LAYOUTS",
    "MANIFEST",
    "NOUNS",
    "REGIMES",
    "VERBS",
    "Action",
    "ClipContent",
    "ClipPlan",
    "Recording",
    "Reliability",
    "ActedClip",
    "SequencePlan",
    "Shown",
    "Verb",
    "WorldConfig",
    "best_accuracy",
    "ceilings",
    "designed_ceilings",
    "expected_ceilings",
    "generate",
    "plan_world",
    "record",
]
