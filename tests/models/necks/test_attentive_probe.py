import pytest
import torch

from mmfusion.models import AttentiveProbe
from mmfusion.structures import TokenFeatures
from mmfusion.utils.errors import InputError


def feats(*names, mask=None, dims=16):
    torch.manual_seed(0)
    return {name: TokenFeatures(torch.randn(2, 5, dims), None, mask) for name in names}


@pytest.mark.parametrize("depth", [1, 3])
def test_equals_the_probe_of_transformers(depth):
    from transformers import VJEPA2Config
    from transformers.models.vjepa2.modeling_vjepa2 import VJEPA2AttentivePooler

    config = VJEPA2Config(
        hidden_size=16, num_attention_heads=4, num_pooler_layers=depth - 1
    )
    config._attn_implementation = "sdpa"
    theirs = VJEPA2AttentivePooler(config).eval()
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.normal_(0, 0.3)
    ours = AttentiveProbe(16, depth=depth, num_heads=4)
    ours.load_state_dict(theirs.state_dict())
    given = feats("video")
    wanted = theirs(given["video"].tokens)
    torch.testing.assert_close(ours(given), wanted, rtol=0, atol=1e-6)


def test_count_of_parameters_is_that_of_its_docstring():
    for depth in (1, 4):
        probe = AttentiveProbe(32, depth=depth, num_heads=4)
        count = sum(p.numel() for p in probe.parameters())
        assert count == depth * (12 * 32**2 + 13 * 32) - 32**2


def test_what_is_masked_is_not_read_and_all_is_trained():
    mask = torch.tensor([[True, True, False, False, False], [False] * 5])
    streams = dict(video={}, text=dict(mlp=True))
    probe = AttentiveProbe(16, depth=2, num_heads=4, streams=streams)
    given = feats("video", "text", mask=mask)
    out = probe(given)
    out.sum().backward()
    assert out.shape == (2, 16) and out.isfinite().all()
    assert [name for name, p in probe.named_parameters() if p.grad is None] == []
    given["video"].tokens[0, 2:] += 1
    torch.testing.assert_close(probe(given)[0], out[0])
    whole = feats("video", "text")
    whole["text"] = given["text"]  # a stream with a mask beside one without
    assert probe(whole).isfinite().all()


def test_heads_divide_the_width():
    with pytest.raises(InputError, match="depth is 1, embed_dims 20, num_heads 16"):
        AttentiveProbe(20)
