import pytest
import torch

from mmfusion.models import CLSMixFusion
from mmfusion.models.layers import forward_blocks
from mmfusion.structures import TokenFeatures
from tests.models.backbones.generated_weights import fill_by_rule

AVERAGE = dict(type="AverageMix")


def features(lengths=(5, 7), width=16, names=("video", "skeleton")):
    return {
        name: TokenFeatures(torch.randn(2, length, width), torch.randn(2, width))
        for name, length in zip(names, lengths, strict=True)
    }


def build(**options):
    return CLSMixFusion(**{"mix": AVERAGE, "embed_dims": 16, **options}).eval()


PLACES = {  # tokens of 5, 7, 3 and 2; the middle is behind half of the streams
    ("front", 2): 0,
    ("middle", 2): 5,
    ("end", 2): 12,
    ("front", 3): 0,
    ("middle", 3): 5,
    ("end", 3): 15,
    ("middle", 4): 12,
}


@pytest.mark.parametrize(("position", "count"), PLACES)
def test_sequence_by_hand(position, count):
    """Embeddings are added by stream, and the mixed CLS token stands at its place."""
    names, place = (
        ("video", "skeleton", "text", "gaze")[:count],
        PLACES[position, count],
    )
    neck = build(streams=names, cls_position=position, bidirectional=True)
    fill_by_rule(neck)
    feats = features((5, 7, 3, 2)[:count], names=names)
    seen = []
    neck.layers[0].register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    fused = neck(feats)
    streams = zip(feats.values(), neck.modality_embed, strict=True)
    tokens = torch.cat([stream.tokens + embed for stream, embed in streams], dim=1)
    mixed = torch.stack([stream.cls for stream in feats.values()]).mean(0)
    expected = [tokens[:, :place], mixed.unsqueeze(1), tokens[:, place:]]
    torch.testing.assert_close(seen[0], torch.cat(expected, dim=1))
    read = forward_blocks(seen[0], neck.layers, neck.norm_f, neck.drop_path)
    torch.testing.assert_close(fused, read[:, place])


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


def test_a_stream_without_a_cls_token_gives_the_mean_of_its_real_tokens():
    """And one that is missing from a sample takes no part in the mean of streams."""
    names = ("video", "skeleton", "text")
    neck, feats = build(streams=names), features((5, 7, 3), names=names)
    mask = torch.tensor([[True, False, True], [False] * 3])
    feats["text"] = TokenFeatures(feats["text"].tokens, None, mask)
    seen = []
    neck.layers[0].register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    neck(feats)
    text = feats["text"].tokens[0, [0, 2]].mean(0)
    others = feats["video"].cls + feats["skeleton"].cls
    torch.testing.assert_close(seen[0][0, -1], (others[0] + text) / 3)
    torch.testing.assert_close(seen[0][1, -1], others[1] / 2)


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
