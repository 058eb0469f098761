"""Show what public anticipation loaders see of EPIC-KITCHENS-100's segments.

    python tools/analysis/protocol.py --root data/ek100
    python tools/analysis/protocol.py --format markdown --json protocols.json

Each loader's window as a formula of ours, over all segments of a split: the share in
which frames of the action itself are shown, how much of it, the gap before it, what is
dropped or padded, wrong frame rates, labels used, and the lines that it was read from.
--root has the official csv files with EPIC_100_video_info.csv, and RULSTM's lists in
rulstm/. configs/mambavl/PROTOCOLS.md says what follows for published numbers. Exit
codes: 0 done, 2 wrong command or files.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from mmfusion.analysis.protocol_audit import ProtocolReport, read_split
from mmfusion.analysis.tables import FORMATS, show, text_of
from mmfusion.utils.commands import command_parser, errors_in_one_line
from mmfusion.utils.paths import write_atomic


@errors_in_one_line
def main(argv: Sequence[str] | None = None) -> int:
    parser = command_parser(__doc__)
    add = parser.add_argument
    add("--root", type=Path, default=Path("data/ek100"), help="(%(default)s)")
    add("--split", choices=("val", "train"), default="val", help="(%(default)s)")
    add("--format", choices=FORMATS, default="text", help="of what is printed")
    add("--json", type=Path, metavar="FILE", help="write the numbers there too")
    args = parser.parse_args(argv)
    report = ProtocolReport(read_split(args.root, args.split))
    if args.format == "text":
        show([report], Console())
    else:
        sys.stdout.write(text_of([report], args.format))
    if args.json:
        text = json.dumps(report.as_dict(), indent=2, allow_nan=False) + "\n"
        write_atomic(args.json, text.encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
