"""Convert published weights of Motionformer or ORViT to safetensors of ours.

    python tools/converters/motionformer.py IN.pyth OUT.safetensors
    python tools/converters/motionformer.py IN.pyth OUT.safetensors --orvit \
        --img-size 336

Without --head the file fits init_cfg of the backbone; with it (--head verb=97 --head
noun=300), load_from of a recognizer.
"""

import sys

from _convert import parser_of, run


def main() -> int:
    """The command line; the exit code."""
    parser = parser_of(__doc__ or "", ["base", "nano"])
    parser.add_argument("--orvit", action="store_true", help="with object blocks")
    args = parser.parse_args()
    return run("ORViT" if args.orvit else "Motionformer", args)


if __name__ == "__main__":
    sys.exit(main())
