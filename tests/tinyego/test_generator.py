"""A folder is the same bytes however it comes about."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from mmfusion.tinyego import (
    CEILINGS,
    LAYOUTS,
    MANIFEST,
    WorldConfig,
    designed_ceilings,
    generate,
    world,
)

TINY = WorldConfig(seed=1, num_train=7, num_val=12, num_test=0, height=54)


def _bytes_of(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module", params=["h2o", "oakink2"])
def made(request: pytest.FixtureRequest, tmp_path_factory) -> tuple[str, Path]:
    root = tmp_path_factory.mktemp(request.param)
    generate(root, request.param, TINY)
    return request.param, root


@pytest.mark.slow
def test_workers_do_not_change_a_byte(made: tuple[str, Path], tmp_path: Path) -> None:
    layout, root = made
    generate(tmp_path / "new", layout, TINY, workers=2)
    assert _bytes_of(tmp_path / "new") == _bytes_of(root)


def test_an_interrupted_run_is_completed(
    made: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout, root = made
    calls = []

    acted = type(LAYOUTS[layout].world)
    film = acted.film

    def stop_at_the_second(self, config, plan):
        calls.append(plan.path)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return film(self, config, plan)

    monkeypatch.setattr(acted, "film", stop_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        generate(tmp_path, layout, TINY)
    assert not (tmp_path / MANIFEST).exists()
    progress = []
    generate(tmp_path, layout, TINY, on_progress=lambda *now: progress.append(now))
    assert progress == [(1, 3), (2, 3), (3, 3)]
    assert len(calls) == 2 + 2  # the first sequence was kept
    assert _bytes_of(tmp_path) == _bytes_of(root)


def test_a_finished_folder_is_left_alone(
    made: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    layout, root = made
    monkeypatch.setattr(type(LAYOUTS[layout].world), "film", None)
    before = _bytes_of(root)
    manifest = generate(root, layout, TINY)
    assert manifest["counts"]["val"]["clips"] == 12
    assert manifest["counts"]["train"] | {"frames": 0} == {
        "sequences": 2,
        "clips": 7,
        "frames": 0,
    }
    assert _bytes_of(root) == before


def test_ceilings_lie_beside_the_data(made: tuple[str, Path]) -> None:
    content = json.loads((made[1] / CEILINGS).read_text())
    assert content["splits"]["val"]["num_clips"] == 12
    assert content["splits"]["val"]["action"]["video"] == 75.0


def test_another_seed_is_another_world(tmp_path: Path) -> None:
    small = replace(TINY, num_train=1, num_val=0)
    for seed in (1, 2):
        generate(tmp_path / str(seed), "h2o", replace(small, seed=seed))
    image = "subject1_ego/h1/0/cam4/rgb256/000000.jpg"
    assert _bytes_of(tmp_path / "1")[image] != _bytes_of(tmp_path / "2")[image]


def test_a_world_of_other_parameters_is_refused(made: tuple[str, Path]) -> None:
    layout, root = made
    with pytest.raises(ValueError, match=r"seed 1 \(wanted 9\)"):
        generate(root, layout, replace(TINY, seed=9))


def test_a_strangers_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("do not touch")
    with pytest.raises(ValueError, match="is not empty and holds no TinyEgo"):
        generate(tmp_path, "h2o", TINY)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize(
    ("layout", "workers", "message"),
    [("fpha", 1, "layout is 'fpha'"), ("h2o", 0, "workers is 0")],
)
def test_bad_arguments_are_named(
    layout: str, workers: int, message: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=message):
        generate(tmp_path, layout, TINY, workers=workers)


def test_files_that_are_no_twins_stop_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        world,
        "ceilings",
        lambda clips: {
            task: dict.fromkeys(streams, 100.0)
            for task, streams in designed_ceilings().items()
        },
    )
    with pytest.raises(RuntimeError, match="files give video a ceiling of 100.00 %"):
        generate(tmp_path, "h2o", replace(TINY, num_train=0))
    assert not (tmp_path / MANIFEST).exists()
