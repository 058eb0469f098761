"""The baselines of paper B's Table 3: MLPFusion and TransformerFusion."""

import pytest
import torch

from mmfusion.models import MLPFusion, TransformerFusion
from mmfusion.models.necks.stream_inputs import stream_mlp
from mmfusion.structures import TokenFeatures
from tests.models.backbones.generated_weights import fill_by_rule

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


def watched(neck):
    """The list that gets what the first block is given, sequence and mask."""
    seen = []
    neck.blocks[0].register_forward_pre_hook(lambda _, args: seen.append(args))
    return seen


def test_sequence_of_a_transformer_by_hand():
    """Each stream has a CLS token, positions and a type of its own."""
    neck, feats = build("tokens", streams=PLAIN), features()
    fill_by_rule(neck)
    seen = watched(neck)
    neck(feats)
    video = torch.cat([feats["video"].cls.unsqueeze(1), feats["video"].tokens], 1)
    parts = []
    for index, tokens in enumerate((video, feats["text"].tokens)):
        x = torch.cat([neck.cls_token[index].expand(2, 1, -1), tokens], 1)
        positions = neck.pos_embed[index, : x.shape[1]]
        parts.append(x + positions + neck.modality_embed[index])
    x, mask = seen[0]
    assert mask is None
    torch.testing.assert_close(x, torch.cat(parts, 1))


@pytest.mark.parametrize("lacking", ["video", "text"])
def test_readable_tokens_of_a_transformer(lacking):
    """A missing stream's own CLS token is not read, unless it is the output."""
    neck, feats = build("tokens", streams=PLAIN), features()
    old = feats[lacking]
    mask = torch.ones(old.tokens.shape[:2], dtype=torch.bool)
    mask[0], mask[1, 2] = False, False
    feats[lacking] = TokenFeatures(old.tokens, old.cls, mask)
    seen = watched(neck)
    neck(feats)
    video, text = torch.ones(2, 1 + 1 + 7), torch.ones(2, 1 + 5)
    if lacking == "video":
        video[0, 1:], video[1, 4] = 0, 0
    else:
        text[0], text[1, 3] = 0, 0
    torch.testing.assert_close(seen[0][1].float(), torch.cat([video, text], 1))


class Zero(torch.nn.Module):
    """A dropout of everything."""

    def forward(self, x):
        return torch.zeros_like(x)


def test_dropout_of_a_transformer_is_of_its_input_and_of_both_branches():
    neck = build("tokens")
    rates = [m.p for m in neck.modules() if isinstance(m, torch.nn.Dropout)]
    assert rates == [0.1] * 3 and neck.blocks[0].drop_rate == 0.1
    block, x = neck.blocks[1], torch.randn(2, 5, D)
    block.dropout = Zero()
    assert torch.equal(block(x), x)
    seen = watched(neck)
    neck.dropout = Zero()
    neck(features())
    assert not seen[0][0].any()


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
