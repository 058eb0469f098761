"""Study of the mixes: its clips, its oracle, and going on where it stopped."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mmfusion.structures import TokenFeatures
from mmfusion.tinyego import REGIMES, WorldConfig, plan_world
from mmfusion.tinyego.mix_study import QUICK, Cell, Study, StudyConfig, run_cell
from mmfusion.tinyego.mix_study.clips import Studio, clips_of
from mmfusion.tinyego.mix_study.features import ClipFeatures, pooled
from mmfusion.tinyego.mix_study.fusion import ROWS, OracleMix, Outcome, build
from mmfusion.tinyego.mix_study.results import write_cell
from mmfusion.tinyego.recording import record
from tests.tools.command import run_tool

SMALL = replace(
    QUICK,
    regimes=("either_told",),
    rows=("late", "context"),
    sizes=(12,),
    num_test=12,
    steps=2,
    encoder_clips=6,
)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """The study sets threads and denormals for its process."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    torch.set_flush_denormal(False)


def test_clips_are_those_of_the_generator() -> None:
    """A film's middle frames are the generator's, and faults are drawn alike."""
    video, hands = REGIMES["either_marked"]
    config = WorldConfig(num_train=6, num_val=0, num_test=0, video=video, hands=hands)
    plan = plan_world(config)[0]
    made = record(config, plan)
    clips = clips_of(WorldConfig(num_train=6), "either_marked", "train")
    assert [clip.action for clip in clips] == [s.action.index for s in made.segments]
    studio = Studio(WorldConfig(num_train=6, num_val=0, num_test=0), ["either_marked"])
    joints, mask = studio.motions([clip.hands for clip in clips])
    for clip, shown, segment in zip(clips, plan.clips, made.segments, strict=True):
        assert shown.video is not None
        assert (clip.wrong == "video") == (shown.video.fault == "dark")
        length = segment.end - segment.start + 1
        frame = segment.start + int(0.5 / 16 * length)
        place = clips.index(clip)
        assert (mask[place, 0].reshape(2, 21) == made.valid[frame][:, None]).all()
        own = made.joints[frame] - made.joints[frame][:, :1]  # from each wrist
        own[~made.valid[frame]] = 0
        np.testing.assert_allclose(joints[place, 0], 10 * own.reshape(42, 3), atol=1e-5)
    film = next(studio.films([clips[0].video]))
    assert film.shape == (3, 8, 64, 64)


def test_regimes_share_what_is_the_same() -> None:
    config = WorldConfig(num_train=60)
    told = clips_of(config, "either_told", "train")
    hidden = clips_of(config, "either_hidden", "train")
    assert [c.hands for c in told] == [c.hands for c in hidden]
    gloved = [a.video != b.video for a, b in zip(told, hidden, strict=True)]
    assert gloved == [c.wrong == "hands" for c in told]


def _features(count: int, regime_wrong: bool = False) -> ClipFeatures:
    """Clips whose hands' CLS token tells the action, unless they are wrong."""
    generator = torch.Generator().manual_seed(0)
    action = torch.arange(count) % 12
    wrong = 2 * (torch.rand(count, generator=generator) < 0.5).long()
    shown = torch.where(wrong == 2, (action + 5) % 12, action)
    codes = torch.randn(2, 12, 64, generator=generator)
    tokens = torch.randn(count, 3, 64, generator=generator)
    streams = {
        "video": TokenFeatures(tokens, codes[0, action]),
        "skeleton": TokenFeatures(tokens, codes[1, shown]),
    }
    return ClipFeatures(streams, action, wrong, action)


@pytest.mark.parametrize("row", ROWS)
def test_each_row_trains_and_is_tested(row: str) -> None:
    clips = _features(36)
    found = run_cell(Cell("any", row, 24, 0), clips, clips, clips, steps=2)
    again = run_cell(Cell("any", row, 24, 0), clips, clips, clips, steps=2)
    assert found.action.shape == found.verb.shape == (36,)
    assert found.val_loss == again.val_loss
    weighs = row.split("_")[0] in ("weighted", "context", "oracle", "gated")
    assert (found.alpha is not None) == weighs
    # every parameter is reached by the loss, but for those of tokens that none reads
    model = build(row)
    model.loss(clips, torch.arange(24)).backward()
    unread = {name for name, p in model.named_parameters() if p.grad is None}
    assert unread <= ({"neck.modality_embed"} if "direct" in row else set())


def test_the_oracle_gives_all_weight_to_the_sound_stream() -> None:
    mix = OracleMix(4)
    mix.wrong = torch.tensor([0, 1, 2])  # none, the video, the hands
    cls = torch.stack([torch.zeros(3, 4), torch.ones(3, 4)], dim=1)
    assert mix(cls, cls)[:, 0].tolist() == [0.5, 1.0, 0.0]


def test_pooled_tokens_are_means_of_neighbours() -> None:
    grid = torch.arange(16.0).view(1, 1, 4, 4).repeat(1, 2, 1, 1)  # (p, t, h, w)
    tokens = grid.flatten(1).unsqueeze(-1)  # (1, 32, 1)
    small = pooled(tokens, (2, 4, 4), (2, 2, 2))
    assert small.flatten().tolist() == [2.5, 4.5, 10.5, 12.5]


def test_a_study_goes_on_and_says_what_is_left(tmp_path: Path) -> None:
    study = Study(tmp_path, SMALL, _silent)
    assert study.run() == 0
    cells = sorted(tmp_path.rglob("cells/*/*.json"))
    assert len(cells) == 4
    before = cells[0].read_bytes()
    cells[0].unlink()
    assert study.run(minutes=1e-9) == 1
    assert Study(tmp_path, SMALL, _silent).run() == 0
    assert cells[0].read_bytes() == before
    with pytest.raises(ValueError, match="other settings \\(steps\\)"):
        Study(tmp_path, replace(SMALL, steps=3), _silent)


def test_a_report_of_what_is_done(tmp_path: Path) -> None:
    study = Study(tmp_path, replace(SMALL, rows=("average", "context")), _silent)
    right = torch.arange(12) % 4 > 0  # 75 percent
    for cell in study.config.cells()[:3]:
        alpha = torch.linspace(0, 1, 12) if cell.mix == "context" else None
        found = Outcome(right, right, alpha, step=2, val_loss=1.5)
        write_cell(tmp_path, cell, found)
    files = {path.name for path in study.report()}
    assert {"results.csv", "tables.md", "curves_action.png", "alphas.png"} <= files
    rows = (tmp_path / "results.csv").read_text().splitlines()
    assert len(rows) == 1 + 3
    assert rows[1].startswith("either_told,average,12,0,2,1.5,75.00,75.00,")
    tables = (tmp_path / "tables.md").read_text()
    assert "| average | 75.0 ± " in tables
    assert "63.3" in tables  # the ceiling


def _silent(text: str) -> None:
    pass


def test_a_damaged_cell_is_named(tmp_path: Path) -> None:
    study = Study(tmp_path, SMALL, _silent)
    file = tmp_path / "cells" / "either_told" / "late_12_0.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(dict(action="01", verb="01", alpha=None)))
    with pytest.raises(ValueError, match="expected answers to 12 clips"):
        study.results()


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ValueError, match="regimes"):
        StudyConfig(regimes=("sunny",))
    result = run_tool("analysis/mix_study", "--out", "x", "--rows", "sum")
    assert result.returncode == 2
    assert "invalid choice: 'sum'" in result.stderr
