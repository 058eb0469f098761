import pytest
import torch

from mmfusion.models import CLSMixFusion
from mmfusion.structures import TokenFeatures

AVERAGE = dict(type="AverageMix")


def features(lengths=(5, 7), width=16, names=("video", "skeleton")):
    return {
        name: TokenFeatures(torch.randn(2, length, width), torch.randn(2, width))
        for name, length in zip(names, lengths, strict=True)
    }


def build(**options):
    return CLSMixFusion(**{"mix": AVERAGE, "embed_dims": 16, **options}).eval()


def test_sequence_by_hand():
    """Embeddings are added by stream, and the mixed CLS token comes last."""
    neck, feats = build(), features()
    seen = {}
    neck.layers[0].register_forward_pre_hook(
        lambda module, args: seen.update(x=args[0])
    )
    neck(feats)
    video, skeleton = feats["video"], feats["skeleton"]
    expected = torch.cat(
        [
            video.tokens + neck.modality_embed[0],
            skeleton.tokens + neck.modality_embed[1],
            ((video.cls + skeleton.cls) / 2).unsqueeze(1),
        ],
        dim=1,
    )
    torch.testing.assert_close(seen["x"], expected)


@pytest.mark.parametrize("position", ["front", "middle", "end"])
def test_every_token_reaches_the_output(position):
    neck = build(cls_position=position, bidirectional=True)
    feats = features()
    base = neck(feats)
    for name in feats:
        for token in (0, -1):
            changed = features()
            changed.update({k: feats[k] for k in feats})
            tokens = feats[name].tokens.clone()
            tokens[:, token] += 1
            changed[name] = TokenFeatures(tokens, feats[name].cls)
            assert not torch.equal(neck(changed), base), (name, token)


def test_order_of_streams_counts():
    feats = features()
    one, other = build(), build(streams=("skeleton", "video"))
    other.load_state_dict(one.state_dict())
    assert not torch.equal(one(feats), other(feats))


def test_three_streams_of_other_widths():
    names = ("video", "skeleton", "text")
    feats = features((5, 7, 3), names=names)
    feats["text"] = TokenFeatures(torch.randn(2, 3, 8), None)
    neck = build(streams=names, in_dims={"text": 8}, num_blocks=2)
    assert neck(feats).shape == (2, 16)


def test_masked_tokens_are_not_read():
    neck, feats = build(), features()
    mask = torch.ones(2, 7, dtype=torch.bool)
    mask[:, 4:] = False
    outputs = []
    for noise in (0.0, 1e3):
        tokens = feats["skeleton"].tokens.clone()
        tokens[:, 4:] += noise
        stream = TokenFeatures(tokens, feats["skeleton"].cls, mask)
        outputs.append(neck({"video": feats["video"], "skeleton": stream}))
    assert torch.equal(*outputs)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(cls_position="start"), "expected one of"),
        (dict(cls_position="front"), "bidirectional=True"),
        (dict(streams=("video",)), "two or more"),
        (dict(in_dims={"audio": 3}), "audio"),
    ],
    ids=["position", "direction", "streams", "widths"],
)
def test_wrong_arguments_raise(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)


def test_wrong_features_raise():
    feats = features()
    with pytest.raises(ValueError, match="encoders give"):
        build()({"video": feats["video"]})
    feats["skeleton"] = TokenFeatures(torch.randn(2, 3, 8), None)
    with pytest.raises(ValueError, match="in_dims"):
        build()(feats)
