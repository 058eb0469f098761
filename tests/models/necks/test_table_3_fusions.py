"""The baselines of paper B's Table 3: MLPFusion and TransformerFusion."""

import pytest
import torch

from mmfusion.models import MLPFusion, TransformerFusion
from mmfusion.models.necks.stream_inputs import stream_mlp
from mmfusion.structures import TokenFeatures

D = 16
PLAIN = {"video": {}, "text": {}}
SMALL = dict(depth=2, num_heads=4, num_positions=10)
# at width 768, without the text's MLP of 1,771,008 (issue: 3.54, 50.2 and 92.7 M)
TABLE_3 = {
    "MLP": (MLPFusion, {}, 3_541_248),
    "6x4": (TransformerFusion, dict(depth=6, num_heads=4), 50_196_480),
    "12x12": (TransformerFusion, dict(depth=12, num_heads=12), 92_709_888),
}


def features(rows=2):
    return {
        "video": TokenFeatures(torch.randn(rows, 7, D), torch.randn(rows, D)),
        "text": TokenFeatures(torch.randn(rows, 5, D)),
    }


def build(kind, **options):
    torch.manual_seed(0)
    neck = MLPFusion if kind == "mlp" else TransformerFusion
    small = {} if kind == "mlp" else {**SMALL, "inputs": kind}
    return neck(D, **{**small, **options}).eval()


KINDS = pytest.mark.parametrize("kind", ["mlp", "pooled", "tokens"])


@pytest.mark.parametrize("name", TABLE_3)
def test_parameters_as_the_paper_counts_them(name):
    kind, options, expected = TABLE_3[name]
    with torch.device("meta"):
        plain, full = (
            kind(768, streams=streams, **options)
            for streams in (PLAIN, {"video": {}, "text": {"mlp": True}})
        )
    counts = [sum(p.numel() for p in neck.parameters()) for neck in (plain, full)]
    assert counts == [expected, expected + 1_771_008]


@KINDS
def test_shape_and_every_gradient(kind):
    neck = build(kind).train()
    y = neck(features())
    y.square().sum().backward()
    assert y.shape == (2, D)
    assert all(p.grad.abs().any() for p in neck.parameters())


def test_mlp_by_hand():
    neck, feats = build("mlp", streams=PLAIN), features()
    x = torch.cat([feats["video"].cls, feats["text"].tokens.mean(1)], 1)
    expected = neck.fc2(torch.nn.functional.gelu(neck.fc1(x)))
    torch.testing.assert_close(neck(feats), expected)


def test_pooled_reads_four_tokens_and_tokens_all():
    lengths = []
    for kind in ("pooled", "tokens"):
        neck = build(kind)
        neck.blocks[0].register_forward_pre_hook(
            lambda module, args: lengths.append(args[0].shape[1])
        )
        neck(features())
    assert lengths == [4, (1 + 1 + 7) + (1 + 5)]


@KINDS
def test_padding_is_not_read(kind):
    neck, feats = build(kind), features()
    mask = torch.tensor([[True, True, True, False, False], [True] * 5])
    outputs = []
    for noise in (0.0, 1e3):
        tokens = feats["text"].tokens.clone()
        tokens[0, 3:] += noise
        outputs.append(neck({**feats, "text": TokenFeatures(tokens, mask=mask)}))
    assert torch.equal(*outputs)
    short = {
        "video": TokenFeatures(feats["video"].tokens[:1], feats["video"].cls[:1]),
        "text": TokenFeatures(feats["text"].tokens[:1, :3]),
    }
    torch.testing.assert_close(outputs[0][:1], neck(short))


@KINDS
@pytest.mark.parametrize("name", ["video", "text"])
def test_a_missing_stream_is_not_read(kind, name):
    neck, feats = build(kind), features()
    stream = feats[name]
    mask = torch.ones(stream.tokens.shape[:2], dtype=torch.bool)
    mask[0] = False
    outputs = []
    for noise in (0.0, 1e3):
        tokens = stream.tokens.clone()
        tokens[0] += noise
        cls = None if stream.cls is None else stream.cls + noise * ~mask[:, :1]
        outputs.append(neck({**feats, name: TokenFeatures(tokens, cls, mask)}))
    assert torch.equal(*outputs) and outputs[0].isfinite().all()
    torch.testing.assert_close(outputs[0][1], neck(feats)[1])


@KINDS
def test_two_questions_a_clip(kind):
    neck, feats = build(kind), features()
    questions = TokenFeatures(torch.randn(4, 5, D))
    fused = neck({**feats, "text": questions})
    assert fused.shape == (4, D)
    for index in range(2):
        text = TokenFeatures(questions.tokens[index::2])
        torch.testing.assert_close(fused[index::2], neck({**feats, "text": text}))


def test_wrong_arguments_raise():
    with pytest.raises(ValueError, match="expected one of"):
        build("tokens", inputs="all")
    with pytest.raises(ValueError, match="num_heads=3"):
        build("tokens", num_heads=3)
    with pytest.raises(ValueError, match="'video' has 8 tokens and a CLS"):
        build("tokens", num_positions=8)(features())


def test_tokens_keep_their_size_through_the_mlp():
    """Or the scan's gate, a product of two numbers, hides a stream at the start."""
    torch.manual_seed(0)
    y = stream_mlp(256, 256)(torch.randn(64, 256))
    assert 0.7 < y.std() < 1.4
