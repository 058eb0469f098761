"""List the published checkpoints: what they are, their accuracy, source and licence.

    python tools/converters/zoo.py                 # all
    python tools/converters/zoo.py ssv2 tiny       # rows that have all of these words
    python tools/converters/zoo.py --csv           # the file itself

Accuracies are the authors', not ours.
"""

import csv
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

import mmfusion.weights
from mmfusion.layouts.csv_rows import read_columns
from mmfusion.utils.commands import command_parser

ZOO = Path(mmfusion.weights.__file__).with_name("zoo.csv")
COLUMNS = ("backbone", "num_frames", "img_size", "trained_on", "metric", "value") + (
    *("source", "checksum", "licence", "note"),
)


def main() -> int:
    """The command line; the exit code."""
    parser = command_parser(__doc__)
    parser.add_argument("words", nargs="*", help="show rows that have all of them")
    parser.add_argument("--csv", action="store_true", help="print the file as it is")
    args = parser.parse_args()
    rows = [row for _, row in read_columns(ZOO, COLUMNS, "mmfusion/weights")]
    words = [word.lower() for word in args.words]
    rows = [r for r in rows if all(w in " ".join(r.values()).lower() for w in words)]
    if not rows:
        print(f"no checkpoint has {' and '.join(args.words)}", file=sys.stderr)
        return 1
    if args.csv:
        writer = csv.DictWriter(sys.stdout, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
        return 0
    console = Console()
    table = Table()
    for title in ("backbone", "frames x px", "trained on", "accuracy (authors')"):
        table.add_column(title, overflow="fold")
    table.add_column("source, checksum, licence, note", overflow="fold", ratio=1)
    for row in rows:
        size = f"{row['num_frames']} x {row['img_size']}"
        accuracy = f"{row['value']} ({row['metric']})" if row["value"] else "-"
        parts = (row["source"], row["checksum"], row["licence"], row["note"])
        source = "\n".join(filter(None, parts))
        name = row["backbone"] or "-"
        table.add_row(name, size, row["trained_on"], accuracy, source)
    console.print(table, highlight=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
