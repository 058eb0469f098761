"""Files that count from another number than the list says are seen at once."""

from pathlib import Path

import pytest

from mmfusion.datasets import MultiModalDataset
from mmfusion.datasets.annotation import write_annotation
from mmfusion.utils.errors import AnnotationError


def make_folder(path: Path, numbers: range) -> None:
    path.mkdir(parents=True)
    for number in numbers:
        (path / f"img_{number:05}.jpg").touch()


def read(root: Path, start_index: int, **options) -> MultiModalDataset:
    (root / "list.txt").write_text("a 5 0\nb 5 0\n")
    return MultiModalDataset(
        "list.txt",
        [],
        data_root=str(root),
        ann_format="mmaction_rawframe",
        ann_options={"start_index": start_index, **options},
    )


@pytest.mark.parametrize(
    ("files", "start_index", "right"),
    [(range(5), 1, 0), (range(1, 6), 0, 1), (range(2, 7), 1, 2)],
    ids=["from 0, read from 1", "from 1, read from 0", "from 2, read from 1"],
)
def test_a_list_that_is_one_off_is_refused_when_it_is_read(
    files: range, start_index: int, right: int, tmp_path: Path
) -> None:
    make_folder(tmp_path / "b", files)  # "a" is not there, which the reader tells
    with pytest.raises(AnnotationError, match=f"'b': .* set start_index to {right} "):
        read(tmp_path, start_index)
    assert len(read(tmp_path, right)) == 2


@pytest.mark.parametrize(
    ("files", "start_index"),
    [(range(1, 6), 1), (range(6), 1), (range(1, 5), 0), (range(4), 0)],
    ids=["right", "a file more", "the first is lost", "the last is lost"],
)
def test_other_folders_are_left_to_the_reader(
    files: range, start_index: int, tmp_path: Path
) -> None:
    make_folder(tmp_path / "b", files)
    assert len(read(tmp_path, start_index)) == 2


@pytest.mark.parametrize(("first", "start_index"), [(0, 1), (1, 0)])
def test_a_folder_of_unknown_length_is_looked_at_too(
    first: int, start_index: int, tmp_path: Path
) -> None:
    make_folder(tmp_path / "b", range(first, 9))
    record = {
        "id": "b#0",
        "frame_dir": "b",
        "filename_tmpl": "img_{:05}.jpg",
        "start_index": start_index,
        "index_fps": 30.0,
        "start_sec": 0.0,
        "end_sec": 0.1,
        "label": {},
    }
    metainfo = {"version": 1, "dataset": "toy", "classes": {}}
    write_annotation(tmp_path / "a.json", metainfo, [record])
    with pytest.raises(AnnotationError, match=f"set start_index to {first}"):
        MultiModalDataset("a.json", [], data_root=str(tmp_path))
    record["start_index"] = first
    write_annotation(tmp_path / "a.json", metainfo, [record])
    assert len(MultiModalDataset("a.json", [], data_root=str(tmp_path))) == 1


def test_only_a_few_folders_of_a_long_list_are_looked_at(tmp_path: Path) -> None:
    lines = [f"f{number} 5 0" for number in range(1000)]
    make_folder(tmp_path / "f999", range(5))
    (tmp_path / "list.txt").write_text("\n".join(lines))
    options = dict(data_root=str(tmp_path), ann_format="mmaction_rawframe")
    assert len(MultiModalDataset("list.txt", [], **options)) == 1000
    make_folder(tmp_path / "f0", range(5))
    with pytest.raises(AnnotationError, match="'f0'"):
        MultiModalDataset("list.txt", [], **options)
