"""Gradients scaled by what each stream gives, against numbers worked by hand."""

import math
from types import SimpleNamespace

import pytest
import torch

from mmfusion.engine import BalanceStreamsHook
from mmfusion.engine.hooks.stream_balance import (
    agm_coefficients,
    label_loss,
    ogm_coefficients,
    shapley_values,
)
from mmfusion.structures import keep_streams
from mmfusion.utils.errors import ConfigError
from tests.models.recognizers.test_multimodal_recognizer import build, make_batch


def test_ogm_worked_by_hand():
    # rho of video 0.6 / 0.2 = 3, of hands 1/3
    found = ogm_coefficients({"video": 0.6, "hands": 0.2}, 0.5)
    assert found == {"video": 1 - math.tanh(1.5), "hands": 1.0}
    # three streams: 0.6 over the mean of 0.3 and 0.2, 0.3 over that of 0.6 and 0.2
    found = ogm_coefficients({"a": 0.6, "b": 0.3, "c": 0.2}, 0.1)
    assert found == pytest.approx({"a": 1 - math.tanh(0.24), "b": 1.0, "c": 1.0})


def test_agm_worked_by_hand():
    # before: both 1, tau 1; now video loses 0.5 and hands 1.5: r = exp(1), exp(-1)
    now = {"video": 0.5, "hands": 1.5}
    found = agm_coefficients(now, {"video": 1.0, "hands": 1.0}, 0.2)
    expected = {"video": math.exp(0.2 * (1 - math.e))}
    expected["hands"] = math.exp(0.2 * (1 - 1 / math.e))
    assert found == pytest.approx(expected)
    assert agm_coefficients(now, now, 0.2) == {"video": 1.0, "hands": 1.0}


def test_shares_of_the_logits_worked_by_hand():
    def one(*values):
        return torch.tensor([values])

    both = {("a",): one(3.0, 0.0), ("b",): one(1.0, 2.0), ("a", "b"): one(6.0, 4.0)}
    found = shapley_values(both)
    assert found["a"].tolist() == [[4.0, 1.0]]  # (6 - 1 + 3) / 2, (4 - 2 + 0) / 2
    assert found["b"].tolist() == [[2.0, 3.0]]
    three = {("a",): 1, ("b",): 2, ("c",): 4, ("a", "b"): 4, ("a", "c"): 5}
    three |= {("b", "c"): 6, ("a", "b", "c"): 9}
    found = shapley_values({kept: one(float(x)) for kept, x in three.items()})
    # a: 1/3 (1 - 0) + 1/6 (4 - 2) + 1/6 (5 - 4) + 1/3 (9 - 6)
    assert found["a"].item() == pytest.approx(11 / 6)
    assert sum(x.item() for x in found.values()) == pytest.approx(9)


def test_the_loss_of_a_label_has_a_most():
    loss = label_loss(torch.tensor([[0.0, 0.0], [90.0, 0.0]]), torch.tensor([0, 1]))
    assert loss.tolist() == pytest.approx([math.log(2), -math.log(1e-8)])


def gradients(model, batch):
    model.zero_grad()
    model(**model.data_preprocessor(batch), mode="loss")["loss_action"].backward()
    return {name: p.grad.clone() for name, p in model.named_parameters()}


def listen(model, **settings):
    hook = BalanceStreamsHook(**settings)
    runner = SimpleNamespace(bare_model=model, epoch=0)
    hook.before_train(runner)
    hook.before_train_epoch(runner)
    return hook, runner


@pytest.fixture
def model_and_batch():
    torch.manual_seed(0)
    return build().train(), make_batch(batch=4, views=2)


def test_encoders_get_their_coefficient_and_nothing_else(model_and_batch):
    model, batch = model_and_batch
    plain = gradients(model, batch)
    hook, runner = listen(model, method="ogm", alpha=0.4)
    scaled = gradients(model, batch)
    with torch.no_grad():
        data = model.data_preprocessor(batch)
        hook.before_val_epoch(runner)
        feats, _ = model.eval().encode(data["inputs"])
        labels = torch.stack([s.gt_action for s in data["data_samples"]])
        score = {}
        for name in feats:
            logits = model.classify(keep_streams(feats, [name]), 8)["action"]
            own = logits.softmax(-1)[torch.arange(8), labels.repeat_interleave(2)]
            score[name] = own.mean().item()
    expected = ogm_coefficients(score, 0.4)
    assert hook.coefficients == pytest.approx(expected, rel=1e-5)
    assert min(expected.values()) < 1
    for name, grad in scaled.items():
        stream = name.split(".")[1] if name.startswith("encoders.") else ""
        factor = hook.coefficients.get(stream, 1.0)
        torch.testing.assert_close(grad, plain[name] * factor, rtol=1e-5, atol=1e-8)
    hook.after_train(runner)
    again = gradients(model.train(), batch)
    assert all(torch.equal(again[name], plain[name]) for name in plain)


def test_noise_has_the_spread_of_the_gradient(model_and_batch):
    model, batch = model_and_batch
    plain = gradients(model, batch)
    hook, _ = listen(model, method="ogm_ge", alpha=0.0)  # noise alone
    noisy = gradients(model, batch)
    moved = {name: noisy[name] - grad for name, grad in plain.items()}
    for name, noise in moved.items():
        if not name.startswith("encoders.") or noise.ndim < 2:
            assert not noise.any()
        elif noise.numel() > 2000 and plain[name].std() > 0:
            share = (noise.std() / plain[name].std()).item()
            assert 0.9 < share < 1.1
    assert hook.coefficients == {"video": 1.0, "skeleton": 1.0}


def test_agm_keeps_its_means_over_a_stop(model_and_batch):
    model, batch = model_and_batch
    hook, runner = listen(model, method="agm", alpha=0.3)
    gradients(model, batch)
    first, state = hook.coefficients, hook.state_dict()
    assert state["steps"] == 1 and first != {"video": 1.0, "skeleton": 1.0}
    gradients(model, batch)
    # the second step has the losses that are the means so far
    assert hook.coefficients == pytest.approx({"video": 1.0, "skeleton": 1.0})
    after = hook.state_dict()
    hook.after_train(runner)
    other, _ = listen(model, method="agm", alpha=0.3)
    other.load_state_dict(state)
    gradients(model, batch)
    assert other.state_dict() == after


def test_a_batch_without_a_stream_changes_nothing(model_and_batch):
    model, batch = model_and_batch
    mask = torch.zeros_like(batch["inputs"]["skeleton_mask"])
    batch["inputs"]["skeleton_mask"] = mask
    plain = gradients(model, batch)
    listen(model, method="ogm", alpha=0.9)
    scaled = gradients(model, batch)
    assert all(torch.equal(scaled[name], grad) for name, grad in plain.items())


def test_a_clip_without_a_label_says_nothing(model_and_batch):
    model, batch = model_and_batch
    model.unlabelled = True
    hook, _ = listen(model, method="ogm", alpha=0.4)
    for sample in batch["data_samples"][2:]:
        del sample.gt_action
    gradients(model, batch)
    found = hook.coefficients
    half = {key: value[:2] for key, value in batch["inputs"].items()}
    gradients(model, dict(inputs=half, data_samples=batch["data_samples"][:2]))
    assert found == pytest.approx(hook.coefficients, rel=1e-5)
    batch["data_samples"][0].gt_action = torch.ones(3, 5)
    with pytest.raises(ConfigError, match="a label for each moment"):
        gradients(model, batch)


def test_what_is_frozen_stays_as_it_was(model_and_batch):
    model, batch = model_and_batch
    model.neck.eval()
    listen(model, method="ogm", alpha=0.4)
    gradients(model, batch)
    assert not any(module.training for module in model.neck.modules())
    assert all(head.training for head in model.heads.values())


def test_it_ends_with_its_last_epoch(model_and_batch):
    model, batch = model_and_batch
    plain = gradients(model, batch)
    hook, runner = listen(model, method="ogm_ge", alpha=0.9, end_epoch=2)
    runner.epoch = 2
    hook.before_train_epoch(runner)
    later = gradients(model, batch)
    assert all(torch.equal(later[name], grad) for name, grad in plain.items())


def test_wrong_settings(model_and_batch):
    model, _ = model_and_batch
    with pytest.raises(ValueError, match="method"):
        BalanceStreamsHook("ogn", alpha=0.1)
    with pytest.raises(ConfigError, match="alpha is -1"):
        BalanceStreamsHook(alpha=-1)
    with pytest.raises(ConfigError, match="the heads are"):
        listen(model, alpha=0.1, task="verb")
    with pytest.raises(ConfigError, match="fuses two streams"):
        listen(torch.nn.Linear(1, 1), alpha=0.1)
