"""Convert published weights of CLIPTimeSformer to safetensors of ours, with a report.

    python tools/converters/lavila.py tsf_b_ek100_cls.pth out.safetensors \
        --head verb=97 --head noun=300 --head action=3806

Without --head the file fits init_cfg of the backbone; with it, load_from of a
recognizer.
"""

import sys

from _convert import parser_of, run


def main() -> int:
    """The command line; the exit code."""
    parser = parser_of(__doc__ or "", ["base", "large", "nano"])
    return run("CLIPTimeSformer", parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
