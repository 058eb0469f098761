import argparse
from pathlib import Path

import pytest
from mmengine.config import DictAction

from mmfusion.analysis.experiments import (
    Experiment,
    Run,
    find_config,
    grid,
    groups,
    plan,
    variant_name,
)
from tests.analysis.demo_configs import AVERAGE, DEMO, SKELETON, VIDEO


def options_of(command):
    """``--cfg-options`` as tools/train.py reads them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cfg-options", nargs="+", action=DictAction)
    return parser.parse_known_args(command[2:])[0].cfg_options


def test_options_arrive_as_they_were_given(tmp_path):
    options = {"a.b": [1, 2.5], "c": "x", "data.root": "../földer"}
    (experiment,) = plan([VIDEO])
    run = Run(experiment, 3, tmp_path, Path("tools"))
    object.__setattr__(experiment, "options", options)
    (train,) = [c for c in run.commands() if "train.py" in c[1]]
    found = options_of(train)
    assert found == {**options, "randomness.seed": 3}


def test_methods_that_share_stage_one_stand_in_one_table():
    alone = plan([VIDEO, SKELETON])
    assert [[e.name for e in g] for g in groups(alone)] == [[e.name for e in alone]]
    tiny = DEMO.parent / "cls_mix" / "cls_mix_average_tiny_h2o.py"
    both = groups(plan([AVERAGE, tiny]))
    assert [len(group) for group in both] == [3, 3]
    assert {e.name.split("_")[-1] for e in both[0]} == {"tinyego"}


@pytest.mark.parametrize("count", [0, 2], ids=["none", "two"])
def test_a_stage_one_config_that_cannot_be_found_is_named(tmp_path, count):
    for number in range(count):
        (tmp_path / f"f{number}").mkdir()
        (tmp_path / f"f{number}" / "enc.py").touch()
    (tmp_path / "g").mkdir()
    with pytest.raises(FileNotFoundError, match=f"there are {count} configs enc.py"):
        find_config("enc", beside=tmp_path / "g" / "fusion.py")


def test_two_configs_of_one_name_are_refused(tmp_path):
    twin = tmp_path / VIDEO.name
    twin.write_text(VIDEO.read_text())
    with pytest.raises(ValueError, match="bear one name"):
        plan([VIDEO, twin])


def test_a_sweep_runs_every_combination_and_a_shared_stage_one_once(tmp_path):
    values = {"train_cfg.max_epochs": [3, 5], "optim_wrapper.optimizer.lr": [0.1, 0.2]}
    found = plan([AVERAGE], variants=grid(values))
    names = [one.name for one in found]
    assert names[:2] == ["video_mamba_nano_tinyego", "skeleton_mamba_nano_tinyego"]
    stem = "cls_mix_average_nano_tinyego"
    assert names[2:] == [
        f"{stem}-max_epochs={epochs}-lr={rate}"
        for epochs in (3, 5)
        for rate in (0.1, 0.2)
    ]
    last = found[-1]
    assert last.options == {
        "train_cfg.max_epochs": 5,
        "optim_wrapper.optimizer.lr": 0.2,
    }
    assert (last.max_epochs, found[0].options) == (5, {})
    assert set(last.stage1.values()) == set(names[:2])
    run = Run(last, 1, tmp_path, Path("tools"))
    assert run.folder == tmp_path / f"{stem}-max_epochs=5-lr=0.2" / "seed1"
    assert run.needs() == {(name, 1, None) for name in names[:2]}
    assert len(groups(found)) == 1


def test_a_stage_one_that_is_given_is_varied_too():
    found = plan([AVERAGE, VIDEO], variants=grid({"train_cfg.max_epochs": [3, 5]}))
    by_name = {one.name: one for one in found}
    fused = by_name["cls_mix_average_nano_tinyego-max_epochs=5"]
    assert "video_mamba_nano_tinyego-max_epochs=5" in fused.stage1.values()
    assert "skeleton_mamba_nano_tinyego" in fused.stage1.values()
    assert len(found) == 5


def test_a_sweep_without_values_is_refused():
    assert grid({}) == [{}]
    for values, message in (
        ({"a.b": 3}, "--vary a.b=3: expected two or more different values"),
        ({"a.b": [3, 3]}, "expected two or more different values"),
        ({"randomness.seed": [0, 1]}, "use --seeds N"),
    ):
        with pytest.raises(ValueError, match=message):
            grid(values)
    assert variant_name({"a.x": "p/q", "b.x": 1}) == "-a.x=p_q-b.x=1"


def test_a_rival_without_stage_1_stands_beside_those_of_the_same_clips():
    def made(name, stage1=(), **test_set):
        keys = {f"k{number}": stem for number, stem in enumerate(stage1)}
        return Experiment(Path(f"{name}.py"), {}, keys, ("skeleton",), {}, 1, test_set)

    here, there = dict(data_root="a", split="test"), dict(data_root="b", split="test")
    hands, rival, other = made("hands", **here), made("rival", **here), made("other")
    mix, far = made("mix", ["hands"], **here), made("far", **there)
    names = [[e.name for e in g] for g in groups([rival, far, hands, mix, other])]
    assert names == [["rival", "hands", "mix"], ["far", "other"]]
    second = [made("hands2", **here), made("mix2", ["hands2"], **here)]
    several = groups([rival, hands, mix, *second])
    assert [len(group) for group in several] == [1, 2, 2]
