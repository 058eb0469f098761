"""Streams that cannot be trusted: what they show, and the ceilings of each regime."""

from collections import Counter
from pathlib import Path

import pytest

from mmfusion.tinyego import (
    ACTIONS,
    REGIMES,
    ClipContent,
    ClipPlan,
    Reliability,
    Shown,
    WorldConfig,
    ceilings,
    designed_ceilings,
    expected_ceilings,
    generate,
    plan_world,
)
from mmfusion.tinyego.ceilings import content_of, possible_contents
from mmfusion.tinyego.digest import digest
from mmfusion.tinyego.recording import film_clip, hand_motion
from mmfusion.tinyego.rendering import Renderer
from mmfusion.tinyego.workplace import make_workplace
from tests.tools.command import run_tool

TOOL = "data/tinyego/generate"
every_regime = pytest.mark.parametrize("regime", REGIMES)


def _population(regime: str, action: int) -> list[tuple[Shown, Shown]]:
    """120 equally likely things that the streams show, written down one by one."""
    video, hands = REGIMES[regime]
    verb, noun = divmod(action, 3)
    film = Shown(ACTIONS[3 * verb + (0 if video.poor else noun)])
    motion = Shown(ACTIONS[3 * (min(verb, 2) if hands.poor else verb) + noun])
    pairs = []
    for copy in range(120):
        other = None if "lost" in regime else ACTIONS[copy % 12]
        if copy < 120 * video.rate:
            pairs.append((Shown(other, video.fault), motion))
        elif copy < 120 * (video.rate + hands.rate):
            pairs.append((film, Shown(other, hands.fault)))
        else:
            pairs.append((film, motion))
    return pairs


@every_regime
def test_expected_ceilings_are_those_of_every_possible_clip(regime: str) -> None:
    """Brute force: best answers of a list that holds each clip as often as likely."""
    population = [
        content_of(ACTIONS[action], film, motion)
        for action in range(12)
        for film, motion in _population(regime, action)
    ]
    found = ceilings(population)
    for task, streams in expected_ceilings(*REGIMES[regime]).items():
        assert streams == pytest.approx(found[task])


def test_ceilings_by_hand() -> None:
    def action(regime: str) -> dict[str, float]:
        return expected_ceilings(*REGIMES[regime])["action"]

    assert expected_ceilings(*REGIMES["clean"]) == designed_ceilings()
    assert action("hands_poor")["both"] == pytest.approx(75)
    assert action("video_poor")["both"] == pytest.approx(100 / 3)
    # with hands all, without them what the video knows
    seen = (100 + 75) / 2
    assert action("hands_lost")["both"] == pytest.approx(seen)
    # 40 % with the hands wrong leave 75, 40 % with the film wrong 1/3, 20 % are whole
    sure = 0.4 * 75 + 0.4 * 100 / 3 + 20
    for regime in ("either_lost", "either_marked", "either_told", "either_gloves"):
        assert action(regime)["both"] == pytest.approx(sure)
    assert expected_ceilings(*REGIMES["either_marked"])["verb"]["both"] == 90.0
    assert action("either_hidden")["both"] < sure - 8


def test_a_sign_is_worth_nothing_where_only_one_stream_fails() -> None:
    marked, hidden = (
        expected_ceilings(Reliability(), Reliability(fault=fault, rate=0.5))
        for fault in ("tremble", "other")
    )
    assert marked == hidden


@every_regime
def test_clips_are_drawn_as_likely_as_said(regime: str) -> None:
    video, hands = REGIMES[regime]
    config = WorldConfig(
        num_train=4800, num_val=0, num_test=0, video=video, hands=hands
    )
    found: Counter[ClipContent] = Counter()
    for plan in plan_world(config):
        for clip in plan.clips:
            film, motion = clip.video, clip.hands
            if film is None or motion is None:
                assert config.is_reliable
                film = motion = Shown(clip.action)
            found[content_of(clip.action, film, motion)] += 1
    expected: Counter[ClipContent] = Counter()
    for probability, content in possible_contents(video, hands):
        expected[content] += probability
    assert sum(expected.values()) == 1
    assert set(found) <= set(expected)
    # chi-square over what is not too rare
    often = [c for c, p in expected.items() if 4800 * p >= 5]
    chi = sum(
        (found[c] - 4800 * p) ** 2 / (4800 * p) for c in often if (p := expected[c])
    )
    assert chi < len(often) + 5 * (2 * len(often)) ** 0.5 + 1


@every_regime
def test_clips_of_one_content_are_the_same_bytes_and_others_are_not(
    regime: str,
) -> None:
    """So a model can know what `content_of` says, and nothing else."""
    config = WorldConfig(num_train=6, num_val=0, height=54)
    plan = plan_world(config)[0]
    renderer = Renderer(config, make_workplace(config, plan))
    films: dict[str, object] = {}
    motions: dict[str, object] = {}
    bytes_of: dict[object, str] = {}
    for action in ACTIONS[::4]:
        for film, motion in dict.fromkeys(_population(regime, action.index)):
            content = content_of(action, film, motion)
            clip = ClipPlan(action, scene=0, video=film, hands=motion)
            if content.video not in bytes_of:
                images = film_clip(config, plan, clip, renderer, frames=(4, 10))
                bytes_of[content.video] = digest(i.tobytes() for i in images)
            films[bytes_of[content.video]] = content.video
            seen = hand_motion(config, plan, clip)
            joints = digest([seen.valid.tobytes(), seen.measured.tobytes()])
            assert motions.setdefault(joints, content.skeleton) == content.skeleton
    assert len(films) == len(set(films.values())) == len(bytes_of)
    assert len(motions) == len(set(motions.values()))


def test_files_of_an_unreliable_world(tmp_path: Path) -> None:
    video, hands = REGIMES["hands_lost"]
    config = WorldConfig(
        num_train=0, num_val=12, num_test=0, height=54, video=video, hands=hands
    )
    manifest = generate(tmp_path, "h2o", config)
    assert manifest["ceilings"]["val"]["action"]["both"] == 87.5
    assert manifest["parameters"]["hands"]["fault"] == "lost"
    assert "video" not in manifest["parameters"]
    with pytest.raises(ValueError, match="hands .*lost.* \\(wanted None\\)"):
        generate(tmp_path, "h2o", WorldConfig(num_train=0, num_val=12, num_test=0))


def test_a_reliable_world_says_nothing_new(tmp_path: Path) -> None:
    sizes = ("--num-train", 0, "--num-val", 0, "--num-test", 12, "--workers", 1)
    assert run_tool(TOOL, "--out", tmp_path, *sizes).returncode == 0
    text = (tmp_path / "manifest.json").read_text()
    assert '"hands"' not in text and '"video"' not in text.split('"ceilings"')[0]


@pytest.mark.parametrize("layout", ["ek100", "ssv2"])
def test_other_layouts_refuse_a_regime(layout: str, tmp_path: Path) -> None:
    asked = ("--layout", layout, "--regime", "hands_lost", "--out", tmp_path / "new")
    result = run_tool(TOOL, *asked)
    assert result.returncode == 2
    assert "leave out the regime" in result.stderr


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Reliability(rate=1.5, fault="lost"), "rate is 1.5"),
        (lambda: Reliability(fault="lost"), "rate above 0"),
        (
            lambda: WorldConfig(
                video=Reliability(fault="dark", rate=0.6),
                hands=Reliability(fault="lost", rate=0.6),
            ),
            "fail in 0.6 and 0.6",
        ),
        (
            lambda: WorldConfig(video=Reliability(fault="gloves", rate=0.5)),
            "video.fault is 'gloves'",
        ),
    ],
)
def test_impossible_settings_are_named(make, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
