import pytest
import torch

from mmfusion.models import BatchMix, MultiModalPreprocessor, MultiModalRecognizer
from mmfusion.structures import ActionDataSample

SIZE = (1, 3, 2, 8, 8)


def make_batch(count=4, **masks):
    """Clip i is full of 10 i and has the label i."""
    samples = []
    for index in range(count):
        sample = ActionDataSample(metainfo=dict(sample_id=str(index)))
        sample.gt_verb = torch.tensor(index)
        samples.append(sample)
    video = torch.arange(count).view(-1, 1, 1, 1, 1, 1).expand(-1, *SIZE) * 10.0
    text = torch.arange(count).view(-1, 1, 1, 1)
    inputs = {"video": video.contiguous(), "text": text, **masks}
    return dict(inputs=inputs, data_samples=samples)


def shares_and_others(batch):
    samples = batch["data_samples"]
    return [float(s.own_share) for s in samples], [int(s.other_verb) for s in samples]


def test_mixup_blends_by_the_share():
    torch.manual_seed(0)
    mixed = BatchMix(cutmix_alpha=0)(make_batch())
    shares, others = shares_and_others(mixed)
    assert others == [3, 2, 1, 0] and len(set(shares)) == 1 and 0.5 <= shares[0] < 1
    for index, clip in enumerate(mixed["inputs"]["video"]):
        value = shares[0] * 10 * index + (1 - shares[0]) * 10 * (3 - index)
        torch.testing.assert_close(clip, torch.full(SIZE, value))


@pytest.mark.parametrize("seed", range(8))
def test_cutmix_pastes_a_box_of_the_share(seed):
    torch.manual_seed(seed)
    mixed = BatchMix(mixup_alpha=0)(make_batch())
    shares, _ = shares_and_others(mixed)
    for index, clip in enumerate(mixed["inputs"]["video"]):
        own, other = clip == 10 * index, clip == 10 * (3 - index)
        assert (own | other).all()
        assert own.float().mean().item() == pytest.approx(shares[index])
        assert torch.equal(other, other[:, :1, :1].expand_as(other))  # in all frames
    assert 0.5 <= shares[0] <= 1


def test_questions_stay_those_of_the_larger_share():
    batch = make_batch()
    mixed = BatchMix()(batch)
    assert mixed["inputs"]["text"] is batch["inputs"]["text"]
    assert [int(s.gt_verb) for s in mixed["data_samples"]] == [0, 1, 2, 3]


def test_the_same_seed_gives_the_same_batch():
    videos = []
    for _ in range(2):
        torch.manual_seed(7)
        videos.append(BatchMix()(make_batch())["inputs"]["video"])
    assert torch.equal(*videos)


def test_pairs_with_missing_frames_are_left_alone():
    mask = torch.ones(4, 1, 2, dtype=torch.bool)
    mask[0, 0, 1] = False
    mixed = BatchMix(cutmix_alpha=0)(make_batch(video_mask=mask))
    shares, _ = shares_and_others(mixed)
    assert shares[0] == shares[3] == 1 and shares[1] == shares[2] < 1
    assert torch.equal(
        mixed["inputs"]["video"][[0, 3]], make_batch()["inputs"]["video"][[0, 3]]
    )


def test_only_training_batches_are_mixed():
    mix = MultiModalPreprocessor(batch_mix=dict(type="BatchMix"))
    for training in (False, True):
        batch = make_batch()
        batch["inputs"]["video"] = batch["inputs"]["video"].to(torch.uint8)
        samples = mix(batch, training)["data_samples"]
        assert all(("own_share" in sample) is training for sample in samples)
    assert "own_share" not in BatchMix(prob=0.0)(make_batch())["data_samples"][0]


def test_soft_targets_are_the_mean_of_two_losses():
    """With label smoothing too, which is linear in the target."""
    loss = dict(type="CrossEntropyLoss", label_smoothing=0.1)
    head = dict(type="ClassificationHead", num_classes=4, in_dims=64, loss=loss)
    video = dict(type="VideoMamba", arch="nano", img_size=16, num_frames=2)
    model = MultiModalRecognizer(dict(video=video), dict(verb=head))
    batch = make_batch()
    batch["inputs"] = {"video": torch.randn(4, 1, 3, 2, 16, 16)}
    mixed = BatchMix(cutmix_alpha=0)(batch)
    losses = model(**mixed, mode="loss")
    logits, share = model(**mixed)["verb"], shares_and_others(mixed)[0][0]
    criterion = model.heads["verb"].criterion
    labels = torch.arange(4)
    expected = share * criterion(logits, labels)
    expected += (1 - share) * criterion(logits, labels.flip(0))
    torch.testing.assert_close(losses["loss_verb"], expected)
    hits = (logits.argmax(1) == labels).float().mean() * 100
    torch.testing.assert_close(losses["acc_verb"], hits)


def test_wrong_arguments_raise():
    with pytest.raises(ValueError, match="not both 0"):
        BatchMix(0, 0)
    with pytest.raises(ValueError, match=r"prob=2, cutmix_prob=0.5: expected 0..1"):
        BatchMix(prob=2)
