"""AVT's head and AFFT's fuser and predictor against figures of the authors' own code.

AVT at b082c99 and AFFT at 7115751, run unmodified with the weights and the moments of
``generated_weights``; the states are theirs, so that loading a whole file is tried too.
"""

import pytest
import torch
from torch import nn

from mmfusion.models import (
    FeatureRegression,
    FuturePredictor,
    MultiModalRecognizer,
    PastClassification,
    SAFuser,
)
from mmfusion.registry import MODELS
from mmfusion.structures import ActionDataSample, Foreseen, ForwardPass, TokenFeatures
from mmfusion.utils.errors import CheckpointError
from mmfusion.weights import fit
from tests.models.backbones.generated_weights import drawn
from tests.tolerances import FORWARD

WIDTHS = {"avt": dict(video=8), "afft": dict(rgb=8, obj=6, flow=8)}
AUTHORS = {  # logits of the future and of the last observed moment, the feature loss
    "avt": (
        [-0.0536658, 0.1008028, -0.1523273, 0.0852879, -0.2505494],
        [0.0094970, 0.0604141, 0.0346048, 0.1941966, 0.0346540],
        1.7934093,
    ),
    "afft": (
        [0.2027870, -0.0365227, 0.0867190, -0.1448027, 0.1669358],
        [0.2286743, -0.0003204, 0.0965185, -0.2115312, 0.1864882],
        1.8497341,
    ),
}


@MODELS.register_module(force=True)
class AsTheyAre(nn.Module):
    """An encoder that gives its moments."""

    embed_dims = 8

    def forward(self, x, mask=None):
        return TokenFeatures(x, None, mask)


def build(name):
    fuser = dict(type=SAFuser, streams=WIDTHS[name], embed_dims=8, depth=2, num_heads=2)
    neck = dict(type=FuturePredictor, in_dims=8, embed_dims=16, depth=2, num_heads=2)
    head = dict(type="ClassificationHead", num_classes=5, in_dims=8, drop_rate=0.2)
    return MultiModalRecognizer(
        {stream: dict(type=AsTheyAre) for stream in WIDTHS[name]},
        dict(action=head),
        neck=dict(neck, fuser=fuser) if name == "afft" else neck,
        auxiliary=dict(
            observed=dict(type=FeatureRegression), past=dict(type=PastClassification)
        ),
    ).eval()


def published_key(name, key):
    """The authors' name of a tensor of our model."""
    if key.startswith("heads.action.fc."):
        part = key.rpartition(".")[2]
        if name == "avt":
            return f"classifiers.action.{part}"
        return f"future_predictor.classifiers.action.all-fused.1.{part}"
    key = key.replace("neck.", "future_predictor.", 1)
    if name == "avt":
        return key
    key = key.replace(".fuser.mapping.obj.", ".mapping.objects.mapping.0.")
    for part in ("encoder", "decoder"):
        key = key.replace(f"predictor.{part}.", f"predictor.dim_{part}.")
    return key.replace(".gpt_model.", ".future_predictor.gpt_model.")


def published(name, model):
    """A state as the authors' own model has it, drawn as ``fill_by_rule`` does."""
    state = {}
    for ours, value in model.state_dict().items():
        key = published_key(name, ours)
        state[key] = drawn(key, tuple(value.shape)) * 0.1
        if value.dim() == 1 and key.endswith("weight"):
            state[key] += 1  # a norm
    return state


@pytest.fixture(scope="module", params=WIDTHS)
def loaded(request):
    model = build(request.param)
    state = published(request.param, model)
    found, _ = fit(state, model, "a published file")
    model.load_state_dict(found)
    return request.param, model, state


def inputs_of(name):
    if name == "avt":
        return dict(video=drawn("moments", (2, 5, 8)).unsqueeze(1))
    return {
        stream: drawn(dict(obj="objects").get(stream, stream), (2, 5, width))[:, None]
        for stream, width in WIDTHS[name].items()
    }


def test_figures_are_the_authors(loaded):
    name, model, _ = loaded
    with torch.no_grad():
        made = model.run(inputs_of(name))
    future, past, error = (torch.tensor(value) for value in AUTHORS[name])
    found = FeatureRegression()(made)["feature"]
    close = FORWARD[torch.float32]
    torch.testing.assert_close(made.logits["action"][0], future, **close)
    torch.testing.assert_close(made.past_logits["action"][0, -1], past, **close)
    torch.testing.assert_close(found, error, **close)


def test_a_published_file_fits_strictly(loaded):
    name, model, state = loaded
    extra = {"future_predictor.gpt_model.h.0.attn.masked_bias": torch.tensor(-1e4)}
    fit(state | extra, model, "an old file")  # the causal mask of older transformers
    with pytest.raises(CheckpointError, match="does not fit"):
        fit(state | {"future_predictor.more": torch.ones(1)}, model, "a file")
    state = {key: value for key, value in state.items() if ".ln_f." not in key}
    with pytest.raises(CheckpointError, match=r"ln_f"):
        fit(state, model, "a file")


def test_no_moment_reads_a_later_one(loaded):
    name, model, _ = loaded
    inputs = inputs_of(name)
    later = {stream: x.clone() for stream, x in inputs.items()}
    for x in later.values():
        x[:, :, 3:] += 1
    with torch.no_grad():
        one, other = (model.run(x).foreseen.predicted for x in (inputs, later))
    torch.testing.assert_close(one[:, :3], other[:, :3])
    assert not torch.allclose(one[:, 3], other[:, 3])


def test_losses_of_the_past_reach_every_parameter(loaded):
    name, model, _ = loaded
    samples = []
    for past in ([1, -1, 2, 2, 0], [-1, -1, -1, 4, 4]):
        sample = ActionDataSample()
        sample.gt_action = torch.tensor(1)
        sample.past_action = torch.tensor(past)
        samples.append(sample)
    losses = model(inputs_of(name), samples, "loss")
    assert {"loss_action", "loss_observed_feature", "loss_past_action"} < {*losses}
    total = sum(value for key, value in losses.items() if key.startswith("loss"))
    model.zero_grad()
    total.backward()
    assert all(p.grad is not None for p in model.parameters())
    with pytest.raises(ValueError, match="past_action None, expected"):
        model(
            inputs_of(name), [ActionDataSample(gt_action=torch.tensor(1))] * 2, "loss"
        )


def test_a_stream_that_is_not_there_is_not_read():
    fuser = build("afft").neck.fuser
    feats = {
        name: TokenFeatures(torch.randn(1, 2, width))
        for name, width in WIDTHS["afft"].items()
    }
    seen = torch.tensor([[True, False]])
    feats["obj"].mask = seen
    feats["obj"].tokens[0, 1] = torch.nan_to_num(torch.tensor(torch.inf), posinf=1e4)
    before = fuser(feats).tokens
    feats["obj"].tokens[0, 1] = 0
    torch.testing.assert_close(fuser(feats).tokens, before)


def test_past_losses_by_hand():
    """One foreseen moment is 2 off in one of two channels: a mean square of 2 / ..."""
    observed = torch.zeros(1, 3, 2)
    predicted = torch.zeros(1, 3, 2)
    predicted[0, 0, 0] = 2.0
    made = ForwardPass({}, {}, observed, {}, 1, [ActionDataSample()])
    with pytest.raises(ValueError, match="foresees nothing"):
        FeatureRegression()(made)
    made = ForwardPass(
        {},
        {},
        observed,
        {},
        1,
        [ActionDataSample(past_action=torch.tensor([1, -1, 0]))],
        Foreseen(observed, predicted),
        {"action": torch.zeros(1, 3, 4)},
    )
    assert FeatureRegression(0.5)(made)["feature"].item() == 0.5 * 4 / 4
    found = PastClassification()(made)["action"]  # two labels of three moments
    torch.testing.assert_close(found, torch.tensor(4.0).log() * 2 / 3)
    found = PastClassification(mean_over="labelled")(made)["action"]
    torch.testing.assert_close(found, torch.tensor(4.0).log())
    assert made.foreseen.past[0, 1, 0] == 2.0 and made.foreseen.future.shape == (1, 2)
