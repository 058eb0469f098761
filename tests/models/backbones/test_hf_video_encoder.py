"""Video models of transformers: features, weights by the real loading code, errors."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from mmfusion.models import AttentiveProbe, HFVideoEncoder
from mmfusion.utils.errors import CheckpointError, InputError
from tests.models.backbones.hf_models import TINY, published, tiny

FAMILIES = pytest.mark.parametrize("family", TINY)


def clips(count=2):
    torch.manual_seed(1)
    return torch.randn(count, 3, 4, 32, 32)


def own_tokens(model, family, x):
    """Tokens of transformers itself, (b, t, p, d), and the CLS token or None."""
    frames = x.transpose(1, 2)  # (b, f, 3, h, w)
    with torch.no_grad():
        if family == "vjepa2":
            hidden = model(frames, skip_predictor=True).last_hidden_state
            return hidden.unflatten(1, (2, 4)), None
        if family == "dinov3_vit":
            hidden = model(frames.flatten(0, 1)).last_hidden_state
            hidden = hidden.unflatten(0, (len(x), -1))  # (b, f, 3 + p, d)
            return hidden[:, :, 3:], hidden[:, :, 0].mean(1)
        if family == "hiera":
            out = model(frames.flatten(0, 1), output_hidden_states=True)
            places = out.reshaped_hidden_states[-1]  # (b f, rows, columns, d)
            return places.flatten(1, 2).unflatten(0, (len(x), -1)), None
        if family == "xclip":
            out = model.vision_model(frames.flatten(0, 1))
            tokens = out.last_hidden_state.unflatten(0, (len(x), -1))[:, :, 1:]
            return tokens, out.pooler_output.unflatten(0, (len(x), -1)).mean(1)
        hidden = model(frames).last_hidden_state
    if family == "timesformer":
        return hidden[:, 1:].unflatten(1, (4, 4)).transpose(1, 2), hidden[:, 0]
    if family == "vivit":
        return hidden[:, 1:].unflatten(1, (2, 4)), hidden[:, 0]
    return hidden.unflatten(1, (-1, 4)), None


@FAMILIES
def test_features_are_those_of_the_published_model(tmp_path, family):
    model = published(tmp_path, family)
    ours = HFVideoEncoder(str(tmp_path), num_frames=4)
    with pytest.raises(CheckpointError, match=r"call init_weights\(\) to load"):
        ours(clips())
    ours.init_weights()
    tokens, cls = own_tokens(model, family, clips())
    feats = ours.eval()(clips())
    torch.testing.assert_close(feats.tokens, tokens.flatten(1, 2), rtol=0, atol=1e-6)
    assert (feats.cls is None) is (cls is None)
    if cls is not None:
        torch.testing.assert_close(feats.cls, cls, rtol=0, atol=1e-6)
    assert feats.tokens.shape[-1] == ours.embed_dims
    assert not any(p.requires_grad for p in ours.parameters())
    ours.merge()
    whole = HFVideoEncoder(num_frames=4, **ours.config_without_files())
    whole.load_state_dict(ours.state_dict())
    assert torch.equal(whole.eval()(clips()).tokens, feats.tokens)


@FAMILIES
def test_masks_follow_the_frames(family):
    model = HFVideoEncoder(None, hf_config=tiny(family), num_frames=4).eval()
    there = torch.tensor([[True] * 4, [True, True, False, False]])
    feats = model(clips(), there)
    assert feats.mask.shape == feats.tokens.shape[:2]
    half = feats.mask.shape[1] // 2
    assert (
        feats.mask[0].all() and feats.mask[1].tolist() == [True] * half + [False] * half
    )
    if family == "dinov3_vit":  # frames one by one: the CLS token is of those there
        other = clips()
        other[1, :, 2:] = 0
        torch.testing.assert_close(model(other, there).cls, feats.cls)


def test_published_videomae_keeps_its_biases(tmp_path):
    """Its files name them q_bias and v_bias, and have none for the keys."""
    model = published(tmp_path, "videomae", kind="VideoMAEForVideoClassification")
    path = tmp_path / "model.safetensors"
    renamed = {}
    for key, value in load_file(path).items():
        if not key.endswith("key.bias"):
            key = key.replace("query.bias", "q_bias").replace("value.bias", "v_bias")
            renamed[key] = value
    save_file(renamed, path, {"format": "pt"})
    for layer in model.videomae.encoder.layer:
        layer.attention.attention.key.bias.data.zero_()
    ours = HFVideoEncoder(str(tmp_path))
    ours.init_weights()
    wanted = own_tokens(model.videomae, "videomae", clips())[0].flatten(1, 2)
    torch.testing.assert_close(ours(clips()).tokens, wanted, rtol=0, atol=1e-6)


def test_a_checkpoint_leaves_the_frozen_model_out(tmp_path):
    published(tmp_path, "vjepa2")
    ours = HFVideoEncoder(str(tmp_path))
    ours.init_weights()
    state = ours.state_dict()
    assert [*state] == ["base_digest"]
    again = HFVideoEncoder(str(tmp_path))
    again.load_state_dict(state)  # reads the published files by itself
    assert torch.equal(again(clips()).tokens, ours(clips()).tokens)
    published(tmp_path, "vjepa2", seed=8)
    with pytest.raises(CheckpointError, match=rf"other weights than {tmp_path}"):
        HFVideoEncoder(str(tmp_path)).load_state_dict(state)


def test_last_blocks_are_trained_and_saved(tmp_path):
    published(tmp_path, "videomae")
    build = dict(mode="tuned", tuning=dict(type="LastBlocks", num_blocks=1))
    ours = HFVideoEncoder(str(tmp_path), **build)
    ours.init_weights()
    ours.train()(clips()).tokens.square().sum().backward()
    trained = {name for name, p in ours.named_parameters() if p.grad is not None}
    assert trained and all(".layer.1." in name for name in trained)
    assert ours.model.encoder.layer[1].training
    assert not ours.model.encoder.layer[0].training
    state = ours.state_dict()
    assert {*state} == trained | {"base_digest"}
    with torch.no_grad():
        for parameter in ours.parameters():
            parameter += parameter.requires_grad
    again = HFVideoEncoder(str(tmp_path), **build)
    again.load_state_dict(ours.state_dict())
    assert torch.equal(again.eval()(clips()).tokens, ours.eval()(clips()).tokens)


def test_last_blocks_of_xclip_are_not_the_norm_before_them():
    build = dict(mode="tuned", tuning=dict(type="LastBlocks", num_blocks=1))
    model = HFVideoEncoder(None, hf_config=tiny("xclip"), num_frames=2, **build)
    model(clips()[:, :, :2]).cls.sum().backward()
    trained = {n for n, p in model.model.named_parameters() if p.grad is not None}
    assert "post_layernorm.bias" in trained
    assert all(name.startswith(("post_", "encoder.layers.1.")) for name in trained)


def test_sizes_that_no_weight_depends_on_may_differ():
    model = HFVideoEncoder(
        None, hf_config=tiny("vjepa2"), num_frames=6, img_size=48
    ).eval()
    assert model(torch.randn(1, 3, 6, 48, 48)).tokens.shape == (1, 27, 24)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(hf_config=tiny("vivit"), num_frames=8), "num_frames is 8, but a vivit"),
        (dict(hf_config=tiny("videomae"), num_frames=3), "3, expected a multiple of 2"),
        (dict(hf_config=tiny("videomae"), embed_dims=8), "embed_dims is 8, but a"),
        (dict(hf_config=dict(model_type="vit")), "'vit', expected one of .*'videomae'"),
        (dict(hf_config=dict(tiny("hiera"), num_query_pool=2)), "is 2, expected 3"),
        (dict(hf_config=tiny("videomae"), num_frames=0), "num_frames is 0, expected 1"),
        (dict(hf_config=dict(hidden_size=8)), "hf_config has no model_type"),
        (dict(hf_config=dict(tiny("vivit"), hidden_size="8")), "hf_config: .*'8'"),
        (dict(), "pretrained and hf_config are both None"),
        (
            dict(hf_config=tiny("vivit"), tuning=dict(type="LastBlocks")),
            "mode is 'frozen': expected 'tuned'",
        ),
        (
            dict(
                hf_config=tiny("vivit"),
                mode="tuned",
                tuning=dict(type="LastBlocks", num_blocks=3),
            ),
            "num_blocks is 3, but VivitModel has 2",
        ),
    ],
)
def test_errors(options, message):
    with pytest.raises(InputError, match=message):
        HFVideoEncoder(None, **options)


def test_what_is_not_here_names_the_command(tmp_path):
    with pytest.raises(OSError, match="hf download nobody/nothing --revision v1"):
        HFVideoEncoder("nobody/nothing", revision="v1")
    model = HFVideoEncoder("nobody/nothing", hf_config=tiny("vivit"))
    with pytest.raises(OSError, match="hf download nobody/nothing"):
        model.init_weights()
    published(tmp_path, "vivit")
    other = dict(tiny("vivit"), num_hidden_layers=3)
    model = HFVideoEncoder(str(tmp_path), hf_config=other)
    with pytest.raises(CheckpointError, match=r"does not fit VivitModel: .*layers\.2"):
        model.init_weights()
    wider = dict(tiny("vivit"), intermediate_size=32)
    model = HFVideoEncoder(str(tmp_path), hf_config=wider)
    with pytest.raises(CheckpointError, match="in another shape, .* is hf_config its"):
        model.init_weights()


def test_damaged_files_are_named(tmp_path):
    published(tmp_path, "vivit")
    model = HFVideoEncoder(str(tmp_path))
    path = tmp_path / "model.safetensors"
    tensors = load_file(path)
    save_file({k: v * float("nan") for k, v in tensors.items()}, path)
    with pytest.raises(CheckpointError, match=rf"{tmp_path}: .* has NaN or infinity"):
        model.init_weights()
    path.write_bytes(path.read_bytes()[:-64])
    with pytest.raises(OSError, match=rf"{tmp_path} .*model.safetensors is damaged"):
        model.init_weights()
    (tmp_path / "config.json").write_text("[1]")
    with pytest.raises(OSError, match=rf"{tmp_path} cannot be read"):
        HFVideoEncoder(str(tmp_path))


class Probed(torch.nn.Module):
    """Tokens of an encoder of 16 channels, pooled."""

    def __init__(self, family):
        super().__init__()
        self.encoder = HFVideoEncoder(None, hf_config=tiny(family), num_frames=4)
        self.neck = AttentiveProbe(16, num_heads=4)

    def forward(self, x):
        return self.neck({"video": self.encoder(x)})


def test_an_exported_graph_takes_any_batch():
    model = Probed("timesformer").eval()
    batch = torch.export.Dim("batch", min=1, max=64)
    shapes = ({0: batch},)
    graph = torch.export.export(model, (clips(2),), dynamic_shapes=shapes, strict=False)
    x = clips(3)
    torch.testing.assert_close(graph.module()(x), model(x))
