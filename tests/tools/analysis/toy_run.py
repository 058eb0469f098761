"""A work folder of a model that was not trained, with its clips, in no time."""

import torch
from mmengine.config import Config

from mmfusion.datasets.annotation import write_annotation
from mmfusion.engine.runner.work_dir import CONFIG_MARK, config_text
from mmfusion.registry import MODELS
from tests.datasets.transforms.helpers import META
from tests.video_files import write_video


def write_run(root, model, pipeline, evaluator, classes, records, **dataset):
    """Config, best.pth, annotation and a film of 3 s, ``a.mp4``, into a folder."""
    write_video(root / "a.mp4", num_frames=30)
    known = dict(split="val", video="a.mp4", skeleton=None, index_fps=10.0)
    meta = dict(version=1, dataset="toy", classes=classes, **META)
    rows = [{**known, **record} for record in records]
    write_annotation(root / "annotation.json", meta, rows)
    data = dict(
        type="MultiModalDataset",
        data_root=str(root),
        ann_file="annotation.json",
        split="val",
        test_mode=True,
        pipeline=pipeline,
        **dataset,
    )
    loader = dict(
        batch_size=2,
        num_workers=0,
        dataset=data,
        sampler=dict(type="SeededSampler", shuffle=False),
        collate_fn=dict(type="mmfusion.fusion_collate"),
    )
    config = Config(
        dict(
            model=model,
            test_dataloader=loader,
            test_cfg=dict(type="TestLoop"),
            test_evaluator=dict(type=evaluator),
            log_level="WARNING",
        )
    )
    (root / "toy.py").write_text(f"{CONFIG_MARK}\n{config_text(config)}")
    torch.manual_seed(0)
    torch.save(MODELS.build(config.model).state_dict(), root / "best.pth")
    return root
