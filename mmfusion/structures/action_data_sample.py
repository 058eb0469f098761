"""Labels and scores of a clip and its origin, which travel beside the inputs."""

from mmengine.structures import BaseDataElement


class ActionDataSample(BaseDataElement):
    """Labels and scores of one clip.

    Data fields are named by task (``action``, ``verb``, ``noun``...): ``gt_<task>`` is
    a 0-d int64 tensor, ``score_<task>`` a (k,) tensor of probabilities.
    ``metainfo`` holds ``sample_id`` (str) and what the pipeline wants to hand on.

    Example:
        >>> import torch
        >>> sample = ActionDataSample(metainfo=dict(sample_id="P01_11_0"))
        >>> sample.gt_verb = torch.tensor(3)
        >>> sample.tasks()
        ['verb']
    """

    def tasks(self) -> list[str]:
        """The tasks that have a label, sorted."""
        return sorted(key[3:] for key in self.keys() if key.startswith("gt_"))
