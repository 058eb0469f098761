"""Records, splits, streams, and samples that depend on their key only."""

import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from mmfusion.datasets import MultiModalDataset, SampleKey, SeededSampler
from mmfusion.datasets.collate import fusion_collate
from mmfusion.engine.protocols import KnowsContent
from mmfusion.utils.paths import UnsafePathError
from tests.datasets.clips import CLASSES, PIPELINE, make_record, write_clips
from tests.video_files import number_of, write_frames


def test_results_have_what_a_pipeline_needs(tmp_path: Path) -> None:
    record = make_record(
        4,
        skeleton={"file": "skeleton/s.npz"},
        frame_dir="f/d",
        filename_tmpl="{:06d}.jpg",
        index_fps=30,
    )
    path = write_clips(tmp_path, [record])
    dataset = MultiModalDataset(path, [], data_root=str(tmp_path))
    files = {"video": "v4.mp4", "frame_dir": "f/d", "skeleton": "skeleton/s.npz"}
    expected = {stream: str(tmp_path / file) for stream, file in files.items()}
    assert dataset.files_of("clip4") == expected and dataset.files_of("x") == {}
    results = dataset[0]
    assert results["sample_id"] == results["id"] == "clip4"
    assert results["video_path"] == str(tmp_path / "v4.mp4")
    assert results["frame_dir_path"] == str(tmp_path / "f/d")
    assert results["skeleton_path"] == str(tmp_path / "skeleton/s.npz")
    assert results["label"] == {"action": 1, "verb": 0}
    assert results["skeleton_data"] is None and results["start_index"] == 0
    assert results["ann_meta"]["dataset"] == "numbers"


def test_metainfo_and_classes(tmp_path: Path) -> None:
    dataset = MultiModalDataset(write_clips(tmp_path, 2), [], split="train")
    assert dataset.metainfo["classes"] == CLASSES
    assert dataset.metainfo["split"] == "train"
    assert dataset.get_classes("verb") == ["a", "b"]
    with pytest.raises(ValueError, match="task is 'nuon'; expected one of"):
        dataset.get_classes("nuon")


def test_the_digest_follows_records_their_order_and_classes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def digest(records: list[dict]) -> str:
        dataset = MultiModalDataset(write_clips(tmp_path, records), [], split="train")
        assert isinstance(dataset, KnowsContent)
        return dataset.digest()

    records = [make_record(n) for n in range(3)]
    before = digest(records)
    assert len(before) == 64 and digest(records) == before
    assert digest([*records, make_record(9, split="val")]) == before
    records[1]["label"]["verb"] = 1 - records[1]["label"]["verb"]
    assert digest(records) != before
    records[1]["label"]["verb"] = 1 - records[1]["label"]["verb"]
    assert digest(records[::-1]) != before
    monkeypatch.setitem(CLASSES, "verb", ["b", "a"])
    assert digest(records) != before


def test_split_and_indices(tmp_path: Path) -> None:
    records = [make_record(n, split="val" if n == 2 else "train") for n in range(5)]
    path = write_clips(tmp_path, records)

    def ids(**options: object) -> list[str]:
        dataset = MultiModalDataset(path, [], **options)
        return [dataset.get_record(i)["id"] for i in range(len(dataset))]

    assert ids(split="train") == ["clip0", "clip1", "clip3", "clip4"]
    assert ids(split="train", indices=2) == ["clip0", "clip1"]
    assert ids(split="train", indices=[3, 0]) == ["clip4", "clip0"]
    assert len(ids()) == 5
    with pytest.raises(ValueError, match=r"'test' selects none.*'train': 4, 'val': 1"):
        ids(split="test")
    for wrong, message in [([9], r"indices has \[9\]"), (0, "indices selects no")]:
        with pytest.raises(ValueError, match=message):
            ids(indices=wrong)


def test_labels_of_some_records_can_be_left_out(tmp_path: Path) -> None:
    path = write_clips(tmp_path, [make_record(n) for n in range(4)])

    def labels(**options: object) -> list[bool]:
        dataset = MultiModalDataset(path, [], **options)
        return [bool(dataset.get_record(n)["label"]) for n in range(len(dataset))]

    assert labels() == [True] * 4
    assert labels(labelled=1) == [True, False, False, False]
    assert labels(labelled=[2], indices=3) == [False, False, True]


def test_require_drops_records_that_lack_a_stream(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged = []
    monkeypatch.setattr(
        "mmfusion.datasets.record_selection.print_log",
        lambda text, **_: logged.append(text),
    )
    records = [make_record(0), make_record(1, skeleton={"file": "a.npz"})]
    frames = {"video": None, "frame_dir": "f", "filename_tmpl": "{}.jpg"}
    records += [make_record(2, **frames, index_fps=30, skeleton={"file": "b.npz"})]
    path = write_clips(tmp_path, records)
    assert len(MultiModalDataset(path, [])) == 3
    assert len(logged) == 1 and "no skeleton, and are used without" in logged.pop()
    dataset = MultiModalDataset(path, [], require=("video", "skeleton"))
    assert [dataset.get_record(i)["id"] for i in range(2)] == ["clip1", "clip2"]
    assert len(logged) == 1 and "1 of 3 records" in logged[0]
    with pytest.raises(ValueError, match=r"3 of 3 records .* by require=\['text'\]"):
        MultiModalDataset(path, [], require=["text"])
    with pytest.raises(ValueError, match="require has 'vidoe'; expected some of"):
        MultiModalDataset(path, [], require=["vidoe"])


def test_num_classes_must_fit(tmp_path: Path) -> None:
    path = write_clips(tmp_path, 3)
    MultiModalDataset(path, [], num_classes={"action": 3})
    with pytest.raises(ValueError, match=r"num_classes is 4 for 'action' but .* 3 cl"):
        MultiModalDataset(path, [], num_classes={"action": 4})
    with pytest.raises(ValueError, match=r"num_classes has the task 'noun'; expected"):
        MultiModalDataset(path, [], num_classes={"noun": 4})


def test_training_needs_labels_and_testing_does_not(tmp_path: Path) -> None:
    path = write_clips(tmp_path, [make_record(0), make_record(1, label={"verb": 0})])
    options = {"num_classes": {"action": 3}}
    with pytest.raises(ValueError, match=r"1 of 2 records .* no label for 'action'"):
        MultiModalDataset(path, [], **options)
    assert len(MultiModalDataset(path, [], test_mode=True, **options)) == 2


def test_link_out_of_the_root_is_refused(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (root / "videos").symlink_to(outside)
    path = write_clips(root, [make_record(0, video="videos/a.mp4")])
    for policy in ("raise", "skip", "replace"):
        dataset = MultiModalDataset(
            path, [], data_root=str(root), on_error={"policy": policy}
        )
        with pytest.raises(UnsafePathError, match="video of record 'clip0' in .*link"):
            dataset[0]
    dataset = MultiModalDataset(
        path, [], data_root=str(root), link_roots=[str(outside)]
    )
    assert dataset[0]["video_path"] == str(outside / "a.mp4")


def test_link_among_frames_out_of_the_root_is_refused(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    write_frames(root / "a", [0, 1])
    write_frames(outside, [2])
    (root / "a/img_00002.png").symlink_to(outside / "img_00002.png")
    record = make_record(
        0,
        video=None,
        frame_dir="a",
        filename_tmpl="img_{:05d}.png",
        index_fps=1.0,
        start_sec=0.0,
        end_sec=3.0,
    )
    path = write_clips(root, [record])
    pipeline = [
        {"type": "SampleTimes", "num_frames": {"video": 3}, "mode": "uniform"},
        {"type": "DecodeVideo"},
    ]
    dataset = MultiModalDataset(path, pipeline, data_root=str(root))
    with pytest.raises(UnsafePathError, match=r"img_00002\.png.*leads out of"):
        dataset[0]
    dataset = MultiModalDataset(
        path, pipeline, data_root=str(root), link_roots=[str(outside)]
    )
    assert [number_of(image) for image in dataset[0]["imgs"]] == [0, 1, 2]


def test_sample_depends_on_its_key_only(tmp_path: Path) -> None:
    dataset = MultiModalDataset(write_clips(tmp_path, 4), PIPELINE)

    def draw(*key: int) -> list[float]:
        return dataset[SampleKey(*key)]["inputs"]["video"].tolist()

    first = draw(1, 2, 3)
    torch.rand(5)
    assert draw(1, 2, 3) == first
    assert draw(0, 2, 3) != first != draw(1, 1, 3) != draw(1, 2, 0)
    assert dataset[1]["inputs"]["video"].tolist() == draw(1, 0, 0) == draw(-3, 0, 0)
    with pytest.raises(IndexError, match="index is 4; the dataset has 4"):
        dataset[4]


def _epochs(path: str, num_workers: int, **loader: object) -> list[tuple]:
    dataset = MultiModalDataset(path, PIPELINE)
    sampler = SeededSampler(dataset, seed=11)
    batches = DataLoader(
        dataset,
        2,
        sampler=sampler,
        num_workers=num_workers,
        collate_fn=fusion_collate,
        **loader,
    )
    seen = []
    for epoch in range(2):
        sampler.set_epoch(epoch)
        for batch in batches:
            ids = [sample.sample_id for sample in batch["data_samples"]]
            seen.append((ids, batch["inputs"]["video"].tolist()))
    return seen


def test_workers_do_not_matter(tmp_path: Path) -> None:
    path = write_clips(tmp_path, 5)
    alone = _epochs(path, 0)
    assert _epochs(path, 2, persistent_workers=True) == alone
    assert alone[:3] != alone[3:]


@pytest.mark.parametrize(
    "collate",
    [fusion_collate, "fusion_collate", "mmfusion.datasets.collate.fusion_collate"],
    ids=["function", "name", "path, as a dumped config has it"],
)
def test_mmengine_builds_the_loader(tmp_path: Path, collate: Callable | str) -> None:
    loader = Runner.build_dataloader(
        {
            "dataset": {
                "type": "MultiModalDataset",
                "ann_file": write_clips(tmp_path, 5),
                "pipeline": PIPELINE,
            },
            "sampler": {"type": "SeededSampler", "shuffle": True},
            "collate_fn": {"type": collate},
            "batch_size": 2,
            "num_workers": 0,
        },
        seed=4,
    )
    assert loader.sampler.seed == 4
    assert [len(batch["data_samples"]) for batch in loader] == [2, 2, 1]
    assert loader.dataset.metainfo["classes"] == CLASSES


def test_dataset_can_be_sent_to_a_spawned_worker(tmp_path: Path) -> None:
    dataset = MultiModalDataset(write_clips(tmp_path, 2), PIPELINE)
    again = pickle.loads(pickle.dumps(dataset))
    assert torch.equal(again[1]["inputs"]["video"], dataset[1]["inputs"]["video"])


def test_unknown_format_and_options(tmp_path: Path) -> None:
    path = write_clips(tmp_path, 2)
    with pytest.raises(ValueError, match="ann_format is 'mmaction'; expected"):
        MultiModalDataset(path, [], ann_format="mmaction")
    with pytest.raises(ValueError, match="ann_options is .*; expected none"):
        MultiModalDataset(path, [], ann_options={"delimiter": ","})
