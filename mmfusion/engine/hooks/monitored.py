"""The metric that a hook watches, by its name."""

from collections.abc import Mapping

import numpy as np

from mmfusion.utils.errors import InputError


def find_metric(metrics: Mapping[str, float] | None, name: str, option: str) -> float:
    """The value of ``name``, or of the one key that ends with ``/<name>``.

    Keys may begin with the protocol that a number was measured by, such as
    ``generic/action/top1``; the metric that is watched stays ``action/top1``. Where
    keys of subsets end so too (``unseen/action/top1``), the shortest protocol counts.

    Args:
        metrics: what the validation measured.
        name: of the metric, with or without protocol.
        option: where the name was given, for the error.

    Raises:
        ValueError: no key or more than one is meant.
    """
    metrics = {key: x for key, x in (metrics or {}).items() if np.ndim(x) == 0}
    if name in metrics:
        return float(metrics[name])
    found = [key for key in metrics if key.endswith(f"/{name}")]
    depth = min((key.count("/") for key in found), default=0)
    found = [key for key in found if key.count("/") == depth]
    if len(found) != 1:
        raise InputError(
            f"{option} is {name!r}, the validation measured {sorted(metrics)}"
        )
    return float(metrics[found[0]])
