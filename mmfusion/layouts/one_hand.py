"""One hand for what shows one: two places, left and right, become a single place."""

import numpy as np

ONE_HAND = "hand"  # name of a hand of either side


def busiest(valid: np.ndarray) -> np.ndarray:
    """(t,) place of each frame's hand: of several, the one seen in most frames.

    A finder of hands that is unsure of the side puts the same hand now here, now there.

    Args:
        valid: (t, h) or (t, h, j) bool, True where seen.
    """
    seen = np.asarray(valid if valid.ndim == 2 else valid.any(axis=-1))  # (t, h)
    order = np.argsort(-seen.sum(axis=0), kind="stable")
    return order[seen[:, order].argmax(axis=1)]


def as_one_hand(array: np.ndarray, place: np.ndarray) -> np.ndarray:
    """(t, 1, ...) of an array (t, h, ...): the hand at ``place`` (t,) of each frame."""
    return array[np.arange(len(array)), place][:, None]
