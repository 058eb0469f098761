"""Policy for a clip whose files are broken: stop, leave it out, or replace it.

The broken clip is noticed in a worker process, but only the main process sees all of
them. So the report travels with the data: a left-out clip is a :class:`BadSample` in
the list that collate gets, and collate (or the dataset, for a replaced clip) writes
it into the metainfo of a data sample that does go on, under ``bad_samples``.
:class:`~mmfusion.engine.hooks.BadSampleHook` reads it there, counts, logs and aborts.
"""

import dataclasses
from collections.abc import Mapping

from mmengine.structures import BaseDataElement

from mmfusion.datasets.sample_rng import sample_digest
from mmfusion.utils.errors import InputError, MediaError
from mmfusion.utils.schema import check_keys

BROKEN_CLIP_ERRORS = (MediaError, OSError)
BAD_SAMPLES = "bad_samples"  # key in metainfo; value: tuple of BadSample
POLICIES = ("raise", "skip", "replace")


@dataclasses.dataclass(frozen=True)
class BadSample:
    """Report of one broken clip.

    Attributes:
        sample_id: its id.
        reason: name of the error's class.
        message: text of the error, which names the file.
        limit: how many distinct clips of its dataset may be broken.
    """

    sample_id: str
    reason: str
    message: str
    limit: int


@dataclasses.dataclass(frozen=True)
class ErrorPolicy:
    """Treatment of a broken clip by a dataset.

    Attributes:
        policy: ``raise`` stops the run; ``skip`` makes the batch smaller (a batch of
            broken clips only is an error); ``replace`` puts another clip there, chosen
            by f(seed, epoch, index).
        max_bad: fraction of the split that may be broken, counted over distinct clips;
            above it the run stops, naming files.
        max_tries: how many substitutes are tried for one clip.
    """

    policy: str = "raise"
    max_bad: float = 0.01
    max_tries: int = 10

    def __post_init__(self) -> None:
        if self.policy not in POLICIES:
            raise InputError(
                f"on_error.policy is {self.policy!r}; expected one of {POLICIES}"
            )
        if not 0 <= self.max_bad <= 1:
            raise InputError(
                f"on_error.max_bad is {self.max_bad}; expected a fraction in 0..1"
            )
        if self.max_tries < 1:
            raise InputError(
                f"on_error.max_tries is {self.max_tries}; expected 1 or more"
            )

    @classmethod
    def from_config(cls, config: Mapping | None, *, test_mode: bool) -> "ErrorPolicy":
        """Read the ``on_error`` argument of a dataset."""
        config = dict(config or {})
        check_keys("on_error", config, [item.name for item in dataclasses.fields(cls)])
        policy = cls(**config)
        if test_mode and policy.policy == "replace":
            raise InputError(
                "on_error.policy is 'replace' with test_mode; expected 'raise' or"
                " 'skip': a substitute would be scored in the place of the clip"
            )
        return policy

    def limit(self, num_samples: int) -> int:
        """Number of distinct clips of ``num_samples`` that may be broken."""
        return int(self.max_bad * num_samples)


def substitute_index(
    size: int, *, index: int, epoch: int, seed: int, attempt: int
) -> int:
    """Index, other than ``index``, of the clip that replaces a broken one."""
    digest = sample_digest(seed, epoch, "substitute", index, attempt)
    step = 1 + int.from_bytes(digest[:8], "little") % max(size - 1, 1)
    return (index + step) % size


def attach_bad_samples(sample: dict, bad: list[BadSample]) -> None:
    """Add reports to a packed sample, in the metainfo of its data sample."""
    if not bad:
        return
    data_sample = sample.get("data_samples")
    if not isinstance(data_sample, BaseDataElement):
        raise InputError(
            f"data_samples of a sample is {type(data_sample).__name__}; expected a data"
            " sample at the pipeline's end (PackInputs) when on_error is not 'raise'"
        )
    known = data_sample.metainfo.get(BAD_SAMPLES, ())
    data_sample.set_metainfo({BAD_SAMPLES: (*known, *bad)})


def bad_samples_of(batch: Mapping) -> list[BadSample]:
    """The reports that came with a collated batch; none where it has no samples."""
    return [
        bad
        for data_sample in batch.get("data_samples", ())
        for bad in data_sample.metainfo.get(BAD_SAMPLES, ())
    ]
