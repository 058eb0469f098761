"""MambaVL on 8 frames of 64 px and two questions, for CPUs; TinyEgo's classes.

The text encoder is one layer that is trained from scratch, for a tokenizer of up to
1,024 tokens.
"""

from mmfusion.models import (
    ClassificationHead,
    MultiModalRecognizer,
    SharedSSMFusion,
    TextEncoder,
    VideoMamba,
)

model = dict(
    type=MultiModalRecognizer,
    encoders=dict(
        video=dict(
            type=VideoMamba,
            arch="nano",
            num_frames=8,
            img_size=64,
            tubelet_size=2,
            reset_dt=False,
        ),
        text=dict(
            type=TextEncoder,
            pretrained=None,
            hf_config=dict(
                model_type="roberta",
                vocab_size=1024,
                hidden_size=64,
                num_hidden_layers=1,
                num_attention_heads=4,
                intermediate_size=128,
                max_position_embeddings=66,  # questions of up to 64 tokens
                type_vocab_size=1,
            ),
            mode="tuned",
        ),
    ),
    neck=dict(
        type=SharedSSMFusion,
        embed_dims=64,
        streams=dict(video=dict(), text=dict(mlp=True)),
        with_norm=True,  # the released form has none; at nano rates the loss then jumps
    ),
    heads=dict(
        verb=dict(type=ClassificationHead, num_classes=6, in_dims=64, init_std=0.15),
        noun=dict(type=ClassificationHead, num_classes=12, in_dims=64, init_std=0.15),
    ),
    questions="separate",
)
