"""Samples become a batch, or the error names them."""

import pytest
import torch

from mmfusion.datasets import fusion_collate
from mmfusion.datasets.error_policy import BadSample, bad_samples_of
from mmfusion.structures import ActionDataSample
from mmfusion.utils.errors import MediaError

BAD = BadSample("x", "SkeletonError", "x.npz is damaged", 3)


def _sample(name: str, **inputs: torch.Tensor) -> dict:
    return {
        "inputs": inputs,
        "data_samples": ActionDataSample(metainfo={"sample_id": name}),
    }


def test_inputs_are_stacked_and_samples_listed() -> None:
    samples = [
        _sample(name, video=torch.ones(1, 3).byte() * n, mask=torch.ones(2).bool())
        for n, name in enumerate("abc")
    ]
    batch = fusion_collate(samples)
    assert batch["inputs"]["video"].tolist() == [[[n] * 3] for n in range(3)]
    assert batch["inputs"]["mask"].dtype == torch.bool
    assert [sample.sample_id for sample in batch["data_samples"]] == list("abc")
    assert bad_samples_of(batch) == []


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"video": torch.ones(4)}, r"float32 \(4,\) in sample 'b' but .*\(3,\) in 'a'"),
        ({"video": torch.ones(3).int()}, r"torch.int32 \(3,\) in sample 'b'"),
        ({"skeleton": torch.ones(3)}, r"of sample 'b' are \['skeleton'\] but"),
        ({"video": torch.ones(3), "mask": torch.ones(1)}, r"\['mask', 'video'\] but"),
    ],
    ids=["shape", "type", "other stream", "more streams"],
)
def test_what_does_not_fit_is_named(other: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fusion_collate([_sample("a", video=torch.ones(3)), _sample("b", **other)])


def test_left_out_clips_are_reported_with_the_others() -> None:
    batch = fusion_collate([BAD, _sample("a", video=torch.ones(3)), BAD])
    assert batch["inputs"]["video"].shape == (1, 3)
    assert bad_samples_of(batch) == [BAD, BAD]


def test_batch_of_broken_clips_only_is_an_error() -> None:
    with pytest.raises(MediaError, match=r"every clip of a batch of 1.*x.npz is dam"):
        fusion_collate([BAD])
