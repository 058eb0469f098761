"""H2ODataset: the published layout without an annotation file."""

import shutil

import pytest

from mmfusion.datasets.h2o import H2ODataset
from mmfusion.registry import DATASETS
from mmfusion.utils.errors import FrameFolderError, SkeletonError
from tests.h2o_files import write_h2o
from tools.data.h2o import prepare


@pytest.fixture
def root(tmp_path):
    return write_h2o(tmp_path / "h2o")


def test_reads_the_layout_as_the_converter_does(root):
    prepare.main(["--root", str(root)])
    direct = DATASETS.build(
        dict(type="H2ODataset", pipeline=[], data_root=str(root), split="train")
    )
    converted = DATASETS.build(
        dict(
            type="MultiModalDataset",
            ann_file=str(root / "mmfusion/annotation.json"),
            pipeline=[],
            data_root=str(root),
            split="train",
        )
    )
    assert len(direct) == len(converted) == 3
    for index in range(3):
        assert direct.get_record(index) == converted.get_record(index)
    results = direct[2]
    assert results["frame_dir_path"] == str(root / "subject1_ego/h1/1/cam4/rgb256")
    assert results["skeleton_path"] == str(root / "mmfusion/skeleton/subject1_h1_1.npz")
    assert (results["start_frame"], results["end_frame"]) == (2, 8)


def test_missing_caches_name_the_command(root):
    command = f"tools/data/h2o/prepare.py --root {root} --out {root}/mmfusion"
    with pytest.raises(SkeletonError, match=command):
        H2ODataset([], data_root=str(root), split="val")


def test_without_caches_there_is_no_skeleton(root):
    dataset = H2ODataset([], data_root=str(root), split="val", cache_dir=None)
    assert dataset.get_record(0)["skeleton"] is None
    with pytest.raises(ValueError, match="require has 'skeleton'"):
        H2ODataset(
            [], data_root=str(root), split="val", cache_dir=None, require=["skeleton"]
        )


def test_missing_sequence_is_an_error(root):
    (root / "subject_3").rename(root / "other")
    with pytest.raises(FrameFolderError, match="1 of 1 sequences of split 'val'"):
        H2ODataset([], data_root=str(root), split="val", cache_dir=None)


def test_hidden_test_labels_need_test_mode(root):
    options = dict(
        data_root=str(root), split="test", cache_dir=None, num_classes={"action": 36}
    )
    with pytest.raises(ValueError, match="no label for 'action'"):
        H2ODataset([], **options)
    assert len(H2ODataset([], **options, test_mode=True)) == 1


def test_missing_image_folder_is_named_where_nothing_else_is_wanted(tmp_path):
    root = write_h2o(tmp_path)
    shutil.rmtree(root / "subject1_ego/h1/1/cam4/rgb256")
    with pytest.raises(FrameFolderError, match="1 of 2 sequences of split") as error:
        H2ODataset([], data_root=str(root), split="train", cache_dir=None)
    assert f"{root}/subject1_ego/h1/1/cam4 has no images" in str(error.value)
