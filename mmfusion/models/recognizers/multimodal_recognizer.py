"""The one recognizer: encoders, an optional neck, heads.

Shapes: b samples, v views, t frames, d channels, k classes of a task.
"""

from collections.abc import Mapping, Sequence

import torch
from mmengine.model import BaseModel, ModuleDict
from torch import Tensor

from mmfusion.registry import MODELS
from mmfusion.structures import ActionDataSample, TokenFeatures

MASK_SUFFIX = "_mask"
MODES = ("tensor", "loss", "predict")


@MODELS.register_module()
class MultiModalRecognizer(BaseModel):
    """Recognise actions from one stream or several.

    Views are folded into the batch before the encoders and averaged after the softmax.
    One encoder without a neck is the unimodal baseline.

    Args:
        encoders: config of an encoder by stream: (b, ...) and an optional mask to
            :class:`TokenFeatures`.
        heads: config of a head by task (``action``, ``verb``, ``noun``...).
        neck: config of a fusion neck: features by stream to (b, d); None with one
            encoder only, whose CLS token (or token mean) goes to the heads.
        frozen: streams whose encoder is not trained.
        data_preprocessor: config; :class:`MultiModalPreprocessor` if None.

    Raises:
        ValueError: several encoders without a neck, or an unknown frozen stream.
    """

    def __init__(
        self,
        encoders: Mapping[str, dict],
        heads: Mapping[str, dict],
        *,
        neck: dict | None = None,
        frozen: Sequence[str] = (),
        data_preprocessor: dict | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        preprocessor = data_preprocessor or dict(type="MultiModalPreprocessor")
        super().__init__(MODELS.build(preprocessor), init_cfg)
        if not encoders or (neck is None and len(encoders) > 1):
            raise ValueError(
                f"encoders are {sorted(encoders)} and neck is {neck}: expected one"
                " encoder without a neck, or a neck that fuses several"
            )
        unknown = set(frozen) - set(encoders)
        if unknown:
            raise ValueError(f"frozen names {sorted(unknown)}, expected {[*encoders]}")
        self.encoders = ModuleDict(_build_all(encoders))
        self.neck = None if neck is None else MODELS.build(neck)
        self.heads = ModuleDict(_build_all(heads))
        self.frozen = tuple(frozen)
        for name in self.frozen:
            self.encoders[name].requires_grad_(False)

    def train(self, mode: bool = True) -> "MultiModalRecognizer":
        """Frozen encoders stay in evaluation mode: no dropout, no drop path."""
        super().train(mode)
        for name in self.frozen:
            self.encoders[name].eval()
        return self

    def _dump_init_info(self) -> None:
        """Keep MMEngine's two log lines a parameter away; ``Pretrained`` reports."""

    def forward(
        self,
        inputs: dict[str, Tensor],
        data_samples: list[ActionDataSample] | None = None,
        mode: str = "tensor",
    ) -> dict[str, Tensor] | list[ActionDataSample]:
        """Losses, predictions or logits of one batch.

        Args:
            inputs: (b, v, ...) by stream, and ``<stream>_mask`` where there is one.
            data_samples: one a sample, with ``gt_<task>`` in mode ``loss``.
            mode: ``tensor`` for logits (b v, k) by task, ``loss``, or ``predict``.

        Returns:
            By mode: logits by task; ``loss_<task>`` and ``acc_<task>`` (percent); the
            data samples with ``score_<task>`` (k,) added.

        Raises:
            ValueError: an unknown mode, or not one data sample a sample.
        """
        if mode not in MODES:
            raise ValueError(f"mode is {mode!r}, expected one of {MODES}")
        logits, views = self._logits(inputs)
        if mode == "tensor":
            return logits
        samples = data_samples or []
        batch = len(next(iter(logits.values()))) // views
        if len(samples) != batch:
            raise ValueError(
                f"data_samples: got {len(samples)}, expected {batch}, one for each"
                f" sample of the batch in mode {mode!r}"
            )
        if mode == "loss":
            return self._losses(logits, views, samples)
        return self._predictions(logits, views, samples)

    def logged_scalars(self) -> dict[str, float]:
        """Numbers worth a line in the log, such as the streams' weights of a mix."""
        scalars = getattr(self.neck, "logged_scalars", None)
        return scalars() if scalars else {}

    def _logits(self, inputs: dict[str, Tensor]) -> tuple[dict[str, Tensor], int]:
        """Logits (b v, k) by task, and v."""
        feats, views = self._encode(inputs)
        if self.neck is None:
            fused = next(iter(feats.values())).summary  # (b v, d)
        else:
            fused = self.neck(feats)  # (b v, d)
        return {task: head(fused) for task, head in self.heads.items()}, views

    def _encode(
        self, inputs: dict[str, Tensor]
    ) -> tuple[dict[str, TokenFeatures], int]:
        missing = [name for name in self.encoders if name not in inputs]
        if missing:
            raise ValueError(
                f"the batch holds {sorted(inputs)}, but the model has encoders for"
                f" {missing} too: add the stream to PackInputs(streams=...)"
            )
        views = max(inputs[name].shape[1] for name in self.encoders)
        feats = {}
        for name, encoder in self.encoders.items():
            x = _fold_views(name, inputs[name], views)
            mask = inputs.get(name + MASK_SUFFIX)
            if mask is not None:
                mask = _fold_views(name + MASK_SUFFIX, mask, views)
            with torch.set_grad_enabled(
                torch.is_grad_enabled() and name not in self.frozen
            ):
                feats[name] = encoder(x, mask)
        return feats, views

    def _losses(
        self, logits: dict[str, Tensor], views: int, samples: list[ActionDataSample]
    ) -> dict[str, Tensor]:
        losses = {}
        for task, scores in logits.items():
            target = _labels(samples, task, self.heads[task].num_classes)
            target = target.to(scores.device).repeat_interleave(views)  # (b v,)
            losses[f"loss_{task}"] = self.heads[task].loss(scores, target)
            hits = scores.detach().argmax(-1) == target
            losses[f"acc_{task}"] = 100 * hits.float().mean()
        return losses

    def _predictions(
        self, logits: dict[str, Tensor], views: int, samples: list[ActionDataSample]
    ) -> list[ActionDataSample]:
        for task, scores in logits.items():
            scores = scores.float().softmax(-1).unflatten(0, (-1, views)).mean(1)
            for sample, score in zip(samples, scores, strict=True):
                sample.set_field(score, f"score_{task}")  # (k,)
        return samples


def _build_all(configs: Mapping[str, dict]) -> dict[str, torch.nn.Module]:
    return {name: MODELS.build(config) for name, config in configs.items()}


def _fold_views(name: str, x: Tensor, views: int) -> Tensor:
    """(b, v, ...) -> (b v, ...); a stream with one view serves all."""
    if x.shape[1] == 1:
        x = x.expand(-1, views, *x.shape[2:])
    if x.shape[1] != views:
        raise ValueError(f"{name} has {x.shape[1]} views, expected 1 or {views}")
    return x.flatten(0, 1)


def _labels(samples: list[ActionDataSample], task: str, num_classes: int) -> Tensor:
    """(b,) int64; a label absent or out of range raises with the sample's id."""
    labels = []
    for sample in samples:
        label = sample.get(f"gt_{task}")
        if label is None or not 0 <= int(label) < num_classes:
            raise ValueError(
                f"sample {sample.metainfo.get('sample_id')!r} has"
                f" {task} label {label}, expected 0..{num_classes - 1}"
            )
        labels.append(int(label))
    return torch.tensor(labels)
