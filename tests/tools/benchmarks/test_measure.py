import measure
import pytest
from measure import interleave, median, ratio, write_section


def test_variants_take_turns_and_slow_ones_are_timed_once(monkeypatch):
    order, now = [], [0.0]
    monkeypatch.setattr(measure.time, "perf_counter", lambda: now[0])

    def call(name: str, seconds: float) -> None:
        order.append(name)
        now[0] += seconds

    timed = interleave(
        {"a": lambda: call("a", 0.06), "b": lambda: call("b", 0.12)},
        rounds=2,
        limit=0.1,
        wait=0.0,
    )
    assert "".join(order) == "aabaa"  # warmed up twice where it is fast, then sampled
    assert len(timed["a"]["seconds"]) == 2 and len(timed["b"]["seconds"]) == 1
    assert median(timed["a"]) == pytest.approx(0.06)
    assert median(timed["b"]) == pytest.approx(0.12)


def test_ratios_are_formed_pair_by_pair():
    slow, fast = {"seconds": [2.0, 9.0, 4.0]}, {"seconds": [1.0, 3.0, 4.0]}
    assert ratio(slow, fast) == (2.0, 1.0, 3.0)
    assert ratio({"seconds": [6.0]}, fast) == (2.0, 2.0, 2.0)


def test_a_section_is_replaced_and_its_absence_said(tmp_path):
    path = tmp_path / "README.md"
    path.write_text("a\n<!-- x: begin -->\nold\n<!-- x: end -->\nb\n")
    write_section(path, "x", "new")
    assert path.read_text() == "a\n<!-- x: begin -->\nnew\n<!-- x: end -->\nb\n"
    with pytest.raises(ValueError, match="y: begin"):
        write_section(path, "y", "new")
