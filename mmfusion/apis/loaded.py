"""A model with all that belongs to it, and how its weights get into it."""

from dataclasses import dataclass
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log
from torch import nn

from mmfusion.models.protocols import HasClasses, HasEncoders, HasHeads
from mmfusion.utils.errors import CheckpointError
from mmfusion.weights import fit
from mmfusion.weights.files import shown, unwrap


@dataclass
class LoadedModel:
    """A model with all that is needed to use it.

    Attributes:
        model: with its weights, in evaluation mode, on the CPU.
        config: at least ``model`` and ``default_scope``; all of it where a config file
            was given.
        pipeline: config of each transform of the test pipeline, in turn; empty where
            nothing said it.
        classes: names by task, in the order of the scores.
        streams: names of what the model reads, such as ``("video", "skeleton")``.
        card: as :func:`mmfusion.engine.runner.card.run_card` describes it.
        path: the file of the weights.
    """

    model: nn.Module
    config: Config
    pipeline: list[dict[str, Any]]
    classes: dict[str, list[str]]
    streams: tuple[str, ...]
    card: dict[str, Any]
    path: str


def finish(
    model: nn.Module, content: dict[str, Any], card: dict[str, Any], name: str
) -> LoadedModel:
    """Put weights into a model of a checked card.

    Args:
        model: built from the card. content: of the file ``name``.

    Raises:
        CheckpointError: the weights are not those of the model.
    """
    _check_card(card, model, name)
    put_in(model, content, name)
    config = Config(dict(default_scope="mmfusion", model=card["model"]))
    pipeline, streams = card["pipeline"], tuple(card["streams"])
    classes = completed(card["classes"], model, name)
    print_log(f"model: {shown(name)}", "current")
    return LoadedModel(model, config, pipeline, classes, streams, card, name)


def _check_card(card: dict[str, Any], model: nn.Module, name: str) -> None:
    """Refuse streams, tasks and names of a card that its model does not have."""
    streams = list(model.encoders) if isinstance(model, HasEncoders) else []
    if card["streams"] != streams:
        raise CheckpointError(
            f"{shown(name)}: its card's streams are {card['streams']!s:.80}, its model"
            f" reads {streams}"
        )
    for task, names in card["classes"].items():
        if isinstance(model, HasHeads) and task not in model.heads:
            raise CheckpointError(
                f"{shown(name)}: its card has classes of {task!r:.40}, its model the"
                f" tasks {[*model.heads]}"
            )
        twice = next((one for one in names if names.count(one) > 1), None)
        if twice is not None:
            raise CheckpointError(
                f"{shown(name)}: its card names {twice!r:.40} twice as a class of"
                f" {task!r:.40}; expected another name for each"
            )


def put_in(model: nn.Module, content: dict[str, Any], name: str) -> None:
    """Copy the weights of a file into a model, all of them; errors name the file."""
    weights, _ = fit(unwrap(content, shown(name)), model, shown(name))
    model.load_state_dict({**model.state_dict(), **weights})


def completed(
    classes: dict[str, list[str]], model: nn.Module, name: str
) -> dict[str, list[str]]:
    """Names of the classes of each head; numbers where there are none.

    Raises:
        CheckpointError: another number of names than of scores.
    """
    if not isinstance(model, HasHeads):
        return classes
    found = {}
    for task, head in model.heads.items():
        count = head.num_classes if isinstance(head, HasClasses) else 0
        names = classes.get(task) or [str(index) for index in range(count)]
        if count and len(names) != count:
            raise CheckpointError(
                f"{shown(name)}: it names {len(names)} classes of {task!r}, its model"
                f" scores {count}"
            )
        found[task] = names
    return found
