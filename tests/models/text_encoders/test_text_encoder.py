import huggingface_hub
import pytest
import torch
from mmengine.model import BaseModel, ModuleDict

from mmfusion.models import TextEncoder
from mmfusion.utils.errors import CheckpointError
from tests.models.backbones.hf_models import ROBERTA

BERT = {**ROBERTA, "model_type": "bert"}
MODES = pytest.mark.parametrize("mode", ["frozen", "tuned", "embeddings"])


def build(source=None, **options):
    torch.manual_seed(0)
    options = {"hf_config": ROBERTA, "mode": "tuned", **options}
    return TextEncoder(source, **options).eval()


def questions():
    """Two clips of two questions; the last is missing, the one before is short."""
    x = torch.randint(3, 40, (2, 2, 6))
    mask = torch.ones_like(x, dtype=torch.bool)
    mask[1, 0, 4:] = False
    mask[1, 1] = False
    return x.masked_fill(~mask, 1), mask


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A published encoder: other weights than any that a test builds."""
    from transformers import RobertaConfig, RobertaModel

    torch.manual_seed(99)
    options = {key: value for key, value in ROBERTA.items() if key != "model_type"}
    path = tmp_path_factory.mktemp("published")
    RobertaModel(RobertaConfig(**options)).save_pretrained(path)
    return str(path)


def published(folder):
    from safetensors.torch import load_file

    return load_file(f"{folder}/model.safetensors")


@MODES
def test_shapes_and_gradients(mode):
    model, (x, mask) = build(mode=mode), questions()
    feats = model(x, mask)
    length = 6 if mode == "embeddings" else 5
    assert feats.tokens.shape == (4, length, 16) and feats.mask.shape == (4, length)
    assert (feats.cls is None) is (mode == "embeddings")
    assert feats.present.tolist() == [True, True, True, False]
    trained = [p for p in model.parameters() if p.requires_grad]
    assert bool(trained) is (mode == "tuned")
    if trained:
        (feats.tokens.sum() + feats.cls.square().sum()).backward()
        assert all(p.grad is not None for p in trained)


@pytest.mark.parametrize("config", [ROBERTA, BERT], ids=["roberta", "bert"])
@MODES
def test_padding_is_not_read(mode, config):
    model, (x, mask) = build(mode=mode, hf_config=config, summary="mean"), questions()
    short = model(x[1:, :1, :4]).tokens
    torch.testing.assert_close(model(x, mask).tokens[2:3, :4], short)
    assert model(x, mask).tokens.isfinite().all()


@pytest.mark.parametrize("summary", ["first", "mean"])
def test_the_mask_is_that_of_the_tokens_that_are_given(summary):
    """Padding in front and a gap: the first token is not read, nor told as real."""
    model, x = build(summary=summary), torch.randint(3, 39, (2, 2, 6))
    mask = torch.tensor([[False, False, True, True, False, True]]).expand(2, 2, 6)
    feats = model(x, mask)
    given = mask.flatten(0, 1)
    assert torch.equal(feats.mask, given[:, 1:] if summary == "first" else given)
    changed = x.clone()
    changed[..., 0] += 1
    other = model(changed, mask)
    torch.testing.assert_close(other.tokens[feats.mask], feats.tokens[feats.mask])


@MODES
def test_published_weights_survive_init_weights(folder, mode):
    class Model(BaseModel):
        def __init__(self):
            super().__init__()
            self.encoders = ModuleDict({"text": build(folder, mode=mode)})

        def forward(self):
            pass

    model = Model()
    model.init_weights()
    model.encoders["text"].init_weights()  # again, as a careless caller may
    wanted = published(folder)
    model.encoders["text"](questions()[0])  # it may be used
    prefix = "embeddings." if mode == "embeddings" else ""
    state = model.encoders["text"].model.state_dict()
    assert len(state) > 4
    for key, value in state.items():
        assert torch.equal(value, wanted[prefix + key]), key


def test_weights_by_folder_alone_and_the_pooler(folder):
    model = TextEncoder(folder, summary="pooler").eval()  # config.json is read
    with pytest.raises(RuntimeError, match=r"call init_weights\(\) to load"):
        model(questions()[0])
    model.init_weights()
    x, mask = questions()
    feats = model(x, mask)
    first = feats.tokens[:, 0] @ published(folder)["pooler.dense.weight"].T
    expected = (first + published(folder)["pooler.dense.bias"]).tanh()
    torch.testing.assert_close(feats.cls, expected)


def test_a_checkpoint_counts_as_weights(folder):
    model, other = build(folder), build()
    model.load_state_dict(other.state_dict())
    x, mask = questions()
    assert torch.equal(model(x, mask).tokens, other(x, mask).tokens)


def test_dropout_acts_but_in_a_frozen_encoder():
    x, mask = questions()
    for mode, same in (("frozen", True), ("embeddings", False), ("tuned", False)):
        model = build(mode=mode).train()
        assert torch.equal(model(x, mask).tokens, model(x, mask).tokens) is same


def test_roberta_base_is_built_without_files():
    with torch.device("meta"):
        model, embeddings = TextEncoder(), TextEncoder(mode="embeddings")
    counts = [sum(p.numel() for p in m.parameters()) for m in (model, embeddings)]
    assert counts == [124_055_040, 39_000_576]  # without the pooler's 590,592
    assert model.num_positions == 512


def test_what_is_not_here_names_its_command(monkeypatch):
    # without it the hub is asked again and again, some 20 s
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    model = TextEncoder("nobody/nothing", revision="v1", hf_config=ROBERTA)
    with pytest.raises(OSError, match="hf download nobody/nothing --revision v1"):
        model.init_weights()
    with pytest.raises(OSError, match="no folder .no/such/folder."):
        TextEncoder("no/such/folder")


def test_weights_of_another_architecture_raise(folder):
    model = build(folder, hf_config={**ROBERTA, "num_hidden_layers": 3})
    with pytest.raises(CheckpointError, match=r"layer\.2"):
        model.init_weights()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(mode="half"), "mode is 'half'"),
        (dict(summary="last"), "summary is 'last'"),
        (dict(hf_config=None), "both None"),
        (dict(mode="embeddings", summary="pooler"), "not its embeddings"),
    ],
    ids=["mode", "summary", "nothing", "pooler"],
)
def test_wrong_arguments_raise(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)


def test_wrong_inputs_raise():
    model, (x, mask) = build(), questions()
    with pytest.raises(ValueError, match=r"expected int64 \(b, q, l\)"):
        model(x[0])
    with pytest.raises(ValueError, match="text_mask has shape"):
        model(x, mask[:1])
    with pytest.raises(ValueError, match="13 tokens a question, expected at most 12"):
        model(torch.ones(1, 1, 13, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"ids up to 40, expected 0\.\.39"):
        model(torch.full((1, 1, 3), 40))


def test_a_misspelt_key_of_the_architecture_is_refused():
    tiny = dict(model_type="roberta", hidden_size=8, num_attehtion_heads=2)
    with pytest.raises(
        ValueError, match="no key 'num_attehtion_heads'; nearest: num_a"
    ):
        TextEncoder(None, hf_config=tiny, mode="embeddings")
