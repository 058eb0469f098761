"""ActionMAE's loss: what is hidden, what it is compared with, what learns."""

import pytest
import torch

from mmfusion.models import ReconstructionLoss
from mmfusion.models.losses.reconstruction_loss import hide_streams
from mmfusion.structures import ForwardPass, TokenFeatures
from mmfusion.utils.errors import InputError
from tests.models.recognizers.test_multimodal_recognizer import build, make_batch


def made(**summaries):
    """A forward whose encoders gave these CLS tokens; None where a row lacks it."""
    feats = {}
    for name, rows in summaries.items():
        width = len(next(row for row in rows if row is not None))
        there = torch.tensor([row is not None for row in rows])
        cls = torch.tensor([row or [0.0] * width for row in rows], requires_grad=True)
        tokens = torch.zeros(len(rows), 3, width)
        feats[name] = TokenFeatures(tokens, cls, there[:, None].expand(-1, 3))
    return ForwardPass({}, feats, torch.zeros(1), {}, 1, [])


def test_the_error_worked_by_hand():
    loss = ReconstructionLoss(dict(a=2, b=2), depth=0, num_heads=1)
    for layer in loss.predicts.values():
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.constant_(layer.bias, 0.5)
    # [1, 3] and [5, 9] both become [-1, 1] / sqrt(2); whichever is hidden, the error
    # is ((0.5 + 0.7071)^2 + (0.5 - 0.7071)^2) / 2 = 0.75
    found = loss(made(a=[[1.0, 3.0]], b=[[5.0, 9.0]]))
    assert found["hidden"].item() == pytest.approx(0.75, abs=1e-5)
    # the second sample has one stream, and counts for nothing
    found = loss(made(a=[[1.0, 3.0], [7.0, 7.0]], b=[[5.0, 9.0], None]))
    assert found["hidden"].item() == pytest.approx(0.75, abs=1e-5)
    found = loss(made(a=[[1.0, 3.0], None], b=[None, [5.0, 9.0]]))
    assert found["hidden"].item() == 0


def test_each_number_and_choice_is_alike():
    torch.manual_seed(0)
    present = torch.tensor([[True, True, True]]).expand(12_000, -1)
    hidden = hide_streams(present)
    counts = hidden.sum(1)
    assert set(counts.tolist()) == {1, 2}
    assert abs((counts == 1).sum().item() - 6000) < 3 * (12_000 / 4) ** 0.5
    for column in hidden.float().mean(0).tolist():
        assert abs(column - 0.5) < 0.015
    some = torch.tensor([[True, False, True], [False, False, True]]).repeat(50, 1)
    hidden = hide_streams(some)
    assert not hidden[:, 1].any() and not hidden[1::2].any()
    assert (hidden[::2].sum(1) == 1).all()


def test_what_is_hidden_is_not_read():
    torch.manual_seed(0)
    loss = ReconstructionLoss(dict(a=8, b=8, c=4)).eval()
    summaries = {"a": torch.randn(2, 8), "b": torch.randn(2, 8), "c": torch.randn(2, 4)}
    shown = torch.tensor([[True, False, True], [True, True, False]])
    found = loss.predict(summaries, shown)
    assert [found[n].shape[1] for n in "abc"] == [8, 8, 4]
    summaries["b"][0] += 5
    summaries["c"][1] -= 5
    again = loss.predict(summaries, shown)
    assert all(torch.equal(found[n], again[n]) for n in "abc")
    summaries["a"] += 1
    assert not torch.equal(loss.predict(summaries, shown)["b"], found["b"])


def test_a_training_step_reaches_every_weight():
    config = dict(type="ReconstructionLoss", embed_dims=dict(video=64, skeleton=64))
    model = build(auxiliary=dict(mae=dict(config, weight=0.5))).train()
    torch.manual_seed(0)
    data = model.data_preprocessor(make_batch(batch=5, views=2))
    losses = model(**data, mode="loss")
    assert 0.1 < losses["loss_mae_hidden"] < 1.5
    losses["loss_mae_hidden"].backward()
    for name, parameter in model.named_parameters():
        if name.startswith("auxiliary."):
            assert parameter.grad is not None and parameter.grad.any(), name
    assert model.encoders["video"].cls_token.grad.any()
    assert model.heads["action"].fc.weight.grad is None


def test_wrong_settings():
    with pytest.raises(InputError, match="two streams or more"):
        ReconstructionLoss(dict(video=8))
    with pytest.raises(InputError, match="not a multiple of 4 heads"):
        ReconstructionLoss(dict(video=6, skeleton=6))
    with pytest.raises(InputError, match=r"'a'\] is 8, .* gives 4 channels"):
        ReconstructionLoss(dict(a=8, b=4))(made(a=[[1.0, 2, 0, 1]], b=[[1.0, 0, 0, 1]]))
    with pytest.raises(InputError, match=r"not \['text'\]"):
        ReconstructionLoss(dict(a=4, text=4))(made(a=[[1.0, 2.0, 0.0, 1.0]]))
