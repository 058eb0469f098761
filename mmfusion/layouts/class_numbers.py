"""Class names of a list that has numbers only: the numbers themselves."""

from collections.abc import Iterable

from mmfusion.utils.errors import AnnotationError


def names_of_numbers(
    labels: Iterable[tuple[int, str]], count: int | None, remedy: str
) -> list[str]:
    """Names of the classes 0, 1, 2...

    Args:
        labels: each label with its place, as ``file:line``.
        count: how many classes there are; None where nobody said, and then every class
            up to the largest must have a clip: one label 20240115 is a date and not
            the last of 20 million classes.
        remedy: way to say how many there are, for the error.

    Raises:
        AnnotationError: a label is below 0, or leaves a gap below it.
    """
    if count is not None:
        return [str(number) for number in range(count)]
    places = dict(labels)
    lacking = [number for number in range(len(places)) if number not in places]
    if lacking:
        wrong = min(places) if min(places) < 0 else max(places)
        raise AnnotationError(
            f"{places[wrong]}: the label is {wrong}, but no clip has the label"
            f" {lacking[0]}; expected labels from 0 on without a gap. Labels count from"
            f" 0: subtract 1 if these count from 1. If there are such classes, {remedy}"
        )
    return [str(number) for number in range(len(places))]
