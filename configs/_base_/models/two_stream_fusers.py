"""Paper B's fusers (Table 3) of RGB and skeletons, as necks to choose from."""

from mmfusion.models import MLPFusion, SharedSSMFusion, TransformerFusion

_streams = dict(video=dict(), skeleton=dict())
_mlp_fusion = dict(type=MLPFusion, embed_dims=None, streams=_streams)
_shared_a_fusion = dict(
    type=SharedSSMFusion,
    embed_dims=None,
    streams=_streams,
    with_norm=True,  # the released form has none; at nano rates the loss then jumps
)
_transformer_fusion = dict(
    type=TransformerFusion,
    embed_dims=None,
    streams=_streams,
    depth=2,
    num_heads=4,
    num_positions=8,  # two tokens of each stream are read
)
