"""Records come back equal and new each time."""

import pickle

import pytest

from mmfusion.datasets.record_store import RecordStore


def test_records_come_back_new_each_time() -> None:
    records = [{"id": "ü", "a": [1, None]}, {}, {"id": "b", "label": {"verb": 2}}]
    store = pickle.loads(pickle.dumps(RecordStore(records)))
    assert len(store) == 3
    assert [store[index] for index in range(3)] == records
    store[0]["a"].append(2)
    assert store[0] == records[0]


@pytest.mark.parametrize("index", [-1, 2])
def test_index_out_of_range(index: int) -> None:
    with pytest.raises(IndexError, match=rf"index is {index}; expected 0\.\.1"):
        RecordStore([{}, {}])[index]


def test_empty_store() -> None:
    assert len(RecordStore([])) == 0
