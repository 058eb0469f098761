"""Tokens of a frozen encoder, kept in files, are as good as the encoder."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper

from mmfusion.apis import frame_features
from mmfusion.apis.frame_features import write_lmdb
from mmfusion.apis.loaded import put_in
from mmfusion.apis.token_files import write_features
from mmfusion.datasets.annotation import write_annotation
from mmfusion.datasets.caches.token_cache import (
    file_of,
    read_tokens,
    write_about,
    write_tokens,
)
from mmfusion.datasets.collate import fusion_collate
from mmfusion.datasets.media.sequential_video import open_for_windows
from mmfusion.datasets.transforms import LoadFeatures
from mmfusion.engine.launch.completion import complete_config
from mmfusion.engine.launch.config_features import datasets_of, describe, steps_of
from mmfusion.engine.launch.config_parts import check_parts
from mmfusion.models.layers.hf_encoder import digest_of
from mmfusion.registry import DATASETS, MODELS
from mmfusion.utils.errors import CheckpointError, ConfigError, FeatureError, InputError
from tests.models.backbones.hf_models import tiny
from tests.tools.command import run_tool
from tests.video_files import write_video

NAMES = ("a/1", "b", "c", "broken", "d")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five clips in folders of images, of which one is damaged."""
    root = tmp_path_factory.mktemp("world")
    rng = np.random.default_rng(0)
    records = []
    for name in NAMES:
        folder = root / "frames" / name
        folder.mkdir(parents=True)
        for number in range(8):
            image = rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)
            cv2.imwrite(str(folder / f"{number}.png"), image)
            if name == "broken":
                (folder / f"{number}.png").write_bytes(b"no image")
        records.append(
            {
                "id": name,
                "split": "val" if name == "d" else "train",
                "frame_dir": f"frames/{name}",
                "filename_tmpl": "{:d}.png",
                "start_index": 0,
                "index_fps": 10.0,
                "total_frames": 8,
                "start_sec": 0.0,
                "end_sec": 0.8,
                "label": {"action": len(records) % 2},
            }
        )
    classes = {"action": ["x", "y"]}
    meta = {"version": 1, "dataset": "small", "classes": classes}
    write_annotation(root / "annotation.json", meta, records)
    torch.manual_seed(0)
    state = {"state_dict": MODELS.build(model_of(root)).state_dict()}
    torch.save(state, root / "stage1.pth")
    return root


def model_of(root: Path, **encoder: object) -> dict:
    video = dict(
        type="VideoMamba",
        arch="nano",
        num_frames=4,
        img_size=16,
        patch_size=8,
        **encoder,
    )
    return dict(
        type="MultiModalRecognizer",
        encoders=dict(video=video),
        frozen=("video",),
        neck=dict(type="AttentiveProbe", embed_dims=64, num_heads=2),
        heads=dict(action=dict(type="ClassificationHead", num_classes=2, in_dims=64)),
    )


def config_of(root: Path, features: str | None = None, **encoder: object) -> Config:
    """Config of a probe behind a frozen encoder; with ``features``, of its tokens."""
    weights = dict(
        type="Pretrained", checkpoint=str(root / "stage1.pth"), prefix="encoders.video"
    )

    def loader(split: str) -> dict:
        pipeline = [
            dict(type="SampleTimes", num_frames=dict(video=4), mode="uniform"),
            dict(type="DecodeVideo"),
            dict(type="mmaction.Resize", scale=(16, 16), keep_ratio=False),
            dict(type="PackInputs", streams=("video",)),
        ]
        dataset = dict(
            type="MultiModalDataset",
            ann_file="annotation.json",
            data_root=str(root),
            split=split,
            pipeline=pipeline,
        )
        return dict(
            batch_size=3,
            num_workers=0,
            sampler=dict(type="SeededSampler", shuffle=False),
            collate_fn=dict(type="mmfusion.fusion_collate"),
            dataset=dataset,
        )

    content = dict(
        model=model_of(root, **{"init_cfg": weights, **encoder}),
        train_dataloader=loader("train"),
        val_dataloader=loader("val"),
        default_scope="mmfusion",
    )
    if features is not None:
        content["features"] = dict(video=features)
    config = Config(content)
    complete_config(config)
    return config


@pytest.fixture(scope="module")
def kept(world: Path) -> str:
    """Folder of tokens; the command is given twice and the second finds all there."""
    out = world / "features"
    done = write_features(config_of(world), out)
    assert (done.written, done.present, [*done.broken]) == (4, 0, ["broken"])
    assert "broken" in done.broken["broken"]
    before = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    file_of(out, "b").write_bytes(b"cut off")
    done = write_features(config_of(world), out)
    assert (done.written, done.present) == (1, 3)
    changed = {p.name for p, t in before.items() if p.stat().st_mtime_ns != t}
    assert changed <= {"b.safetensors", "features.json"}
    return str(out)


def trained(config: Config) -> tuple[torch.nn.Module, dict[str, torch.Tensor]]:
    """The model after two steps, and its losses and logits."""
    torch.manual_seed(0)
    model = MODELS.build(config.model)
    model.init_weights()
    model.train()
    settings = dict(type="OptimWrapper", optimizer=dict(type="SGD", lr=0.5))
    optimizer = build_optim_wrapper(model, settings)
    data = DATASETS.build(config.train_dataloader.dataset)
    batch = fusion_collate([data[index] for index in (2, 0, 1)])
    seen = {}
    for step in range(2):
        seen[f"loss {step}"] = model.train_step(dict(batch), optimizer)["loss"]
    with torch.no_grad():
        inputs = model.data_preprocessor(dict(batch))["inputs"]
        seen["logits"] = model(inputs)["action"]
    return model, seen


def test_cached_is_live_to_the_last_digit(world: Path, kept: str) -> None:
    live, cached = config_of(world), config_of(world, kept)
    kinds = [step.type for step in cached.train_dataloader.dataset.pipeline]
    assert kinds == ["SampleTimes", "mmfusion.LoadTokens", "PackInputs"]
    text = cached.pretty_text
    complete_config(cached)  # of a run's own folder
    assert cached.pretty_text == text
    own, ours = trained(live), trained(cached)
    for name, value in own[1].items():
        assert torch.equal(value, ours[1][name]), name
    theirs, state = own[0].state_dict(), ours[0].state_dict()
    assert state.keys() == theirs.keys()
    assert all(torch.equal(state[key], theirs[key]) for key in theirs)
    own[0].load_state_dict(state)
    ours[0].load_state_dict(theirs)  # a checkpoint of one goes with the other
    fresh = MODELS.build(cached.model)  # of a test or a resumed run
    put_in(fresh, {"state_dict": state}, "best.pth")
    assert all(torch.equal(fresh.state_dict()[key], theirs[key]) for key in theirs)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda c: c.model.encoders.video.update(arch="tiny"), "encoder.arch was"),
        (
            lambda c: c.model.update(data_preprocessor=dict(mean=[0, 0, 0])),
            "mean.0 was",
        ),
        (
            lambda c: c.train_dataloader.dataset.pipeline[2].update(scale=(20, 16)),
            r"steps.train.1.scale.0 was 16, is 20",
        ),
        (lambda c: c.model.update(frozen=()), "trained"),
    ],
    ids=["encoder", "mean", "size", "trained"],
)
def test_what_changed_is_named_before_a_run(world, kept, change, told) -> None:
    config = config_of(world)
    config.features = dict(video=kept)
    change(config)
    with pytest.raises(ConfigError, match=told):
        complete_config(config)


def test_a_published_encoder_is_no_part_of_the_description(
    world: Path, tmp_path: Path
) -> None:
    """Its config lacks ``pretrained`` there, which building one needs."""
    video = dict(type="HFVideoEncoder", pretrained="nobody/nothing", num_frames=4)
    video |= dict(hf_config=tiny("videomae"), img_size=32, embed_dims=16)
    config = config_of(world)
    config.model.encoders.video = video
    config.model.neck.embed_dims = 16
    config.model.heads.action.in_dims = 16
    about = {**describe(config, "video"), "weights": "0" * 64}
    pairs = [*datasets_of(config)]
    about["steps"] = {one.split: steps_of(path, one) for path, one in pairs}
    write_about(tmp_path, about)
    config.features = dict(video=str(tmp_path))
    complete_config(config)
    check_parts(config.to_dict())


def test_other_weights_or_times_are_refused(world: Path, kept: str) -> None:
    config = config_of(world, kept, init_cfg=None)
    torch.manual_seed(1)
    with pytest.raises(CheckpointError, match="weights: they were made with sha256"):
        MODELS.build(config.model).init_weights()
    config = config_of(world, kept)
    config.train_dataloader.dataset.pipeline[0].mode = "starts"
    with pytest.raises(InputError, match=r"sampling: its frames are at .* asks for"):
        DATASETS.build(config.train_dataloader.dataset)[0]
    config = config_of(world)
    config.train_dataloader.dataset.pipeline[0].mode = "random"
    with pytest.raises(ConfigError, match="draws times at random"):
        write_features(config, world / "none")
    other = config_of(world, summary="mean")
    with pytest.raises(InputError, match=r"other features: encoder.summary was null"):
        write_features(other, Path(kept))


def test_files_are_checked(world: Path, kept: str, tmp_path: Path) -> None:
    config = config_of(world, kept)
    data = DATASETS.build(config.train_dataloader.dataset)
    with pytest.raises(FeatureError, match=r"broken.safetensors.*does not exist"):
        data[3]
    arrays, metadata = read_tokens(file_of(kept, "a/1"))
    assert arrays["tokens"].shape[0] == 1 and metadata["id"] == "a/1"
    made = json.loads(metadata["made"])
    assert {"weights", "steps", "mean", "std", "encoder"} <= made.keys()
    half = write_features(config_of(world), tmp_path, dtype="fp16")
    assert half.num_bytes < sum(p.stat().st_size for p in Path(kept).glob("*.s*"))
    file_of(kept, "c").write_bytes(file_of(tmp_path, "c").read_bytes())
    with pytest.raises(InputError, match='dtype was "fp16", is "fp32"'):
        data[2]
    file_of(kept, "c").write_bytes(file_of(kept, "b").read_bytes())
    with pytest.raises(FeatureError, match=r"it is of 'b'; expected 'c'"):
        data[2]
    arrays, metadata = read_tokens(file_of(kept, "b"))
    for change, told in (
        (dict(cls=arrays["cls"] * np.nan), "cls has NaN"),
        (dict(cls=arrays["cls"][:, :3]), r"cls is float32 \(1, 3\); expected .*64"),
        (dict(mask=np.ones((1, 2), bool)), r"mask is bool \(1, 2\); expected"),
    ):
        write_tokens(file_of(kept, "b"), "b", {**arrays, **change}, made)
        with pytest.raises(FeatureError, match=told):
            data[1]


def test_the_command_writes_an_lmdb_of_the_past(world: Path, tmp_path: Path) -> None:
    pytest.importorskip("lmdb")
    config = config_of(world)
    sampler = dict(
        type="SampleObservedFrames", num_frames=dict(video=4), tau_a=0.1, tau_o=0.2
    )
    for name in ("train", "val"):
        config[f"{name}_dataloader"].dataset.pipeline[0] = dict(sampler, mode="uniform")
    config.dump(tmp_path / "config.py")
    out = tmp_path / "rgb"
    done = run_tool(
        "features", tmp_path / "config.py", "--out", out, "--lmdb", "--rate", 5
    )
    assert done.returncode == 0, done.stderr
    assert "16 written" in done.stdout and "broken" in done.stdout
    again = write_lmdb(config, out, rate=5.0)
    assert (again.written, again.present) == (0, 16)
    with pytest.raises(InputError, match="rate was 5.0, is 2.0; give another --out"):
        write_lmdb(config, out, rate=2.0)
    (tmp_path / "own").mkdir()
    (tmp_path / "own/data.mdb").write_bytes(b"of another")
    with pytest.raises(InputError, match="did not write; give another"):
        write_lmdb(config, tmp_path / "own", overwrite=True)
    load = LoadFeatures("rgb", "rgb", width=64, max_age=0.2)
    record = dict(id="b", extra=dict(video_id="b"), path_roots=(str(tmp_path),))
    times = np.array([[0.0, 0.4, 0.5]])
    found = load({**record, "times": {"rgb": times}})["rgb"]  # (1, 3, d)
    assert (found[0, 0] != found[0, 1]).any() and (found[0, 1] == found[0, 2]).all()
    weights = bytes(digest_of(MODELS.build(config.model).state_dict()).tolist()).hex()
    assert json.loads((out / "features.json").read_text())["weights"] != weights


def test_a_video_is_read_once_for_all_its_moments(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lmdb = pytest.importorskip("lmdb")
    clip = dict(split="train", start_sec=0.0, end_sec=1.2, label={"action": 0})
    names = ("one", "two", "two again")
    records = [
        dict(clip, id=n, video=f"{n.split()[0]}.mp4", duration_sec=1.2) for n in names
    ]
    for record in records[:2]:
        write_video(tmp_path / record["video"], size=(32, 24))
    records[2] |= dict(split="val", start_sec=0.4)
    meta = {"version": 1, "dataset": "small", "classes": {"action": ["x", "y"]}}
    write_annotation(tmp_path / "annotation.json", meta, records)
    config = config_of(world)
    config.model.encoders.video.init_cfg = None
    sampler = dict(type="SampleObservedFrames", num_frames=dict(video=4), tau_o=0.8)
    for name in ("train", "val"):
        dataset = config[f"{name}_dataloader"].dataset
        dataset.data_root = str(tmp_path)
        dataset.pipeline[0] = dict(sampler, mode="uniform")

    def counted(path: str, spans: list) -> object:
        with open(tmp_path / "opened", "a") as file:  # of another process
            file.write(f"{Path(path).name} {spans[0]} {spans[-1]}\n")
        return open_for_windows(path, spans)

    monkeypatch.setattr(frame_features, "open_for_windows", counted)
    assert write_lmdb(config, tmp_path / "out").written == 12
    with lmdb.open(str(tmp_path / "out"), readonly=True) as env, env.begin() as all_:
        assert len({value for _, value in all_.cursor()}) == 6  # of two equal videos
    opened = (tmp_path / "opened").read_text().splitlines()
    assert opened == [f"{n}.mp4 (0.0, 0.0) {(1 - 0.8, 1.0)}" for n in ("one", "two")]
    done = write_lmdb(config, tmp_path / "out", rate=2.0, overwrite=True)
    with lmdb.open(str(tmp_path / "out"), readonly=True) as env:
        assert env.stat()["entries"] == done.written < 12  # none of rate 5
