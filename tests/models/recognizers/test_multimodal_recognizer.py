import pytest
import torch

from mmfusion.engine import FusionOptimWrapper
from mmfusion.models import MultiModalRecognizer
from mmfusion.ops import torch_scan
from mmfusion.structures import ActionDataSample

VIDEO = dict(type="VideoMamba", arch="nano", img_size=32, num_frames=2)
SKELETON = dict(type="SkeletonMamba", arch="nano", num_frames=4)
HEAD = dict(type="ClassificationHead", num_classes=5, in_dims=64)
NECK = dict(type="CLSMixFusion", mix=dict(type="AverageMix"), embed_dims=64)


def build(streams=("video", "skeleton"), **options):
    encoders = {"video": VIDEO, "skeleton": SKELETON}
    config = dict(
        encoders={name: encoders[name] for name in streams},
        neck=NECK if len(streams) > 1 else None,
        heads={"action": HEAD},
    )
    torch.manual_seed(0)
    return MultiModalRecognizer(**{**config, **options})


def make_batch(batch=3, views=1):
    inputs = {
        "video": torch.randint(0, 255, (batch, views, 3, 2, 32, 32)).to(torch.uint8),
        "skeleton": torch.randn(batch, views, 4, 42, 3),
        "skeleton_mask": torch.rand(batch, views, 4, 42) > 0.2,
    }
    samples = [ActionDataSample(metainfo=dict(sample_id=str(i))) for i in range(batch)]
    for index, sample in enumerate(samples):
        sample.gt_action = torch.tensor(index)
    return dict(inputs=inputs, data_samples=samples)


def forward(model, batch, mode):
    return model(**model.data_preprocessor(batch), mode=mode)


@pytest.mark.parametrize("streams", [("video",), ("skeleton",), ("video", "skeleton")])
def test_loss_and_every_gradient(streams):
    model = build(streams)
    losses = forward(model, make_batch(), "loss")
    assert set(losses) == {"loss_action", "acc_action"}
    losses["loss_action"].backward()
    zero = [n for n, p in model.named_parameters() if not p.grad.abs().any()]
    # the CLS token in front is the first that the forward scan of the last block reads,
    # so that block's forward A cannot matter to it: a property of VideoMamba
    unread = {f"encoders.{name}.layers.3.mixer.A_log" for name in streams}
    assert set(zero) == (unread if len(streams) == 1 else set())


@pytest.mark.parametrize("mix", ["AverageMix", "ContextMix"])
def test_a_model_of_float64_takes_the_same_batches(mix):
    model = build(neck={**NECK, "mix": dict(type=mix)}).eval()
    batch = make_batch()
    single = forward(model, batch, "tensor")["action"]
    exact = forward(model.double(), batch, "tensor")["action"]
    assert exact.dtype == torch.float64
    torch.testing.assert_close(exact.float(), single, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("mix", ["NaiveMix", "AverageMix", "WeightedMix", "ContextMix"])
def test_bfloat16_step_scans_in_float32(mix, monkeypatch):
    dtypes = set()

    def spy(*inputs):
        dtypes.update(x.dtype for x in inputs)
        return chunked_scan(*inputs)

    chunked_scan = torch_scan.chunked_scan
    monkeypatch.setattr(torch_scan, "chunked_scan", spy)
    monkeypatch.setenv("MMFUSION_SCAN_BACKEND", "torch")
    model = build(neck={**NECK, "mix": dict(type=mix)})
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    log = model.train_step(
        make_batch(views=2), FusionOptimWrapper(optimizer, dtype="bfloat16")
    )
    assert dtypes == {torch.float32}
    assert log["loss_action"].isfinite()
    for name, parameter in model.named_parameters():
        assert parameter.dtype == torch.float32 and parameter.isfinite().all()
        assert not torch.equal(parameter, before[name]), name


def test_scores_are_the_mean_over_views():
    model, batch = build().eval(), make_batch(views=3)
    logits = forward(model, batch, "tensor")["action"]  # (9, 5)
    samples = forward(model, batch, "predict")
    expected = logits.softmax(-1).view(3, 3, 5).mean(1)
    for sample, score in zip(samples, expected, strict=True):
        torch.testing.assert_close(sample.score_action, score)


@pytest.mark.parametrize("mixed", [False, True])
def test_every_view_has_the_label_of_its_own_clip(mixed):
    model, batch = build().eval(), make_batch(views=2)
    labels = torch.tensor([0, 0, 1, 1, 2, 2])
    target = torch.nn.functional.one_hot(labels, 5).float()
    if mixed:
        for sample, share in zip(batch["data_samples"], (0.6, 0.7, 0.8), strict=True):
            sample.own_share, sample.other_action = torch.tensor(share), torch.tensor(4)
        shares = torch.tensor([0.6, 0.6, 0.7, 0.7, 0.8, 0.8]).unsqueeze(1)
        target = shares * target + (1 - shares) * torch.eye(5)[4]
    logits = forward(model, batch, "tensor")["action"]
    losses = forward(model, batch, "loss")
    expected = -(target * logits.log_softmax(-1)).sum(-1).mean()
    torch.testing.assert_close(losses["loss_action"], expected)
    hits = (logits.argmax(-1) == labels).float().mean()
    torch.testing.assert_close(losses["acc_action"], 100 * hits)


def test_votes_are_trained_apart_and_their_mean_is_tested():
    config = dict(SKELETON, stem="motion", readout="pool", votes=("scan", "stem"))
    model, batch = build(encoders={"skeleton": config}, neck=None), make_batch(4, 2)
    torch.manual_seed(1)
    loss = forward(model, batch, "loss")["loss_action"]
    torch.manual_seed(1)  # the same dropout
    inputs = model.data_preprocessor(batch)["inputs"]
    votes = model.encode(inputs)[0]["skeleton"].votes  # (b v, 2, d)
    logits = model.heads["action"](votes)
    label = torch.arange(4).repeat_interleave(2)
    each = [torch.nn.functional.cross_entropy(logits[:, i], label) for i in (0, 1)]
    torch.testing.assert_close(loss, sum(each) / 2)
    assert forward(model.eval(), batch, "tensor")["action"].shape == (8, 5)


def test_one_view_of_a_stream_serves_all():
    model, batch = build().eval(), make_batch(views=2)
    for name in ("skeleton", "skeleton_mask"):
        batch["inputs"][name] = batch["inputs"][name][:, :1]
    assert forward(model, batch, "tensor")["action"].shape == (6, 5)


def test_frozen_encoder_is_left_alone():
    model = build(frozen=["video"]).train()
    assert not model.encoders["video"].training and model.encoders["skeleton"].training
    forward(model, make_batch(), "loss")["loss_action"].backward()
    assert all(p.grad is None for p in model.encoders["video"].parameters())


def test_several_tasks():
    heads = {"verb": HEAD, "noun": {**HEAD, "num_classes": 7}}
    model, batch = build(heads=heads), make_batch()
    for sample in batch["data_samples"]:
        sample.gt_verb, sample.gt_noun = torch.tensor(1), torch.tensor(6)
    losses = forward(model, batch, "loss")
    assert {"loss_verb", "loss_noun"} <= set(losses)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(neck=None), "a neck that fuses"),
        (dict(frozen=["audio"]), "audio"),
    ],
    ids=["neck", "frozen"],
)
def test_wrong_arguments_raise(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)


def test_wrong_batches_raise():
    model, batch = build(), make_batch()
    batch["data_samples"][1].gt_action = torch.tensor(5)
    with pytest.raises(ValueError, match=r"'1' has action label 5, expected 0..4"):
        forward(model, batch, "loss")
    del batch["inputs"]["skeleton"]
    with pytest.raises(ValueError, match="PackInputs"):
        forward(model, batch, "loss")
    batch = make_batch()
    for mode in ("loss", "predict"):
        with pytest.raises(ValueError, match="data_samples: got 0, expected 3"):
            forward(model, dict(inputs=batch["inputs"], data_samples=None), mode)
    with pytest.raises(ValueError, match="mode is 'test'"):
        forward(model, batch, "test")
    batch["inputs"]["video"] = batch["inputs"]["video"].float()
    with pytest.raises(ValueError, match="uint8"):
        forward(model, batch, "loss")


def test_half_a_hand_is_none():
    """SkeletonMamba splits a frame's joints into num_hands; data say how many."""
    model, batch = build(streams=["skeleton"]), make_batch()
    for sample in batch["data_samples"]:
        sample.set_metainfo({"num_hands": 2})
    forward(model, batch, "loss")
    batch["data_samples"][1].set_metainfo({"num_hands": 1})
    for mode in ("loss", "predict"):
        with pytest.raises(ValueError, match="'1' has 1 hands, encoders.skeleton exp"):
            forward(model, batch, mode)
