import pytest
import torch

from mmfusion.models import ActionHead
from mmfusion.models.heads.action_head import read_pairs

PAIRS = [(0, 2), (1, 0), (1, 2), (3, 1)]


def test_marginals_by_hand():
    head = ActionHead(PAIRS, 4)
    scores = torch.tensor([[0.5, 0.2, 0.1, 0.2]])
    sums = head.marginals(scores)
    torch.testing.assert_close(sums["verb"], torch.tensor([[0.5, 0.3, 0.0, 0.2]]))
    torch.testing.assert_close(sums["noun"], torch.tensor([[0.2, 0.2, 0.6]]))
    assert "pairs" in head.state_dict() and head.num_classes == 4


def test_verbs_and_nouns_that_no_action_has():
    sums = ActionHead(PAIRS, 4, num_verbs=97, num_nouns=300).marginals(torch.rand(2, 4))
    assert {task: x.shape[1] for task, x in sums.items()} == {"verb": 97, "noun": 300}


def test_pairs_of_a_file(tmp_path):
    path = tmp_path / "actions.csv"
    path.write_text("id,verb,noun,action\n1,1,0,b\n0,0,2,a\n")
    assert ActionHead(str(path), 4).pairs.tolist() == [[0, 2], [1, 0]]
    path.write_text("id,verb,noun\n1,1,0\n3,0,2\n")
    with pytest.raises(ValueError, match=r"expected the ids 0\.\.1"):
        read_pairs(str(path))
    path.write_text("verb_class,noun\n1,0\n")
    with pytest.raises(ValueError, match="expected verb and noun"):
        read_pairs(str(path))


@pytest.mark.parametrize(
    ("pairs", "options", "message"),
    [
        ([(0, 0), (0, 0)], {}, "twice"),
        ([0, 1], {}, r"whole numbers \(k, 2\)"),
        ([(0, 5)], dict(num_nouns=5), "noun 5, expected 0.. within"),
        ([(-1, 5)], {}, "reach from -1"),
    ],
    ids=["twice", "form", "beyond", "negative"],
)
def test_wrong_pairs_raise(pairs, options, message):
    with pytest.raises(ValueError, match=message):
        ActionHead(pairs, 4, **options)
