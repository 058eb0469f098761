import pytest

from mmfusion.engine.hooks.monitored import find_metric

PLAIN = {"action/top1": 1.0, "unseen/action/top1": 2.0}
PROTOCOL = {f"predicted/tau_a=1s/{key}": value for key, value in PLAIN.items()}


@pytest.mark.parametrize("metrics", [PLAIN, PROTOCOL], ids=["plain", "protocol"])
def test_a_metric_is_found_with_its_protocol_or_without(metrics):
    assert find_metric(metrics, "action/top1", "save_best") == 1.0
    assert find_metric(metrics, "unseen/action/top1", "save_best") == 2.0


@pytest.mark.parametrize(
    "metrics", [None, {}, {"top1": 1.0}, {"a/action/top1": 1, "b/action/top1": 2}]
)
def test_none_or_two_is_an_error_that_lists_them(metrics):
    with pytest.raises(ValueError, match=r"^save_best is 'action/top1', the valid"):
        find_metric(metrics, "action/top1", "save_best")
