"""3D joints of OakInk2's hands from their MANO parameters: the door to manotorch.

MANO is licensed, so neither it nor manotorch is a dependency: only who asks for joints
to be computed needs them.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from mmfusion.utils.errors import InputError, MissingDataError, MissingPackageError
from mmfusion.utils.schema import shown

SIDES = {"left": "lh", "right": "rh"}  # in the order of the caches
_BATCH = 512
_HELP = (
    "install manotorch (github.com/lixiny/manotorch), register at mano.is.tue.mpg.de"
    " and put MANO_LEFT.pkl and MANO_RIGHT.pkl into FOLDER/models; or give joints"
    " computed elsewhere by --joints"
)

# (poses (t, 16, 4), shapes (t, 10)) -> joints (t, 21, 3) about the wrist
HandModel = Callable[[np.ndarray, np.ndarray], np.ndarray]


@lru_cache(maxsize=1)
def load_hand_models(folder: Path) -> dict[str, HandModel]:
    """MANO of both hands as OakInk2 uses it: quaternions, centred on the wrist.

    Loaded once in a process, since a converter asks for it once a sequence.

    Args:
        folder: has ``models/MANO_LEFT.pkl`` and ``models/MANO_RIGHT.pkl``.

    Raises:
        MissingPackageError: manotorch is not installed.
        MissingDataError: a model file is missing.
    """
    for side in SIDES:
        path = folder / "models" / f"MANO_{side.upper()}.pkl"
        if not path.is_file():
            raise MissingDataError(f"MANO's {path} is missing: {_HELP}")
    try:
        from manotorch.manolayer import ManoLayer
    except ImportError as error:
        raise MissingPackageError(
            f"manotorch does not import ({error}): {_HELP}"
        ) from error
    layers = {
        side: ManoLayer(
            mano_assets_root=str(folder),
            rot_mode="quat",
            side=side,
            center_idx=0,
            use_pca=False,
            flat_hand_mean=True,
        )
        for side in SIDES
    }
    return {side: _as_function(layer) for side, layer in layers.items()}


def _as_function(layer: Any) -> HandModel:
    import torch

    def joints_of(poses: np.ndarray, shapes: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            output = layer(
                pose_coeffs=torch.from_numpy(poses), betas=torch.from_numpy(shapes)
            )
        return output.joints.numpy()

    return joints_of


def joints_of_hands(
    raw_mano: Mapping[int, Mapping[str, Any]],
    frame_id: Sequence[int],
    models: Mapping[str, HandModel],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """World joints of both hands at the given frames.

    Args:
        raw_mano: the annotation's entry of that name; by frame,
            ``<lh|rh>__pose_coeffs`` (1, 16, 4) quaternions w x y z,
            ``<lh|rh>__tsl`` (1, 3) metres and ``<lh|rh>__betas`` (1, 10).
        frame_id: frames wanted; those without an entry are left out.
        models: of :func:`load_hand_models`.

    Raises:
        InputError: a parameter is missing or has another shape; names frame and key.

    Returns:
        Joints (t, 2, 21, 3) in metres, world frame, left hand first, zeros where a hand
        has no entry; valid (t, 2); frame_id (t,).
    """
    if not isinstance(raw_mano, Mapping):
        raise InputError(f"raw_mano is {shown(raw_mano)}, expected a dict by frame")
    ids = [number for number in frame_id if number in raw_mano]
    for number in ids:
        if not isinstance(raw_mano[number], Mapping):
            raise InputError(
                f"raw_mano of frame {number} is {shown(raw_mano[number])}, expected a"
                " dict of parameters"
            )
    joints = np.zeros((len(ids), len(SIDES), 21, 3), np.float32)
    valid = np.zeros((len(ids), len(SIDES)), bool)
    for place, (side, prefix) in enumerate(SIDES.items()):
        rows = [
            row
            for row, number in enumerate(ids)
            if raw_mano[number].get(f"{prefix}__pose_coeffs") is not None
        ]
        for first in range(0, len(rows), _BATCH):
            some = rows[first : first + _BATCH]
            entries = {ids[row]: raw_mano[ids[row]] for row in some}
            poses = _stack(entries, f"{prefix}__pose_coeffs", (16, 4))
            shapes = _stack(entries, f"{prefix}__betas", (10,))
            offsets = _stack(entries, f"{prefix}__tsl", (3,))
            joints[some, place] = models[side](poses, shapes) + offsets[:, None]
        valid[rows, place] = True
    valid &= np.isfinite(joints).all(axis=(2, 3))
    joints = np.where(valid[:, :, None, None], joints, 0)
    return joints, valid, np.array(ids, np.int64)


def _stack(
    entries: Mapping[int, Mapping[str, Any]], key: str, shape: tuple[int, ...]
) -> np.ndarray:
    """One parameter of all frames, (t, *shape) float32."""
    arrays = []
    for number, entry in entries.items():
        try:
            array = np.asarray(entry.get(key), np.float32)
        except (TypeError, ValueError, RuntimeError):
            array = np.zeros(0, np.float32)
        if array.size != np.prod(shape):
            raise InputError(
                f"raw_mano of frame {number}: {key} is {shown(entry.get(key))},"
                f" expected numbers (1, {shape})"
            )
        arrays.append(array.reshape(shape))
    return np.stack(arrays)
