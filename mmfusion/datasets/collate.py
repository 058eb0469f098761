"""From packed samples to one batch."""

from collections.abc import Sequence

from mmengine.registry import FUNCTIONS
from torch import Tensor
from torch.utils.data import default_collate

from mmfusion.datasets.error_policy import BadSample, attach_bad_samples
from mmfusion.registry import FUNCTION
from mmfusion.utils.errors import InputError, MediaError


def _sample_id(sample: dict) -> str:
    return str(sample["data_samples"].metainfo.get("sample_id", "without an id"))


def _stack(name: str, batch: Sequence[dict]) -> Tensor:
    """One input of all samples, (...) each, as (b, ...)."""
    values = [sample["inputs"][name] for sample in batch]
    first = values[0]
    for sample, value in zip(batch, values, strict=True):
        if value.shape != first.shape or value.dtype != first.dtype:
            raise InputError(
                f"inputs[{name!r}] is {value.dtype} {tuple(value.shape)} in sample"
                f" {_sample_id(sample)!r} but {first.dtype} {tuple(first.shape)} in"
                f" {_sample_id(batch[0])!r}; expected one shape and type in a batch:"
                " let the pipeline crop or resize to a fixed size; videos shorter than"
                " a window are filled up by SampleClock(num_frames=...)"
            )
    return default_collate(values)  # (b, ...); in a worker, straight to shared memory


@FUNCTIONS.register_module()  # where MMEngine's own runner looks, and only there
@FUNCTION.register_module()
def fusion_collate(batch: Sequence[dict | BadSample]) -> dict:
    """Stack the inputs of packed samples; data samples stay a list.

    Clips that the policy ``skip`` left out are dropped here, and their reports go on
    in the metainfo of the first data sample.

    Args:
        batch: ``{"inputs": {name: (...)}, "data_samples": sample}`` each, or BadSample.

    Returns:
        ``{"inputs": {name: (b, ...)}, "data_samples": [b samples]}``.
    """
    good = [sample for sample in batch if not isinstance(sample, BadSample)]
    bad = [sample for sample in batch if isinstance(sample, BadSample)]
    if not good:
        texts = "; ".join(f"{item.sample_id!r}: {item.message}" for item in bad)
        raise MediaError(
            f"every clip of a batch of {len(batch)} is broken, so nothing is left after"
            f" the policy 'skip'; use 'replace', or larger batches. {texts}"
        )
    names = list(good[0]["inputs"])
    for sample in good:
        if set(sample["inputs"]) != set(names):
            raise InputError(
                f"inputs of sample {_sample_id(sample)!r} are"
                f" {sorted(sample['inputs'])} but {sorted(names)} in"
                f" {_sample_id(good[0])!r}; expected the same streams in a batch: name"
                " them in PackInputs(streams=...)"
            )
    attach_bad_samples(good[0], bad)
    return {
        "inputs": {name: _stack(name, good) for name in names},
        "data_samples": [sample["data_samples"] for sample in good],
    }
