"""TinyEgo: a generated egocentric world that stands in for data nobody may share.

It imports numpy and OpenCV only, so that its worker processes start quickly.
"""

from .actions import ACTIONS, NOUNS, VERBS, Action, Verb
from .ceilings import ClipContent, best_accuracy, ceilings, designed_ceilings
from .generator import CEILINGS, LAYOUTS, MANIFEST, generate
from .plan import ClipPlan, SequencePlan, WorldConfig, plan_world
from .recording import ActedClip, Recording, record

__all__ = [
    "ACTIONS",
    "CEILINGS",
    "LAYOUTS",
    "MANIFEST",
    "NOUNS",
    "VERBS",
    "Action",
    "ClipContent",
    "ClipPlan",
    "Recording",
    "ActedClip",
    "SequencePlan",
    "Verb",
    "WorldConfig",
    "best_accuracy",
    "ceilings",
    "designed_ceilings",
    "generate",
    "plan_world",
    "record",
]
