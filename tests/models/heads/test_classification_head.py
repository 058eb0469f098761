import torch

from mmfusion.models import ClassificationHead


def test_logits_and_loss_by_hand():
    head = ClassificationHead(2, 3).eval()
    with torch.no_grad():
        head.fc.weight.copy_(torch.tensor([[1.0, 0, 0], [0, 1, 0]]))
    logits = head(torch.tensor([[0.0, 0.0, 5.0]]))
    assert logits.tolist() == [[0.0, 0.0]]
    loss = head.loss(logits, torch.tensor([1]))
    torch.testing.assert_close(loss, torch.tensor(2.0).log())


def test_label_smoothing_is_an_option():
    loss = dict(type="CrossEntropyLoss", label_smoothing=0.5, loss_weight=2.0)
    head = ClassificationHead(2, 3, loss=loss)
    logits, target = torch.tensor([[2.0, 0.0]]), torch.tensor([0])
    log_probs = logits.log_softmax(-1)[0]
    expected = -2 * (0.75 * log_probs[0] + 0.25 * log_probs[1])
    torch.testing.assert_close(head.loss(logits, target), expected)
