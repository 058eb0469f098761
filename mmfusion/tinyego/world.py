"""World that a layout shows: it says what happens, the layout how it is written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from .actions import ACTIONS, Action
from .ceilings import ClipContent, ceilings, expected_ceilings
from .plan import SequencePlan, WorldConfig, plan_world
from .recording import Recording, record


class World(Protocol):
    """Actions, where they happen, how they are filmed, and what can be known of them.

    Attributes:
        default: the world that is made when nobody asks for another one.
        actions: every class of action, in the order of `Action.index`.
    """

    default: WorldConfig
    actions: Sequence[Action]

    def plan(self, config: WorldConfig) -> list[SequencePlan]:
        """All sequences of all splits, in a fixed order."""

    def film(self, config: WorldConfig, plan: SequencePlan) -> Any:
        """One sequence, with `segments` and one of `images` for each frame."""

    def bounds(
        self, config: WorldConfig, contents: Sequence[Any], where: str
    ) -> dict[str, Any]:
        """Ceilings of one split, percent per task and stream.

        Args:
            config: the world.
            contents: what the layout reads back from its files.
            where: name of the files, for errors.
        """


class TwinWorld:
    """Twelve actions in cut clips; those who are evaluated come in twins (plan.py)."""

    default = WorldConfig()
    actions: Sequence[Action] = ACTIONS

    def plan(self, config: WorldConfig) -> list[SequencePlan]:
        return plan_world(config)

    def film(self, config: WorldConfig, plan: SequencePlan) -> Recording:
        return record(config, plan)

    def bounds(
        self, config: WorldConfig, contents: Sequence[ClipContent], where: str
    ) -> dict[str, Any]:
        """Ceilings measured from the files, which must be those of the design.

        Where streams fail at random, those of the design: expectations.
        """
        measured, design = (
            ceilings(contents),
            expected_ceilings(config.video, config.hands),
        )
        if config.has_faults:
            return design
        for task, streams in design.items():
            for stream, designed in streams.items():
                if abs(measured[task][stream] - designed) > 1e-9:
                    raise RuntimeError(
                        f"{where}: the files give {stream} a ceiling of "
                        f"{measured[task][stream]:.2f} % for the {task}, the design "
                        f"{designed:.2f} %: the files were changed, or are not twins"
                    )
        return measured
