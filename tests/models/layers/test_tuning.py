"""LoRA in encoders of transformers: what is trained, merged and saved."""

import pytest
import torch

from mmfusion.models import HFVideoEncoder, TextEncoder
from mmfusion.utils.errors import CheckpointError, InputError
from tests.models.backbones.hf_models import ROBERTA, TINY, published, tiny

LORA = dict(mode="tuned", tuning=dict(type="LoRA", rank=2, alpha=4.0))


def text_encoder(source=None, **options):
    return TextEncoder(source, hf_config=ROBERTA, **{**LORA, **options})


def video_encoder(family, source=None, **options):
    given = {**LORA, "num_frames": 4, **options}
    return HFVideoEncoder(source, hf_config=tiny(family), **given)


def build(kind, source=None, **options):
    torch.manual_seed(0)
    if kind == "text":
        return text_encoder(source, **options)
    return video_encoder(kind, source, **options)


def inputs(kind):
    torch.manual_seed(1)
    if kind == "text":
        return torch.randint(3, 40, (2, 1, 6))
    return torch.randn(2, 3, 4, 32, 32)


def shake(model):
    """Random adapters: B is zero at the start."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                parameter.normal_(0, 0.1)


@pytest.mark.parametrize("kind", [*TINY, "text"])
def test_gradients_only_in_the_adapters_and_merged_is_the_same(kind):
    model, x = build(kind), inputs(kind)
    frozen = build(kind, mode="frozen", tuning=None).eval()
    torch.testing.assert_close(
        model.eval()(x).tokens, frozen(x).tokens, rtol=0, atol=1e-6
    )
    shake(model)
    out = model(x)
    assert not torch.allclose(out.tokens, frozen(x).tokens, atol=1e-3)
    out.tokens.square().sum().backward()
    names = {name for name, p in model.named_parameters() if p.grad is not None}
    assert names == {n for n, p in model.named_parameters() if p.requires_grad}
    assert names and all(".lora_A." in name or ".lora_B." in name for name in names)
    model, x = model.double(), x if kind == "text" else x.double()
    adapted = model(x).tokens
    model.merge()  # in float32 they differ by 1.5e-6 at most, by rounding
    torch.testing.assert_close(model(x).tokens, adapted, rtol=0, atol=1e-12)
    assert model.state_dict().keys() == frozen.state_dict().keys()
    assert not any(p.requires_grad for p in model.parameters())


def save_text(folder, seed):
    from transformers import RobertaConfig, RobertaModel

    torch.manual_seed(seed)
    keys = {key: value for key, value in ROBERTA.items() if key != "model_type"}
    RobertaModel(RobertaConfig(**keys)).save_pretrained(folder)


@pytest.mark.parametrize("kind", ["videomae", "text"])
def test_a_checkpoint_holds_the_adapters_and_knows_their_base(tmp_path, kind):
    def save(seed):
        if kind == "text":
            return save_text(tmp_path, seed)
        return published(tmp_path, kind, seed)

    save(7)
    model, x = build(kind, str(tmp_path)), inputs(kind)
    model.init_weights()
    shake(model)
    state = model.state_dict()
    assert all("lora_" in key or key == "base_digest" for key in state)
    again = build(kind, str(tmp_path))
    again.load_state_dict(state)  # the base is read by it
    assert torch.equal(again.eval()(x).tokens, model.eval()(x).tokens)
    save(8)
    with pytest.raises(CheckpointError, match=r"other weights than .* theirs have sha"):
        build(kind, str(tmp_path)).load_state_dict(state)


@pytest.mark.parametrize(
    ("kind", "config", "least"),
    [
        (HFVideoEncoder, dict(model_type="vjepa2"), 300e6),  # ViT-L's defaults
        (TextEncoder, None, 120e6),
    ],
    ids=["V-JEPA 2 ViT-L", "RoBERTa base"],
)
def test_adapters_are_small(kind, config, least):
    with torch.device("meta"):
        tuning = dict(type="LoRA", rank=16)
        name = "FacebookAI/roberta-base"
        model = kind(name, hf_config=config, mode="tuned", tuning=tuning)
    saved = sum(value.numel() for value in model.state_dict().values())
    base = sum(p.numel() for n, p in model.named_parameters() if "lora_" not in n)
    assert base > least and 0 < saved < 0.01 * base


def test_layers_are_named_or_an_error():
    names = ["key", "0.attention.attention.query"]
    model = build("videomae", tuning=dict(type="LoRA", rank=2, layers=names))
    adapted = {name.split(".lora_")[0] for name in dict(model.named_parameters())}
    adapted = sorted(name for name in adapted if name.endswith(("key", "query")))
    start = "model.encoder.layer"
    assert adapted == [
        f"{start}.0.attention.attention.key",
        f"{start}.0.attention.attention.query",
        f"{start}.1.attention.attention.key",
    ]
    with pytest.raises(InputError, match=r"layers is \['nose'\] of LoRA: .*not found"):
        build("videomae", tuning=dict(type="LoRA", layers=["nose"]))
    for wrong, told in (
        (dict(layers=["key", "0.query"]), r"has no layer \['0.query'\]"),
        (dict(layers="query"), "expected a list of names"),
        (dict(rank=2.5), "rank is 2.5"),
        (dict(alpha=float("nan")), "alpha nan"),
    ):
        with pytest.raises(InputError, match=told):
            build("videomae", tuning=dict(type="LoRA", **wrong))


def test_peft_is_imported_by_one_door(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "peft", None)
    with pytest.raises(ImportError, match=r"adapters by LoRA need the package peft"):
        build("vivit")
