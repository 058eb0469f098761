"""Questions for anticipation: a recogniser labels what is observed, the bank asks.

    python tools/questions/from_observed.py \\
        configs/mambavl/video_only_nano_tinyego_observed.py \\
        work_dirs/video_only_nano_tinyego/best.pth

CONFIG is an anticipation config of the recogniser's own model: its window decides what
the recogniser sees, which was trained on whole actions. For each split this runs
tools/test.py --dump and then from_predictions.py, and writes
questions/observed_<split>.jsonl under the config's data_root, with the recogniser's
accuracy beside it in .meta.json. Training clips are never asked their own question.
A dump that is younger than the checkpoint is used again. Exit code: 0 done, else that
of the command that failed.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from mmfusion.engine.launch.config_check import load_config
from mmfusion.utils.commands import command_parser

TOOLS = Path(__file__).resolve().parents[1]
NAMES = {"train": "train", "val": "validation", "test": "test"}


def parse_args() -> argparse.Namespace:
    parser = command_parser(__doc__)
    add = parser.add_argument
    add("config", type=Path, help="anticipation config of the recogniser's model")
    add("checkpoint", type=Path, help="the recogniser")
    add("--splits", nargs="+", choices=list(NAMES), default=list(NAMES))
    add(
        "--bank",
        default="questions/ground_truth_train.jsonl",
        help="questions of the training split, relative to data_root",
    )
    add(
        "--work-dir",
        type=Path,
        help="where the dumps go; beside the checkpoint if left",
    )
    return parser.parse_args()


def dump_split(args: argparse.Namespace, split: str, dump: Path) -> int:
    """Run the recogniser on what is observed of a split; the exit code."""
    if dump.is_file() and dump.stat().st_mtime > args.checkpoint.stat().st_mtime:
        return 0
    command = [sys.executable, str(TOOLS / "test.py"), str(args.config)]
    command += [str(args.checkpoint), "--dump", str(dump)]
    command += ["--work-dir", str(dump.parent), "--cfg-options"]
    return subprocess.call([*command, f"test_dataloader.dataset.split={split}"])


def ask_split(
    args: argparse.Namespace, root: Path, ann_file: str, split: str, dump: Path
) -> int:
    """Choose the questions of a split; the exit code."""
    command = [sys.executable, str(TOOLS / "questions" / "from_predictions.py")]
    command += ["--predictions", str(dump), "--recogniser", args.checkpoint.parent.name]
    command += ["--train-questions", str(root / args.bank)]
    command += ["--annotations", str(root / ann_file)]
    command += ["--out", str(root / "questions" / f"observed_{NAMES[split]}.jsonl")]
    return subprocess.call(command + ["--training-clips"] * (split == "train"))


def main() -> int:
    args = parse_args()
    dataset = load_config(args.config).test_dataloader.dataset
    root = Path(dataset.data_root)
    folder = args.work_dir or args.checkpoint.parent / "observed"
    folder.mkdir(parents=True, exist_ok=True)
    for split in args.splits:
        dump = folder / f"{split}.npz"
        code = dump_split(args, split, dump) or ask_split(
            args, root, dataset.ann_file, split, dump
        )
        if code:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
