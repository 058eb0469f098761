import pytest
import torch

from mmfusion.models import AnswerHead, HashedWords

WORDS = dict(type="HashedWords", dims=64)
TRAINED = ["red cup", "blue cup", "red fork", "blue knife", "green fork"]


def test_logits_by_hand():
    head = AnswerHead(TRAINED, 6, embedder=WORDS)
    x = torch.randn(3, 6)
    answer, names = head.fc(x), HashedWords(64)(TRAINED)
    cosine = torch.nn.functional.cosine_similarity(answer[:, None], names[None], dim=-1)
    torch.testing.assert_close(head(x), cosine / 0.07)


def test_classes_never_trained_are_named():
    """The input says which two words the answer has; one pair was never seen."""
    torch.manual_seed(0)
    words = ["red", "blue", "green", "cup", "fork", "knife"]
    codes = torch.eye(6)

    def inputs(names):
        return torch.stack(
            [sum(codes[words.index(w)] for w in name.split()) for name in names]
        )

    head = AnswerHead(TRAINED, 6, embedder=WORDS)
    optimizer = torch.optim.Adam(head.parameters(), lr=0.05)
    for _ in range(60):
        optimizer.zero_grad()
        head.loss(head(inputs(TRAINED)), torch.arange(5)).backward()
        optimizer.step()
    assert head(inputs(TRAINED)).argmax(1).tolist() == [0, 1, 2, 3, 4]
    new = ["green cup", "red knife", "blue fork"]
    head.set_classes([*TRAINED, *new])
    assert head(inputs(new)).argmax(1).tolist() == [5, 6, 7]
    assert head.num_classes == 8


def test_classes_are_no_parameters_but_in_the_checkpoint():
    head = AnswerHead(TRAINED, 6, embedder=WORDS)
    assert {name for name, _ in head.named_parameters()} == {
        "fc.weight",
        "fc.bias",
        "logit_scale",
    }
    assert head.state_dict()["class_embeddings"].shape == (5, 64)
    head.loss(head(torch.randn(2, 6)), torch.tensor([0, 4])).backward()
    assert all(p.grad.abs().any() for p in head.parameters())


def test_names_of_a_file(tmp_path):
    path = tmp_path / "verbs.txt"
    path.write_text("cut\nput down\n")
    head = AnswerHead(str(path), 6, embedder=WORDS)
    assert head.class_names == ("cut", "put down")


@pytest.mark.parametrize(
    "names", [[], ["cut", ""], ["cut", "cut"]], ids=["none", "empty", "twice"]
)
def test_wrong_names_raise(names):
    with pytest.raises(ValueError, match="expected names, each once"):
        AnswerHead(names, 6, embedder=WORDS)
