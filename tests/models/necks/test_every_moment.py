"""A fused vector at every moment, and the heads, losses and scores of moments."""

import pytest
import torch

from mmfusion.models import EveryMoment, MLPFusion
from mmfusion.models.recognizers.multimodal_recognizer import MultiModalRecognizer
from mmfusion.registry import MODELS
from mmfusion.structures import ActionDataSample, TokenFeatures
from mmfusion.utils.errors import InputError


def features(count, mask=None):
    return TokenFeatures(torch.randn(2, count, 16), mask=mask)


def test_each_moment_is_fused_as_a_clip_that_ends_there() -> None:
    neck = EveryMoment("video", neck=dict(type=MLPFusion, embed_dims=16,
                       streams=dict(video=dict(), skeleton=dict())))  # fmt: skip
    feats = {"video": features(4), "skeleton": features(10)}
    fused = neck(feats)
    assert fused.shape == (2, 4, 16)
    for moment, told in enumerate([0, 2, 5, 7]):  # 10 / 4 tokens of the hands a moment
        ends = {
            "video": feats["video"].tokens[:, moment],
            "skeleton": feats["skeleton"].tokens[:, told],
        }
        clip = {n: TokenFeatures(x.unsqueeze(1), x) for n, x in ends.items()}
        torch.testing.assert_close(fused[:, moment], neck.neck(clip))


def test_a_moment_knows_no_token_that_comes_later() -> None:
    neck = EveryMoment("video", neck=dict(type=MLPFusion, embed_dims=16,
                       streams=dict(video=dict(), skeleton=dict())))  # fmt: skip
    feats = {"video": features(4), "skeleton": features(8)}
    later = feats["skeleton"].tokens.clone()
    later[:, 5:] = 0  # moment 2 of 4 is that of token 4
    changed = neck({**feats, "skeleton": TokenFeatures(later)})
    same = (neck(feats) == changed).all(-1)
    assert same.tolist() == [[True, True, True, False]] * 2


def test_a_stream_that_was_not_seen_yet_is_missing() -> None:
    neck = EveryMoment("video", neck=dict(type=MLPFusion, embed_dims=16,
                       streams=dict(video=dict(), skeleton=dict())))  # fmt: skip
    seen = torch.tensor([[False, True, False, False]] * 2)  # then held
    feats = {"video": features(4), "skeleton": features(4, seen)}
    other = {**feats, "skeleton": features(4, seen)}
    same = (neck(feats) == neck(other)).all(-1)
    assert same.tolist() == [[True, False, False, False]] * 2


def test_several_streams_need_a_neck() -> None:
    with pytest.raises(InputError, match="a neck"):
        EveryMoment("video")({"video": features(4), "skeleton": features(2)})


class Sums(torch.nn.Module):
    """Causal: token i is the sum of the inputs up to i."""

    embed_dims = 3

    def forward(self, x, mask=None):
        return TokenFeatures(x.cumsum(1))


@pytest.fixture
def model(monkeypatch):
    monkeypatch.setitem(MODELS.module_dict, "Sums", Sums)
    head = dict(type="ClassificationHead", num_classes=3, in_dims=3)
    return MultiModalRecognizer(
        dict(joints=dict(type="Sums")),
        dict(verb=head),
        neck=dict(type="EveryMoment", stream="joints"),
    )


def test_losses_and_scores_of_moments(model) -> None:
    x = torch.randn(2, 1, 5, 3)
    truth = torch.eye(3)[torch.randint(0, 3, (2, 5))]
    samples = [
        ActionDataSample(metainfo=dict(sample_id=str(i)), gt_verb=truth[i])
        for i in range(2)
    ]
    logits = model({"joints": x})["verb"]  # (2, 5, 3)
    losses = model({"joints": x}, samples, mode="loss")
    by_hand = -(truth * logits.log_softmax(-1)).sum(-1).mean()
    torch.testing.assert_close(losses["loss_verb"], by_hand)
    right = (logits.argmax(-1) == truth.argmax(-1)).float().mean()
    torch.testing.assert_close(losses["acc_verb"], 100 * right)
    model({"joints": x}, samples, mode="predict")
    torch.testing.assert_close(samples[1].score_verb, logits[1].softmax(-1))
    assert "pred_score" not in samples[1].to_dict()


def test_moments_without_a_label_do_not_count(model) -> None:
    x = torch.randn(2, 1, 5, 3)
    truth = torch.eye(3)[torch.randint(0, 3, (2, 5))]
    truth[1, 3:] = 0  # a video that is shorter than the window
    samples = [
        ActionDataSample(metainfo=dict(sample_id=str(i)), gt_verb=truth[i])
        for i in range(2)
    ]
    losses = model({"joints": x}, samples, mode="loss")
    logits, told = model({"joints": x})["verb"], truth.any(-1)
    by_hand = -(truth * logits.log_softmax(-1)).sum(-1)[told].mean()
    torch.testing.assert_close(losses["loss_verb"], by_hand)
    right = (logits.argmax(-1) == truth.argmax(-1))[told].float().mean()
    torch.testing.assert_close(losses["acc_verb"], 100 * right)


def test_labels_are_one_a_moment(model) -> None:
    sample = ActionDataSample(metainfo=dict(sample_id="a"), gt_verb=torch.eye(3))
    with pytest.raises(InputError, match=r"'a' has verb labels \(3, 3\)"):
        model({"joints": torch.randn(1, 1, 5, 3)}, [sample], mode="loss")
