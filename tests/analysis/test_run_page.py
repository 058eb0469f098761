"""The page about runs, from folders that were made by hand."""

import os

import pytest

from mmfusion.analysis.page_curves import training_charts
from mmfusion.analysis.run_page import make_page
from mmfusion.analysis.stream_weights import weights_by_clip
from mmfusion.analysis.trained_runs import read_runs, read_scalars
from mmfusion.engine.runner.checkpoints import save_atomic
from mmfusion.registry import MODELS
from mmfusion.utils.errors import InputError, WorkDirError
from mmfusion.visualization.report import render
from tests.analysis.demo_configs import AVERAGE, SKELETON, VIDEO
from tests.analysis.made_runs import data_options, made_predictions, write_run
from tests.h2o_files import write_h2o
from tools.data.h2o import prepare

CLASSES = [f"class {number}" for number in range(36)]
SCALARS = [
    {"loss": 2.0, "alpha_video": 0.5, "epoch": 1, "iter": 4, "step": 4},
    {"action/top1": 50.0, "step": 1},
    {"loss": 1.0, "alpha_video": 0.6, "epoch": 2, "iter": 8, "step": 8},
    {"action/top1": 75.0, "step": 2},
]
IDS = ["subject1/h1/0#1", "subject1/h1/0#2", "subject1/h1/1#3"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Folders of three runs, tested on the three clips of a small H2O."""
    folder = tmp_path_factory.mktemp("runs")
    root = write_h2o(folder / "h2o")
    assert prepare.main(["--root", str(root)]) == 0
    options = data_options(root, split="train")
    guesses = {VIDEO: [1, 0, 0], SKELETON: [0, 2, 0], AVERAGE: [1, 2, 0]}
    return [
        write_run(
            folder / config.stem,
            config,
            options,
            made_predictions(IDS, [1, 2, 3], own, CLASSES, split="train"),
            scalars=SCALARS if config is not AVERAGE else (),
        )
        for config, own in guesses.items()
    ]


@pytest.fixture(scope="module")
def page(runs):
    return make_page(read_runs(runs))


def test_models_bear_the_names_of_streams_and_mix_the_best_first(page):
    assert [model.name for model in page.models] == ["Average fusion", "RGB", "Hands"]
    assert [model.top1.mean for model in page.models] == pytest.approx(
        [200 / 3, 100 / 3, 100 / 3]
    )
    assert page.models[0].epochs == 3 and page.models[0].parameters == 5
    assert [pair.first for pair in page.pairs] == ["Average fusion"] * 2 + ["RGB"]


def test_says_whether_a_fusion_beats_the_sum_of_its_parts(page):
    assert [row.name for row in page.plain] == ["Late fusion"]
    assert page.plain[0].streams == ("RGB", "Hands")
    (line,) = [line for line in page.summary if "late fusion" in line]
    assert line.startswith("Average fusion does not beat") and "95 % interval" in line
    notes = [note for note in page.notes if note.startswith("No linear model")]
    assert len(notes) == 2 and "clips of the test are trained on" in notes[0]
    assert "Late fusion" in render(page)


def test_says_that_three_clips_show_nothing(page):
    text = " ".join([*page.summary, *page.cautions])
    assert "of 3 test clips" in text and "Only 3 clips were tested" in text
    assert "cannot be told apart" in text
    assert "trained on as well" in text  # training and test share their sequences
    assert "by which the best epoch was chosen" in text


def test_clips_of_one_stream_have_a_strip_with_hands(page):
    groups = {group.title: group for group in page.alone}
    rgb = groups["Of the single streams, only RGB is right"]
    assert rgb.total == 1 and rgb.cards[0].id == IDS[0]
    assert rgb.cards[0].picture.startswith("data:image/jpeg;base64,")
    assert [cell.correct for cell in rgb.cards[0].answers] == [True, True, False]
    assert page.worst.total == 3 and page.worst.cards[0].id == IDS[2]


def test_a_clip_without_files_has_a_reason_for_a_picture(runs, tmp_path):
    page = make_page(read_runs(runs[:1]), with_clips=False)
    assert page.worst.cards[0].picture is None
    assert "<img" not in render(page)


def test_curves_come_from_every_part_of_a_run_and_may_lack(runs, page, tmp_path):
    assert [chart.title for chart in page.curves] == [
        "Loss in training",
        "Accuracy on the validation clips",
    ]
    assert "weights over training" in page.alpha[0].title
    assert len(read_scalars(runs[0])) == 4
    assert list(training_charts([("x", 0, tmp_path)], "action")) == []


def test_weights_of_each_clip_come_from_the_model(runs, tmp_path):
    config = AVERAGE.with_name("cls_mix_context_nano_tinyego.py")
    root = read_runs(runs)[0].config.test_dataloader.dataset.data_root
    run = write_run(
        tmp_path / "context",
        config,
        data_options(root, split="train"),
        made_predictions(IDS, [1, 2, 3], [1, 2, 3], CLASSES),
        scalars=SCALARS,
    )
    (found,) = read_runs([run])
    model = MODELS.build(found.config.model)
    save_atomic({"state_dict": dict(model.state_dict())}, run / "best.pth")
    weights = weights_by_clip(found)
    assert [*weights] == IDS
    assert all(sum(one.values()) == pytest.approx(100) for one in weights.values())
    assert [*weights[IDS[0]]] == ["video", "skeleton"]


def test_one_run_makes_a_page_without_pairs(runs):
    page = make_page(read_runs(runs[2:]))
    assert page.pairs == () and page.alone == ()
    text = render(page)
    assert "Average fusion" in text and "Each pair" not in text


def test_seeds_of_one_config_are_one_model(tmp_path):
    ids, truth = [f"c{n}" for n in range(4)], [0, 0, 1, 1]
    for seed, guesses in enumerate([[0, 0, 1, 1], [0, 0, 1, 0]]):
        own = made_predictions(ids, truth, guesses, CLASSES[:2])
        options = data_options("nowhere")
        write_run(tmp_path / f"m/seed{seed}", SKELETON, options, own, seed=seed)
    runs = read_runs([tmp_path / "m"])
    assert [run.seed for run in runs] == [0, 1]
    with pytest.raises(InputError, match="one config and one seed"):
        again = write_run(tmp_path / "n", SKELETON, data_options("x"), own, seed=1)
        make_page([*runs, *read_runs([again])])
    other = made_predictions(["d0", *ids[1:]], truth, guesses, CLASSES[:2])
    again = write_run(tmp_path / "o", SKELETON, data_options("x"), other, seed=1)
    with pytest.raises(InputError, match="same clips: 1 are only in the first, 1 only"):
        make_page([*runs, *read_runs([again])])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: None, "is no folder"),
        (lambda folder: folder.mkdir(), "no best.pth"),
    ],
    ids=["missing", "empty"],
)
def test_a_folder_without_a_run_is_named(tmp_path, make, message):
    make(tmp_path / "x")
    with pytest.raises(WorkDirError, match=message):
        read_runs([tmp_path / "x"])


def test_old_predictions_are_not_taken_for_those_of_a_new_checkpoint(runs):
    (run,) = read_runs(runs[:1])
    assert run.is_tested
    made = run.predictions_path.stat().st_mtime
    os.utime(run.checkpoint, (made + 5, made + 5))
    assert not run.is_tested
    os.utime(run.checkpoint, (made, made))
