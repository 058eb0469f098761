"""From an annotation to scores, where clips lack their video or their hands."""

import numpy as np
import pytest
import torch

from mmfusion.datasets import MultiModalDataset, fusion_collate
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
    root = annotation.removesuffix("/annotation.json")
    dataset = MultiModalDataset(annotation, pipeline(views), data_root=root)
    return fusion_collate([dataset[index] for index in range(len(dataset))])


def build(mix: str) -> MultiModalRecognizer:
    torch.manual_seed(0)
    return MultiModalRecognizer(
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
