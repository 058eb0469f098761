"""Convert published weights of VideoMamba to safetensors of ours, or back.

    python tools/converters/videomamba.py \
        hf://OpenGVLab/VideoMamba/videomamba_t16_ssv2_f8_res224.pth out.safetensors
    python tools/converters/videomamba.py IN.pth OUT.safetensors --head action=174
    python tools/converters/videomamba.py best.pth published.pth --back

Without --head the file fits init_cfg of the backbone; with it, load_from of a
recognizer. --back takes a checkpoint of ours and writes what the authors' scripts read.
"""

import sys

from _convert import parser_of, run, save_published, to_cpu_tensors

from mmfusion.utils.errors import CheckpointError


def main() -> int:
    """The command line; the exit code."""
    parser = parser_of(__doc__ or "", ["tiny", "small", "middle", "base", "nano"])
    parser.add_argument("--back", action="store_true", help="ours to the published")
    args = parser.parse_args()
    if not args.back:
        return run("VideoMamba", args)
    try:
        save_published(to_cpu_tensors(args.source), args.out)
    except CheckpointError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"wrote {args.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
