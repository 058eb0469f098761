"""Small models of transformers, saved as published ones are."""

import json

import torch

ROBERTA = dict(
    model_type="roberta",
    vocab_size=40,
    hidden_size=16,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=24,
    max_position_embeddings=14,
)
_SMALL = dict(hidden_size=16, num_attention_heads=2, intermediate_size=24)
_VIDEO = dict(_SMALL, image_size=32, num_frames=4)
TINY = {
    "timesformer": dict(_VIDEO, num_hidden_layers=2),
    "videomae": dict(_VIDEO, num_hidden_layers=2),
    "vivit": dict(_VIDEO, num_hidden_layers=2),
    "vjepa2": dict(
        hidden_size=24,
        num_attention_heads=2,
        mlp_ratio=1.5,
        crop_size=32,
        frames_per_clip=4,
        num_hidden_layers=2,
        pred_hidden_size=24,
        pred_num_attention_heads=2,
        pred_num_hidden_layers=1,
    ),
    "videoprism_vision_model": dict(
        _VIDEO, tubelet_size=[1, 16, 16], num_spatial_layers=2, num_temporal_layers=1
    ),
    "dinov3_vit": dict(
        _SMALL, image_size=32, num_hidden_layers=2, num_register_tokens=2
    ),
    "hiera": dict(
        embed_dim=8, image_size=[32, 32], depths=[1] * 4, num_heads=[1, 1, 2, 2]
    ),
    "xclip": dict(
        text_config=dict(_SMALL, vocab_size=20, num_hidden_layers=1),
        vision_config=dict(
            _VIDEO,
            num_hidden_layers=2,
            patch_size=16,
            mit_hidden_size=8,
            mit_intermediate_size=8,
            mit_num_attention_heads=2,
        ),
        projection_dim=8,
        prompt_num_attention_heads=2,
    ),
}
PROCESSOR = dict(
    image_processor_type="VideoMAEImageProcessor",
    size={"shortest_edge": 36},
    crop_size={"height": 32, "width": 32},
    image_mean=[0.4, 0.5, 0.6],
    image_std=[0.2, 0.25, 0.3],
)


def tiny(family):
    """Keys of a small config of a family."""
    return dict(TINY[family], model_type=family)


def published(folder, family, seed=7, kind=None):
    """Save a model whose every tensor is random; the model of transformers.

    Args:
        kind: its class, such as one with a head; by default the bare model.
    """
    import transformers

    config = transformers.AutoConfig.for_model(**tiny(family))
    torch.manual_seed(seed)
    build = (
        transformers.AutoModel.from_config
        if kind is None
        else getattr(transformers, kind)
    )
    model = build(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.3)
    transformers.utils.logging.disable_progress_bar()
    model.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(PROCESSOR))
    return model
