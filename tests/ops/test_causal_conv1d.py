import pytest
import torch

from mmfusion.ops import causal_conv1d


def test_by_hand():
    x = torch.tensor([[[1.0], [2.0], [3.0]]])
    weight = torch.tensor([[10.0, 1.0]])  # ten times the token before, plus itself
    y = causal_conv1d(x, weight, torch.tensor([0.5]))
    assert y.flatten().tolist() == [1.5, 12.5, 23.5]
    y = causal_conv1d(x, weight, reverse=True)
    assert y.flatten().tolist() == [21.0, 32.0, 3.0]


def test_reverse_is_a_flipped_convolution():
    x, weight = torch.randn(2, 9, 5), torch.randn(5, 4)
    y = causal_conv1d(x, weight, activation="silu", reverse=True)
    expected = causal_conv1d(x.flip(1), weight, activation="silu").flip(1)
    torch.testing.assert_close(y, expected)


def test_wrong_inputs_raise():
    with pytest.raises(ValueError, match="expected"):
        causal_conv1d(torch.zeros(1, 3, 4), torch.zeros(5, 4))
    with pytest.raises(ValueError, match="relu"):
        causal_conv1d(torch.zeros(1, 3, 4), torch.zeros(4, 4), activation="relu")
