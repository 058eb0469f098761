from tests.analysis.fusion_config import CONFIGS, write_config
from tests.tools.command import main_of

main = main_of("analysis/lr_table")


def test_the_command_writes_the_table_and_the_plot(tmp_path, capsys):
    config = write_config(tmp_path, "mambavl_100e")
    out = tmp_path / "lr.png"
    options = ["--steps", "2", "--batch-size", "256", "--list", "--out", str(out)]
    assert main([str(config), *options]) == 0
    text = capsys.readouterr().out
    assert "neck" in text and "0.006" in text and "neck.layers.0.A_log" in text
    assert out.read_bytes().startswith(b"\x89PNG")


def test_a_config_that_trains_nothing_is_refused(tmp_path, capsys):
    path = tmp_path / "empty.py"
    path.write_text("model = None\n")
    assert main([str(path)]) == 2
    assert "no optim_wrapper" in capsys.readouterr().err


def test_layers_of_several_rates_are_named_and_no_number_is_cut(tmp_path, capsys):
    path = CONFIGS / "recognition/video_mamba_tiny_ssv2.py"
    option = "optim_wrapper.paramwise_cfg.layer_decay.form=intended"
    out = tmp_path / "lr.png"
    command = [str(path), "--steps", "1", "--out", str(out), "--cfg-options", option]
    assert main(command) == 0
    text = capsys.readouterr().out
    assert "encoders.video.layers.23" in text and "0.0012" in text
    assert "\u2026" not in text  # an ellipsis


def test_a_model_that_cannot_be_built_is_named(capsys):
    path = CONFIGS / "recognition/avion_base_ek100.py"
    option = "model.encoders.video.arch=huge"
    assert main([str(path), "--cfg-options", option]) == 2
    assert "huge" in capsys.readouterr().err
