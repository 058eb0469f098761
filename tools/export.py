"""Write a trained model to be used elsewhere: as a folder, or a graph without mmfusion.

    python tools/export.py work_dirs/NAME --format model
    python tools/export.py work_dirs/NAME --format model --push OWNER/NAME
    python tools/export.py work_dirs/NAME --merged    # adapters and base as one model
    python tools/export.py work_dirs/NAME --format onnx --out exported/name_onnx
    python tools/export.py CONFIG --checkpoint hf://OWNER/REPOSITORY/FILE --format pt2

RUN is the folder of a run, a checkpoint with its card, a folder that this tool wrote,
or a config with --checkpoint. --merged puts all weights of published encoders into the
folder, which is then used without their files; adapters of LoRA are folded in.
mmfusion/apis/README.md says what each format has. Exit codes: 0 done, 1 the graph does
not give the model's scores, 2 wrong command, 3 checkpoint unreadable or not of this
model.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from mmfusion.apis import LoadedModel, load_model
from mmfusion.apis.graph_folder import FORMATS, write_graph_folder
from mmfusion.apis.model_folder import push_folder, write_model_folder
from mmfusion.apis.real_inputs import real_inputs
from mmfusion.utils.commands import command_parser, errors_in_one_line
from mmfusion.utils.errors import MMFusionError


def find_real(run: str, loaded: LoadedModel) -> dict[str, Tensor] | None:
    """Inputs of real clips; None, and a line about the reason, where there are none."""
    try:
        return real_inputs(run, loaded.model)
    except (MMFusionError, OSError) as error:
        print(f"compared on random inputs only: {error}")
        return None


@errors_in_one_line
def main(argv: Sequence[str] | None = None) -> int:
    parser = command_parser(__doc__)
    add = parser.add_argument
    add("run", metavar="RUN", help="folder of a run, checkpoint, or config")
    add("--checkpoint", help="of a config: .pth or .safetensors")
    add("--format", choices=["model", *FORMATS], default="model")
    add("--out", type=Path, help="new folder; exported/<name>_<format> if left")
    add("--license", metavar="ID", help="of the weights, as the hub names it: mit")
    add("--merged", action="store_true", help="the published weights, too; one model")
    add("--push", metavar="OWNER/NAME", help="put the model folder on the hub")
    add("--private", action="store_true", help="make the pushed repository private")
    args = parser.parse_args(argv)
    for flag, given in (("--push", args.push), ("--merged", args.merged)):
        if given and args.format != "model":
            parser.error(f"{flag} goes with --format model")
    name = Path(args.run).resolve().stem
    kind = "merged" if args.merged else args.format
    out = args.out or Path("exported") / f"{name}_{kind}"
    loaded = load_model(args.run, args.checkpoint)
    if args.format == "model":
        write_model_folder(loaded, out, args.license, merged=args.merged)
    else:
        print("tracing and comparing the graph: a minute or some", flush=True)
        real = find_real(args.run, loaded)
        lines = write_graph_folder(loaded, out, args.format, args.license, real)
        print("\n".join(lines))
    print(f"wrote {out}")
    if args.push:
        print(push_folder(out, args.push, private=args.private))
    return 0


if __name__ == "__main__":
    sys.exit(main())
