"""Data samples between processes."""

import pickle
from multiprocessing.reduction import ForkingPickler

import torch

from mmfusion.structures import ActionDataSample


def test_labels_travel_by_value_between_processes():
    sample = ActionDataSample(metainfo=dict(sample_id="a"))
    sample.gt_verb = torch.tensor(3)
    sample.score_verb = torch.rand(4)
    sample.past_verb = torch.zeros(600)
    values, small = sample.__getstate__()
    assert [*small] == ["gt_verb", "score_verb"]  # no file descriptors for these
    assert torch.is_tensor(values["past_verb"])
    found = pickle.loads(ForkingPickler.dumps(sample))
    assert found.tasks() == ["verb"] and found.sample_id == "a"
    names = {*sample.keys()}
    assert {*found.keys()} == names
    assert all(torch.equal(found.get(name), sample.get(name)) for name in names)
    found.gt_verb.add_(1)
    assert sample.gt_verb == 3
