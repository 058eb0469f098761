"""Missing streams and every neck: with learned tokens, and without."""

import pytest
import torch

from mmfusion.models import MultiModalRecognizer, StandInTokens
from mmfusion.registry import MODELS
from mmfusion.structures import TokenFeatures
from mmfusion.utils.errors import InputError

STREAMS = {"video": {}, "skeleton": {}, "sound": {}}
NAMES = [*STREAMS]
DIMS = dict.fromkeys(NAMES, 16)


def mix(kind):
    return dict(type="CLSMixFusion", mix=dict(type=kind), embed_dims=16, streams=NAMES)


NECKS = {
    "naive": mix("NaiveMix"),
    "average": mix("AverageMix"),
    "weighted": mix("WeightedMix"),
    "context": mix("ContextMix"),
    "gated": mix("GatedMix"),
    "shared_a": dict(type="SharedSSMFusion", embed_dims=16, streams=STREAMS),
    "mlp": dict(type="MLPFusion", embed_dims=16, streams=STREAMS),
    "transformer": dict(
        type="TransformerFusion",
        embed_dims=16,
        depth=2,
        num_positions=12,
        streams=STREAMS,
    ),
    "transformer_tokens": dict(
        type="TransformerFusion",
        embed_dims=16,
        depth=2,
        num_positions=12,
        inputs="tokens",
        streams=STREAMS,
    ),
}


def build(neck, with_stand_ins):
    """A neck behind stand-ins, or alone."""
    torch.manual_seed(0)
    fill = StandInTokens(DIMS) if with_stand_ins else torch.nn.Identity()
    made = MODELS.build(NECKS[neck]).eval()
    for parameter in [*made.parameters(), *fill.parameters()]:
        torch.nn.init.normal_(parameter, std=0.2)
    return torch.nn.Sequential(fill, made)


def stream(rows, lost=(), length=6, with_mask=True):
    torch.manual_seed(length)
    mask = torch.ones(rows, length, dtype=torch.bool)
    mask[list(lost)] = False
    tokens, cls = torch.randn(rows, length, 16), torch.randn(rows, 16)
    return TokenFeatures(tokens, cls, mask if with_mask else None)


def row(feats, index):
    return {
        name: TokenFeatures(
            x.tokens[[index]],
            x.cls[[index]],
            None if x.mask is None else x.mask[[index]],
        )
        for name, x in feats.items()
    }


@pytest.mark.parametrize("with_stand_ins", [True, False])
@pytest.mark.parametrize("neck", NECKS)
def test_a_batch_gives_what_each_sample_gives_alone(neck, with_stand_ins):
    """Whichever streams its neighbours lack, and whatever stands where one is."""
    model = build(neck, with_stand_ins)
    lost = dict(video=[1, 4, 5], skeleton=[2, 4, 6], sound=[3, 5, 6])
    feats = {name: stream(7, rows) for name, rows in lost.items()}
    with torch.no_grad():
        together = model(feats)
        alone = torch.cat([model(row(feats, index)) for index in range(7)])
        whole = {name: stream(7, with_mask=False) for name in NAMES}
        complete = model(row(whole, 0))
        for name, rows in lost.items():
            feats[name].tokens[rows], feats[name].cls[rows] = 7.0, -7.0
        replaced = model(feats)
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(together[:1], complete, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(replaced, together, rtol=0, atol=0)
    assert together.isfinite().all()


@pytest.mark.parametrize("neck", NECKS)
def test_learned_tokens_learn_from_samples_that_lack_the_stream(neck):
    model = build(neck, True)
    feats = {name: stream(3, [1] if name == "sound" else []) for name in NAMES}
    model(feats).square().sum().backward()
    used = {name: bool(pair.grad.any()) for name, pair in model[0].tokens.items()}
    assert used == dict(video=False, skeleton=False, sound=True)


def test_what_stands_in_worked_by_hand():
    fill = StandInTokens({"a": 2, "b": 2}, streams=["a"])
    with torch.no_grad():
        fill.tokens["a"].copy_(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    mask = torch.tensor([[True, False], [False, False]])
    zeros = TokenFeatures(torch.zeros(2, 2, 2), torch.zeros(2, 2), mask)
    found = fill({"a": zeros, "b": zeros})
    assert found["a"].tokens.tolist() == [[[0, 0], [0, 0]], [[1, 2], [1, 2]]]
    assert found["a"].cls.tolist() == [[0, 0], [3, 4]]
    assert found["a"].mask.tolist() == [[True, False], [True, True]]
    assert found["b"] is zeros


def test_a_stream_that_nobody_lacks_has_gradients_of_zero():
    fill = StandInTokens({"a": 16})
    whole = stream(2, with_mask=False)
    found = fill({"a": whole})["a"]
    assert torch.equal(found.tokens, whole.tokens) and found.mask is None
    found.tokens.sum().backward()
    assert not fill.tokens["a"].grad.any()


def test_stand_ins_need_known_streams_and_a_neck():
    with pytest.raises(InputError, match=r"names \['sound'\]"):
        StandInTokens({"video": 4}, streams=["sound"])
    with pytest.raises(InputError, match="expected a neck"):
        MultiModalRecognizer(
            encoders=dict(skeleton=dict(type="SkeletonMamba", arch="nano")),
            heads=dict(
                action=dict(type="ClassificationHead", num_classes=2, in_dims=64)
            ),
            stand_ins=dict(type="StandInTokens"),
        )
