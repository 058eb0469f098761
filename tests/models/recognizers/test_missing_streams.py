"""From an annotation to scores, where clips lack their video or their hands."""

from unittest import mock

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from mmfusion.datasets import (
    MultiModalDataset,
    SeededSampler,
    fusion_collate,
    record_selection,
)
from mmfusion.datasets.annotation import write_annotation
from mmfusion.models import MultiModalRecognizer
from tests.datasets.transforms.helpers import META, skeleton
from tests.video_files import write_video

MIXES = ("NaiveMix", "AverageMix", "WeightedMix", "ContextMix")


def pipeline(views: int) -> list[dict]:
    frames = dict(video=2, skeleton=4)
    return [
        dict(type="SampleTimes", num_frames=frames, mode="uniform", num_views=views),
        dict(type="DecodeVideo", missing_size=(32, 32)),
        dict(type="LoadSkeleton", optional=True),
        dict(type="mmaction.Resize", scale=(32, 32), keep_ratio=False),
        dict(type="AlignSkeleton"),
        dict(type="NormalizeSkeleton", mode="none"),
        dict(type="PackInputs"),
    ]


@pytest.fixture(scope="module")
def annotation(tmp_path_factory) -> str:
    """Three clips: one with both streams, one without video, one without hands."""
    root = tmp_path_factory.mktemp("clips")
    write_video(root / "a.mp4", num_frames=30)
    arrays = {**skeleton(), "fps": np.float64(10), "sequence": np.str_("a")}
    np.savez(root / "a.npz", **arrays)
    record = dict(group="a", split="val", start_sec=0.0, end_sec=3.0, index_fps=10.0)
    hands = {"file": "a.npz"}
    streams = dict(both=("a.mp4", hands), hands=(None, hands), rgb=("a.mp4", None))
    records = [
        dict(record, id=name, video=video, skeleton=file, label={"action": index})
        for index, (name, (video, file)) in enumerate(streams.items())
    ]
    meta = dict(version=1, dataset="toy", classes={"action": ["a", "b", "c"]}, **META)
    write_annotation(root / "annotation.json", meta, records)
    return str(root / "annotation.json")


def load_batch(annotation: str, views: int = 1) -> dict:
    dataset = read(annotation, pipeline(views))
    return fusion_collate([dataset[index] for index in range(len(dataset))])


def read(annotation: str, steps: list[dict]) -> MultiModalDataset:
    root = annotation.removesuffix("/annotation.json")
    return MultiModalDataset(annotation, steps, data_root=root)


def build(mix: str, **settings) -> MultiModalRecognizer:
    torch.manual_seed(0)
    return MultiModalRecognizer(
        **settings,
        encoders=dict(
            video=dict(type="VideoMamba", arch="nano", img_size=32, num_frames=2),
            skeleton=dict(type="SkeletonMamba", arch="nano", num_frames=4),
        ),
        neck=dict(type="CLSMixFusion", mix=dict(type=mix), embed_dims=64),
        heads=dict(action=dict(type="ClassificationHead", num_classes=3, in_dims=64)),
    )


def logits_of(model: MultiModalRecognizer, batch: dict) -> torch.Tensor:
    return model(**model.data_preprocessor(batch))["action"]


@pytest.mark.parametrize("mix", MIXES)
def test_loss_and_gradients_are_finite(annotation, mix):
    model, batch = build(mix), load_batch(annotation)
    seen = batch["inputs"]["video_mask"].flatten(1).any(1)
    assert seen.tolist() == [True, False, True]
    data = model.data_preprocessor(batch)
    model(**data, mode="loss")["loss_action"].backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("mix", MIXES)
def test_what_stands_in_for_a_missing_stream_is_not_read(annotation, mix):
    model, batch = build(mix).eval(), load_batch(annotation)
    with torch.no_grad():
        before = logits_of(model, batch)
        batch["inputs"]["video"][1] = 255
        batch["inputs"]["skeleton"][2] = 7.0
        after = logits_of(model, batch)
        batch["inputs"]["video"][0] = 255
        changed = logits_of(model, batch)
    torch.testing.assert_close(after, before, rtol=0, atol=0)
    assert not torch.equal(changed[0], before[0])


def test_three_views_score_as_their_mean(annotation):
    model, batch = build("WeightedMix").eval(), load_batch(annotation, views=3)
    assert batch["inputs"]["video"].shape[:2] == (3, 3)
    with torch.no_grad():
        by_view = []
        for view in range(3):
            inputs = {k: v[:, view : view + 1] for k, v in batch["inputs"].items()}
            by_view.append(logits_of(model, {**batch, "inputs": inputs}).softmax(-1))
        samples = model(**model.data_preprocessor(batch), mode="predict")
    scores = torch.stack([sample.score_action for sample in samples])  # (b, k)
    torch.testing.assert_close(scores, torch.stack(by_view).mean(0))
    assert not torch.equal(by_view[0], by_view[1])


@pytest.mark.parametrize("stream", ["video", "skeleton"])
def test_a_stream_that_was_dropped_is_one_without_a_file(annotation, stream):
    """Bit by bit, in a pipeline of training, too."""
    steps = pipeline(1)
    jitter = dict(type="JitterSkeleton", scale=0.1, rotation=5.0, noise=0.01)
    steps.insert(-1, jitter)
    lost = read(annotation, steps)[dict(video=1, skeleton=2)[stream]]["inputs"]
    dropped = read(annotation, [*steps, drop(**{stream: 0.99})])[0]["inputs"]
    for key in (stream, f"{stream}_mask"):
        assert not dropped[key].any()
        assert torch.equal(dropped[key], lost[key])


def drop(**rates) -> dict:
    return dict(type="DropStreams", rates=rates)


def test_the_same_streams_are_dropped_by_any_number_of_workers(annotation):
    steps = [*pipeline(1), drop(video=0.5, skeleton=0.4)]
    dataset = read(annotation, steps)
    dataset.clip_timeout = None  # no process of its own

    def masks(num_workers: int) -> torch.Tensor:
        sampler = SeededSampler(dataset, seed=1)
        found = []
        for epoch in range(3):
            sampler.set_epoch(epoch)
            loader = DataLoader(
                dataset,
                batch_size=2,
                sampler=sampler,
                collate_fn=fusion_collate,
                num_workers=num_workers,
            )
            found += [batch["inputs"]["video_mask"] for batch in loader]
        return torch.cat(found)

    here = masks(0)
    assert torch.equal(here, masks(2)) and 0 < here.sum() < here.numel()


@pytest.mark.parametrize("mix", MIXES)
def test_stand_ins_give_a_batch_what_each_clip_has_alone(annotation, mix):
    model = build(mix, stand_ins=dict(type="StandInTokens")).eval()
    batch = load_batch(annotation)
    with torch.no_grad():
        together = logits_of(model, batch)
        for index in range(3):
            one = {k: v[[index]] for k, v in batch["inputs"].items()}
            samples = batch["data_samples"][index : index + 1]
            alone = logits_of(model, {"inputs": one, "data_samples": samples})
            torch.testing.assert_close(together[[index]], alone, rtol=1e-5, atol=1e-6)
        model.stand_ins.tokens["video"].add_(1)
        changed = logits_of(model, batch)
    assert torch.equal(changed[[0, 2]], together[[0, 2]])
    assert not torch.equal(changed[1], together[1])


def test_records_without_a_stream_are_counted(annotation):
    with mock.patch.object(record_selection, "print_log") as log:
        read(annotation, pipeline(1))
    texts = [call.args[0] for call in log.call_args_list]
    assert len(texts) == 2 and all("1 of 3 records" in text for text in texts)
    assert "have no video, and are used without it" in texts[0]
