"""Parameters and FLOPs of the fusers of paper B's Tables 3 and 4, beside the paper's.

    python tools/analysis/fusers.py
    python tools/analysis/fusers.py --width 1024 --video-tokens 4096 --json fusers.json

Nothing is computed: every fuser runs on tensors without content, so that any size
takes a second. FLOPs are of one clip's forward pass in 1e9, an addition and a
multiplication being two; "MACs" is half of that, which most papers call FLOPs. Exit
codes: 0 done, 2 wrong command.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from mmfusion.analysis.fusers import VIDEO_TOKENS, WIDTH, fusers, table_3, table_4
from mmfusion.utils.commands import command_parser, positive
from mmfusion.utils.paths import write_atomic


def main(argv: Sequence[str] | None = None) -> int:
    parser = command_parser(__doc__)
    add = parser.add_argument
    add("--width", type=positive, default=WIDTH, help="of video tokens (%(default)s)")
    add(
        "--video-tokens",
        type=positive,
        default=VIDEO_TOKENS,
        help="beside the CLS token (%(default)s; ViT-B 3136, ViT-L 4096)",
    )
    add("--text-tokens", type=positive, default=40, help="of a question (%(default)s)")
    add("--questions", type=positive, default=2, help="of a clip (%(default)s)")
    add("--json", type=Path, metavar="FILE", help="write the numbers there too")
    args = parser.parse_args(argv)
    rows = fusers(args.width, args.video_tokens, args.text_tokens, args.questions)
    console = Console()
    table_3(rows, args.width).show(console)
    if args.width == WIDTH:
        table_4(rows).show(console)
    if args.json:
        text = json.dumps([asdict(row) for row in rows], indent=2) + "\n"
        write_atomic(args.json, text.encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
