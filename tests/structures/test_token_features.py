import pytest
import torch

from mmfusion.structures import TokenFeatures, match_rows, row_repeats

TOKENS, CLS = torch.arange(12.0).view(2, 3, 2), torch.full((2, 2), 9.0)
MASK = torch.tensor([[True, True, False], [False, False, False]])


def test_sequence_has_the_cls_token_in_front():
    tokens, mask = TokenFeatures(TOKENS, CLS, MASK).sequence
    assert torch.equal(tokens[:, 0], CLS) and torch.equal(tokens[:, 1:], TOKENS)
    assert mask.tolist() == [[True, True, True, False], [False] * 4]
    # a CLS token is real where any token is, also where the first is padding
    late = torch.zeros_like(MASK)
    late[0, -1] = True
    mask = TokenFeatures(TOKENS, CLS, late).sequence[1]
    assert mask[:, 0].tolist() == [True] + [False] * (len(MASK) - 1)
    assert TokenFeatures(TOKENS, CLS).sequence[1] is None
    assert torch.equal(TokenFeatures(TOKENS, None, MASK).sequence[0], TOKENS)


def test_rows_are_repeated_in_place():
    feats = dict(
        video=TokenFeatures(TOKENS, CLS, MASK), text=TokenFeatures(TOKENS[[0, 1, 0, 1]])
    )
    matched = match_rows(feats)
    assert matched["text"] is feats["text"]
    for part, whole in (("tokens", TOKENS), ("cls", CLS), ("mask", MASK)):
        assert torch.equal(getattr(matched["video"], part), whole[[0, 0, 1, 1]])


def test_rows_that_do_not_fit_raise():
    with pytest.raises(ValueError, match=r"\{'video': 2, 'text': 3\}"):
        row_repeats(dict(video=2, text=3))
    with pytest.raises(ValueError, match="expected divisors of 2, none 0"):
        row_repeats(dict(video=2, text=0))
