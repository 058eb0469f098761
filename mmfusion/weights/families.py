"""What each family of published weights needs to fit our models: one table each.

Each table was read off the authors' code; ``tests/checkpoints`` holds their key lists.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Family:
    """How the keys of a family become the keys of its backbone here.

    Attributes:
        name: as a backbone's attribute ``published`` names it.
        marker: a pattern that some key of a published file matches; a file without is
            taken for one of ours. None: the table changes nothing in ours.
        renames: (pattern, replacement) pairs for ``re.sub``, applied in order.
        unused: patterns of keys that the backbone does not have, and why.
        heads: (pattern, task): the published classifier of a task; group 1 is
            ``weight`` or ``bias``.
        space: the table of positions in a frame, its first entry the CLS token's.
        time: the table of times. A last axis of channels, the one before it resized.
        truncates_time: whether the authors cut a longer table instead of resizing it.
        inflates: the patch convolution: an image's (d, 3, h, w) kernel is put into the
            middle frame of the video's.
        flattened: kernels that are published as (d, 3 h w).
        from_images: patterns of keys that image weights lack; they keep their start.
    """

    name: str
    marker: str | None = None
    renames: tuple[tuple[str, str], ...] = ()
    unused: dict[str, str] = field(default_factory=dict)
    heads: tuple[tuple[str, str], ...] = ()
    space: str | None = None
    time: str | None = None
    truncates_time: bool = False
    inflates: str | None = None
    flattened: str | None = None
    from_images: tuple[str, ...] = ()


VIDEOMAMBA = Family(
    "videomamba",
    renames=(
        (r"^(backbone|encoder)\.", ""),
        # masked pretraining calls its last norm so; the authors start it afresh
        (r"^norm\.", "norm_f."),
    ),
    unused={r"^clip_decoder\.|^clip_pos_embed$": "decoder of the masked pretraining"},
    heads=((r"^head\.(weight|bias)$", "action"),),
    space="pos_embed",
    time="temporal_pos_embedding",
    inflates="patch_embed.proj.weight",
    from_images=(r"^temporal_pos_embedding$",),
)

_CLIP_TEXT = (
    r"^(textual|transformer|token_embedding|ln_final|positional_embedding)\b"
    r"|^(logit_scale|text_projection|image_projection)$|^visual\.(image_projection|proj)$"
)

AVION = Family(
    "avion",
    marker=r"^visual\.",
    renames=(
        (r"^visual\.", ""),
        # the layout of flash-attn; Wqkv is stacked row by row like in_proj
        (r"\.attn\.Wqkv\.(weight|bias)$", r".attn.in_proj_\1"),
        (r"\.mlp\.fc1\.", ".mlp.c_fc."),
        (r"\.mlp\.fc2\.", ".mlp.c_proj."),
    ),
    unused={_CLIP_TEXT: "text tower and projections of the pretraining"},
    heads=((r"^fc_cls\.(weight|bias)$", "action"),),
    space="positional_embedding",
    time="temporal_embedding",
    truncates_time=True,
    flattened="conv1.weight",
)

LAVILA = Family(
    "lavila",
    marker=r"^visual\.",
    renames=((r"^visual\.", ""),),
    unused={_CLIP_TEXT: "text tower and projections of the pretraining"},
    heads=(
        (r"^fc_cls\.(weight|bias)$", "action"),
        (r"^fc_cls\.0\.(weight|bias)$", "verb"),
        (r"^fc_cls\.1\.(weight|bias)$", "noun"),
        (r"^fc_cls\.2\.(weight|bias)$", "action"),
    ),
    space="pos_embed",
    time="temporal_embed",
    truncates_time=True,
)

# 14 x 14 positions whatever the input: the model itself resizes them
MOTIONFORMER = Family(
    "motionformer",
    unused={r"^patch_embed\.proj\.": "the image model's 2-D patches, never used"},
    heads=(
        (r"^head\.(weight|bias)$", "action"),
        (r"^head0\.(weight|bias)$", "verb"),
        (r"^head1\.(weight|bias)$", "noun"),
    ),
    time="temp_embed",
)

FAMILIES = {family.name: family for family in (VIDEOMAMBA, AVION, LAVILA, MOTIONFORMER)}
