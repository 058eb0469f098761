"""A small OakInk2 in the published layout, with joints computed beforehand, for tests.

Three sequences of 12 images (numbers 100, 104, ... 144) and, on the same clock, motion
capture frames 100..147. The egocentric camera stands 1 m behind the world's origin.
"""

import json
import pickle
from pathlib import Path

import numpy as np
import torch
from PIL import Image

SEQUENCES = {
    "train": "scene_01__A001/seq__aaaaaaaaaaaaaaaaaaaa__2023-04-27-18-43-58",
    "val": "scene_01__A003/seq__bbbbbbbbbbbbbbbbbbbb__2023-04-15-11-27-51",
    "test": "scene_02__A004/seq__cccccccccccccccccccc__2023-04-26-20-27-29",
}
# key as in the files -> primitive
PROGRAM = {
    "(None, (100, 120))": "pour",
    "((110, 130), (104, 140))": "unscrew",
    "((120, 130), None)": "hold",
    "( None, (130,140) )": "?(unk)",
    "((136, 200), None)": "pour",
}
EGO_SERIAL = "000123"
IMAGE_IDS = range(100, 148, 4)
MOCAP_IDS = range(100, 148)


def world_joints() -> np.ndarray:
    """(48, 2, 21, 3): joint j of hand h at (j / 100, h / 10, frame / 1000)."""
    joints = np.zeros((len(MOCAP_IDS), 2, 21, 3), np.float32)
    joints[..., 0] = np.arange(21) / 100
    joints[..., 1] = np.arange(2)[:, None] / 10
    joints[..., 2] = np.array(MOCAP_IDS)[:, None, None] / 1000
    return joints


def annotation() -> dict:
    """Content of a sequence's pickle, as far as it is read."""
    intrinsics = np.array([[400.0, 0, 424], [0, 410, 240], [0, 0, 1]])
    extrinsics = np.eye(4)
    extrinsics[2, 3] = 1.0
    mano = {}
    for side in ("lh", "rh"):
        mano[f"{side}__pose_coeffs"] = torch.zeros(1, 16, 4)
        mano[f"{side}__tsl"] = torch.full((1, 3), 0.25)
        mano[f"{side}__betas"] = torch.zeros(1, 10)
    return {
        "cam_def": {"000999": "allocentric_top", EGO_SERIAL: "egocentric"},
        "cam_selection": ["allocentric_top", "egocentric"],
        "frame_id_list": list(IMAGE_IDS),
        "mocap_frame_id_list": list(MOCAP_IDS),
        "cam_intr": {"egocentric": {i: intrinsics for i in IMAGE_IDS}},
        "cam_extr": {"egocentric": {i: extrinsics for i in IMAGE_IDS}},
        "raw_mano": {i: mano for i in MOCAP_IDS},
    }


def write_oakink2(root: Path) -> Path:
    for split, sequence in SEQUENCES.items():
        (root / "split").mkdir(parents=True, exist_ok=True)
        (root / "split" / f"{split}.txt").write_text(sequence)
        write_sequence(root, sequence)
    targets = {sequence: "Open and pour." for sequence in SEQUENCES.values()}
    (root / "program" / "task_target.json").write_text(json.dumps(targets))
    return root


def write_sequence(root: Path, sequence: str) -> None:
    token = sequence.replace("/", "++")
    images = root / "data" / token / EGO_SERIAL
    for folder in (
        images,
        root / "anno_preview",
        root / "program" / "program_info",
        root / "program" / "desc_info",
        root / "joints",
    ):
        folder.mkdir(parents=True, exist_ok=True)
    for number in IMAGE_IDS:
        Image.new("RGB", (106, 60), (number, 60, 60)).save(images / f"{number:06d}.jpg")
    info = {key: {"primitive": name, "obj_list": []} for key, name in PROGRAM.items()}
    (root / "program" / "program_info" / f"{token}.json").write_text(json.dumps(info))
    text = {"(None, (100, 120))": {"seg_desc": "Pour tea.", "seg_desc_zh": "倒茶。"}}
    (root / "program" / "desc_info" / f"{token}.json").write_text(json.dumps(text))
    with (root / "anno_preview" / f"{token}.pkl").open("wb") as stream:
        pickle.dump(annotation(), stream)
    valid = np.ones((len(MOCAP_IDS), 2), bool)
    valid[4, 1] = False  # frame 104, right hand
    np.savez(
        root / "joints" / f"{token}.npz",
        joints_world=world_joints(),
        valid=valid,
        frame_id=np.array(MOCAP_IDS),
    )
