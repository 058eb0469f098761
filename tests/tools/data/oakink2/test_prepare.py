"""The OakInk2 converter, and the dataset that reads what it wrote."""

import sys
import types

import numpy as np
import pytest
import torch

from mmfusion.datasets.annotation import load_annotation
from mmfusion.datasets.multimodal_dataset import MultiModalDataset
from tests.oakink2_files import SEQUENCES, write_oakink2
from tools.data.oakink2 import prepare

TOKEN = {split: name.replace("/", "++") for split, name in SEQUENCES.items()}


def run(root, *options: str) -> int:
    return prepare.main(["--root", str(root), "--joints", f"{root}/joints", *options])


@pytest.fixture
def root(tmp_path):
    return write_oakink2(tmp_path / "oakink2")


def test_dry_run_reports_and_writes_nothing(root, capsys):
    image = root / "data" / TOKEN["val"] / "000123" / "000108.jpg"
    image.unlink()
    before = sorted(root.rglob("*"))
    assert run(root, "--dry-run") == 0
    assert sorted(root.rglob("*")) == before
    text = capsys.readouterr().out
    assert "oakink2: 9 clips" in text
    lines = [line.split() for line in text.splitlines()]
    assert ["train", "3", "1", "68", "12/20/36", "3"] in lines
    assert ["pour", "2", "2", "2"] in lines and ["unscrew", "1", "1", "1"] in lines
    assert f"frames without a file: 1 ({SEQUENCES['val']} 1)" in text
    assert "hand valid, left: 100.00 % of 36 frames" in text
    assert "hand valid, right: 91.67 % of 36 frames" in text
    assert f"clamped ends: 3 ({SEQUENCES['train']}#4 199 -> 147" in text
    assert "dropped clips: 6" in text
    assert "3 transient primitive 'hold'" in text
    assert "3 unknown primitive '?(unk)'" in text


def test_writes_annotation_classes_and_caches(root):
    assert run(root) == 0
    out = root / "mmfusion"
    assert (out / "classes.csv").read_text() == (
        "class,train,val,test\npour,2,2,2\nunscrew,1,1,1\n"
    )
    metainfo, records = load_annotation(str(out / "annotation.json"))
    assert metainfo["classes"] == {"action": ["pour", "unscrew"]}
    first = records[0]
    assert first["text"] == {"narration": "Pour tea.", "task": "Open and pour."}
    assert first["frame_ids"] == [100, 104, 108, 112, 116]
    with np.load(root / first["skeleton"]["file"]) as cache:
        assert cache["frame_id"].tolist() == list(range(100, 148, 4))
        assert (cache["fps"], str(cache["sequence"])) == (120, SEQUENCES["train"])
        np.testing.assert_allclose(cache["keypoint"][1, 0, 0], [0, 0, 1.104], rtol=1e-6)


def test_dataset_reads_what_the_converter_wrote(root):
    run(root)
    _, records = load_annotation(str(root / "mmfusion/annotation.json"))
    for split in SEQUENCES:
        dataset = MultiModalDataset(
            "mmfusion/annotation.json", [], data_root=str(root), split=split
        )
        expected = [record for record in records if record["split"] == split]
        found = [dataset.get_record(index) for index in range(len(dataset))]
        assert found == expected
        assert dataset[0]["frame_dir_path"] == f"{root}/data/{TOKEN[split]}/000123"
        assert dataset[0]["skeleton_path"] == f"{root}/mmfusion/skeleton/{TOKEN[split]}.npz"


def test_second_run_needs_no_pickle(root, capsys):
    run(root)
    annotation = (root / "mmfusion/annotation.json").read_bytes()
    for path in (root / "anno_preview").iterdir():
        path.unlink()
    run(root)
    assert "caches at hand: 3" in capsys.readouterr().out
    assert (root / "mmfusion/annotation.json").read_bytes() == annotation


def test_workers_and_no_hands(root, capsys):
    assert prepare.main(["--root", str(root), "--workers", "2"]) == 0
    assert "sequences with hands: 0 of 3" in capsys.readouterr().out
    _, records = load_annotation(str(root / "mmfusion/annotation.json"))
    assert {record["skeleton"] for record in records} == {None}


class FakeManoLayer(torch.nn.Module):
    """In the place of manotorch's: 21 joints a centimetre apart, the wrist first."""

    def __init__(self, **options) -> None:
        super().__init__()
        assert options["rot_mode"] == "quat" and options["center_idx"] == 0

    def forward(self, pose_coeffs: torch.Tensor, betas: torch.Tensor):
        assert pose_coeffs.shape[1:] == (16, 4) and betas.shape[1:] == (10,)
        joints = torch.zeros(len(betas), 21, 3)
        joints[..., 0] = torch.arange(21) / 100
        return types.SimpleNamespace(joints=joints)


def test_joints_are_computed_where_mano_is_there(root, tmp_path, monkeypatch):
    models = tmp_path / "mano" / "models"
    models.mkdir(parents=True)
    for side in ("LEFT", "RIGHT"):
        (models / f"MANO_{side}.pkl").write_bytes(b"")
    module = types.ModuleType("manotorch.manolayer")
    module.ManoLayer = FakeManoLayer
    monkeypatch.setitem(sys.modules, "manotorch", types.ModuleType("manotorch"))
    monkeypatch.setitem(sys.modules, "manotorch.manolayer", module)
    assert prepare.main(["--root", str(root), "--mano", str(tmp_path / "mano")]) == 0
    path = root / "mmfusion" / "skeleton" / f"{TOKEN['val']}.npz"
    with np.load(path) as cache:
        assert cache["keypoint"].shape == (12, 2, 21, 3) and cache["valid"].all()
        np.testing.assert_allclose(cache["keypoint"][0, 0, 0], [0.25, 0.25, 1.25])


def test_min_count_drops_small_classes(root, capsys):
    assert run(root, "--min-count", "2") == 0
    assert "3 class 'unscrew' is below --min-count" in capsys.readouterr().out
    with pytest.raises(ValueError, match="no class has 3 training clips; .*'pour', 2"):
        run(root, "--min-count", "3")


def test_missing_parts_drop_clips_with_the_reason(root, capsys):
    (root / "anno_preview" / f"{TOKEN['val']}.pkl").unlink()
    (root / "program/program_info" / f"{TOKEN['test']}.json").unlink()
    assert run(root, "--dry-run") == 0
    text = capsys.readouterr().out
    assert "oakink2: 3 clips" in text
    assert "3 anno_preview is not there" in text
    assert "1 sequence: program_info is not there" in text


def test_faulty_pickle_stops_before_the_annotation(root, capsys):
    (root / "anno_preview" / f"{TOKEN['val']}.pkl").write_bytes(b"cos\nsystem\n.")
    assert run(root) == 1
    assert "os.system" in capsys.readouterr().out
    assert not (root / "mmfusion/annotation.json").exists()
    assert run(root, "--drop-faulty") == 0


def test_missing_roots_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere is not a folder"):
        run(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="program_info is not a folder"):
        run(tmp_path)
    (tmp_path / "models").mkdir()
    root = write_oakink2(tmp_path / "oakink2")
    with pytest.raises(FileNotFoundError, match="MANO_LEFT.pkl is missing"):
        prepare.main(["--root", str(root), "--mano", str(tmp_path)])
