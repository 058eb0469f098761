"""The one recognizer: encoders, an optional neck, heads.

Shapes: b samples, v views, q questions of a sample, t frames, d channels, k classes of
a task.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from mmengine.model import BaseModel, ModuleDict
from torch import Tensor, nn

from mmfusion.models.protocols import (
    CountsHands,
    Foresees,
    LogsScalars,
    ReadsExtraStreams,
    WeighsSamples,
)
from mmfusion.registry import MODELS
from mmfusion.structures import (
    MASK_SUFFIX,
    ActionDataSample,
    ForwardPass,
    TokenFeatures,
)
from mmfusion.utils.errors import InputError, check_choice

MODES = ("tensor", "loss", "predict")
QUESTIONS = ("separate", "joint")


@MODELS.register_module()
class MultiModalRecognizer(BaseModel):
    """Recognise actions from one stream or several.

    Views are folded into the batch before the encoders and averaged after the softmax.
    One encoder without a neck is the unimodal baseline. A text stream (b, 1, q, l) with
    several questions gives as many fused vectors a view, of which each head reads its
    own (paper B: a verb question and a noun question). A neck may give a vector at
    every moment, (b, t, d): the heads score each, labels are
    those of moments (:class:`ActionDataSample`).

    Args:
        encoders: config of an :class:`Encoder` by stream. One that
            :class:`ReadsExtraStreams` gets further inputs of the batch.
        heads: config of a :class:`Head` by task (``action``, ``verb``, ``noun``...).
        neck: config of a fusion :class:`Neck`; None with one encoder only, whose CLS
            token (or token mean) goes to the heads.
        stand_ins: config of what fills in the streams that a sample lacks, before the
            neck, such as :class:`StandInTokens`; it is given ``embed_dims`` by stream,
            and maps features by stream to the same. None leaves them to the neck.
        frozen: streams whose encoder is not trained.
        questions: ``separate``: the head of a task in ``question_tasks`` reads the
            vector of its own question, any other head the mean over questions;
            ``joint``: every head reads the mean.
        question_tasks: the task of each question, in the order of the text stream.
        unlabelled: whether training takes clips without a label: only the auxiliary
            losses count them. The heads' loss is then the sum over the clips of a batch
            that have a label by the number of all its clips, so that each label weighs
            as much as a clip of an auxiliary loss, whatever clips a batch happens to
            have. False: such a clip is an error.
        auxiliary: config of an :class:`AuxiliaryLoss` by name, for mode ``loss`` alone.
            A test, and a model that is exported, does without them and their weights.
        data_preprocessor: config; :class:`MultiModalPreprocessor` if None.

    Raises:
        ValueError: several encoders, or stand-ins, without a neck, an unknown frozen
            stream, or ``questions`` that is neither of the two.
    """

    training_only = ("auxiliary.",)  # of the keys of a checkpoint

    def __init__(
        self,
        encoders: Mapping[str, dict],
        heads: Mapping[str, dict],
        *,
        neck: dict | None = None,
        stand_ins: dict | None = None,
        frozen: Sequence[str] = (),
        questions: str = "separate",
        question_tasks: Sequence[str] = ("verb", "noun"),
        unlabelled: bool = False,
        auxiliary: Mapping[str, dict] | None = None,
        data_preprocessor: dict | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        preprocessor = data_preprocessor or dict(type="MultiModalPreprocessor")
        super().__init__(MODELS.build(preprocessor), init_cfg)
        if not encoders or (neck is None and len(encoders) > 1):
            raise InputError(
                f"encoders are {sorted(encoders)} and neck is {neck}: expected one"
                " encoder without a neck, or a neck that fuses several"
            )
        unknown = set(frozen) - set(encoders)
        if unknown:
            raise InputError(f"frozen names {sorted(unknown)}, expected {[*encoders]}")
        check_choice("questions", questions, QUESTIONS)
        self.questions = questions
        self.question_tasks = tuple(question_tasks)
        self.unlabelled = unlabelled
        self.encoders = ModuleDict(_build_all(encoders))
        self.extra_streams = {  # by encoder
            name: tuple(x.extra_streams) if isinstance(x, ReadsExtraStreams) else ()
            for name, x in self.encoders.items()
        }
        self.stand_ins = self._build_stand_ins(stand_ins, neck)
        self.neck = None if neck is None else MODELS.build(neck)
        self.heads = ModuleDict(_build_all(heads))
        self.auxiliary = ModuleDict(_build_all(auxiliary or {}))
        self.frozen = tuple(frozen)
        for name in self.frozen:
            self.encoders[name].requires_grad_(False)

    def _build_stand_ins(self, config: dict | None, neck: dict | None) -> nn.Module:
        """Stand-ins at the widths of the encoders, or nothing."""
        if config is None:
            return nn.Identity()
        if neck is None:
            raise InputError(
                f"stand_ins is {config} and neck is None: expected a neck, as a model"
                " of one stream has nothing to go on without it"
            )
        dims = {name: x.embed_dims for name, x in self.encoders.items()}
        return MODELS.build(dict(config, embed_dims=dims))

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
            mode: ``tensor`` for logits (b v, k) by task, of moments (b v, t, k),
                ``loss``, or ``predict``.

        Returns:
            By mode: logits by task; ``loss_<task>`` and ``acc_<task>`` (percent, of
            the larger share where a batch was mixed), and ``loss_<name>_<loss>`` of
            each auxiliary; the data samples with ``score_<task>`` (k,) added.

        Raises:
            ValueError: an unknown mode, not one data sample a sample, questions that
                are not those of ``question_tasks``, or another number of hands.
        """
        check_choice("mode", mode, MODES)
        samples = data_samples or []
        apart = mode == "loss" and self.neck is None and not self.auxiliary
        made = self.run(inputs, samples, votes_apart=apart)
        logits, views = made.logits, made.views
        if mode == "tensor":
            return dict(logits)
        self._check_questions(samples)
        self._check_hands(samples)
        batch = len(next(iter(logits.values()))) // views
        if len(samples) != batch:
            raise InputError(
                f"data_samples: got {len(samples)}, expected {batch}, one for each"
                f" sample of the batch in mode {mode!r}"
            )
        if mode == "loss":
            losses = self._losses(logits, views, samples)
            return {**losses, **self._auxiliary_losses(made)}
        return self._predictions(logits, views, samples)

    def run(
        self,
        inputs: dict[str, Tensor],
        samples: Sequence[ActionDataSample] = (),
        *,
        votes_apart: bool = False,
    ) -> ForwardPass:
        """Encode, fuse and score a batch; all that was made on the way.

        Args:
            inputs: (b, v, ...) by stream, and ``<stream>_mask`` where there is one.
            samples: handed on.
            votes_apart: each vote of the only stream is a view of its own.

        Raises:
            ValueError: as :meth:`encode` and :meth:`fuse`.
        """
        feats, views = self.encode(inputs)
        if votes_apart:
            feats, views = _votes_as_views(feats, views)
        rows = next(iter(inputs.values())).shape[0] * views
        if not isinstance(self.neck, Foresees):
            fused = self.fuse(feats, rows)
            return ForwardPass(inputs, feats, fused, self._score(fused), views, samples)
        foreseen = self.neck.foresee(self.stand_ins(feats))
        fused = self._by_question(foreseen.future, rows)
        past = {name: head(foreseen.past) for name, head in self.heads.items()}
        made = ForwardPass(inputs, feats, fused, self._score(fused), views, samples)
        return replace(made, foreseen=foreseen, past_logits=past)

    def streams_read(self) -> tuple[str, ...]:
        """Names of all inputs that the encoders read, masks left out."""
        extra = self.extra_streams
        return tuple(name for main in extra for name in (main, *extra[main]))

    def logged_scalars(self) -> dict[str, float]:
        """Numbers worth a line in the log, such as the streams' weights of a mix."""
        return self.neck.logged_scalars() if isinstance(self.neck, LogsScalars) else {}

    def stream_weights(self) -> dict[str, Tensor]:
        """Weights by stream of the last forward, () or (b v q,); empty where none."""
        if not isinstance(self.neck, WeighsSamples):
            return {}
        return self.neck.stream_weights()

    def fuse(self, feats: dict[str, TokenFeatures], rows: int) -> Tensor:
        """Vectors that the heads read, (b v, q, d).

        Args:
            feats: of :meth:`encode`; of a stream with questions (b v q, ...).
            rows: b v.

        Raises:
            ValueError: questions that are not those of ``question_tasks``.
        """
        if self.neck is None:
            fused = next(iter(feats.values())).summary  # (b v q, d)
        else:
            fused = self.neck(self.stand_ins(feats))  # (b v q, d)
        return self._by_question(fused, rows)

    def _by_question(self, fused: Tensor, rows: int) -> Tensor:
        """(b v q, d) -> (b v, q, d)."""
        fused = fused.unflatten(0, (rows, -1))  # (b v, q, d)
        count = fused.shape[1]
        if count not in (1, len(self.question_tasks)):
            raise InputError(
                f"the text has {count} questions a sample, expected 1 or one for each"
                f" of question_tasks={self.question_tasks}"
            )
        return fused

    def score(
        self,
        feats: dict[str, TokenFeatures],
        views: int,
        samples: list[ActionDataSample],
    ) -> list[ActionDataSample]:
        """Add ``score_<task>`` (k,) to the samples of these features, (b v, ...)."""
        logits = self.classify(feats, len(samples) * views)
        return self._predictions(logits, views, samples)

    def classify(self, feats: dict[str, TokenFeatures], rows: int) -> dict[str, Tensor]:
        """Fuse the streams, as :meth:`fuse`, and score: logits (b v, k) by task."""
        return self._score(self.fuse(feats, rows))

    def _score(self, fused: Tensor) -> dict[str, Tensor]:
        """(b v, q, d) -> logits (b v, k) by task."""
        return {
            task: head(self._asked(fused, task)) for task, head in self.heads.items()
        }

    def _asked(self, fused: Tensor, task: str) -> Tensor:
        """Vector that the head of a task reads: (b v, q, d) -> (b v, d)."""
        if fused.shape[1] == 1:
            return fused.squeeze(1)
        if self.questions == "separate" and task in self.question_tasks:
            return fused[:, self.question_tasks.index(task)]
        return fused.mean(1)

    def _check_questions(self, samples: Sequence[ActionDataSample]) -> None:
        """The data may say which tasks its questions are for."""
        for sample in samples:
            tasks = sample.metainfo.get("question_tasks")
            if tasks is not None and tuple(tasks) != self.question_tasks:
                raise InputError(
                    f"sample {sample.metainfo.get('sample_id')!r} has the questions of"
                    f" {tuple(tasks)}, the model expects {self.question_tasks}"
                )

    def _check_hands(self, samples: Sequence[ActionDataSample]) -> None:
        """The data say how many hands they have; half a hand is none."""
        for name, encoder in self.encoders.items():
            if not isinstance(encoder, CountsHands):
                continue
            for sample in samples:
                count = sample.metainfo.get("num_hands")
                if count not in (None, encoder.num_hands):
                    raise InputError(
                        f"sample {sample.metainfo.get('sample_id')!r} has {count}"
                        f" hands, encoders.{name} expects num_hands="
                        f"{encoder.num_hands}: set num_hands={count}, or name the"
                        " hands that the model reads in LoadSkeleton(hands=[...])"
                    )

    def encode(self, inputs: dict[str, Tensor]) -> tuple[dict[str, TokenFeatures], int]:
        """Features of each stream and the number of views v.

        Args:
            inputs: (b, v, ...) by stream, and ``<stream>_mask`` where there is one.

        Returns:
            Features by stream, (b v, ...) or, with questions, (b v q, ...); and v.

        Raises:
            ValueError: a stream is missing, or has another number of views.
        """
        wanted = self.extra_streams
        missing = [name for name in self.streams_read() if name not in inputs]
        if missing:
            raise InputError(
                f"the batch holds {sorted(inputs)}, but the model's encoders read"
                f" {missing} too: add the stream to PackInputs(streams=...)"
            )
        views = max(inputs[name].shape[1] for name in self.encoders)
        feats = {}
        for name, encoder in self.encoders.items():
            keys = [
                stream + suffix
                for stream in (name, *wanted[name])
                for suffix in ("", MASK_SUFFIX)
            ]
            x, mask, *others = [_fold_views(k, inputs.get(k), views) for k in keys]
            extra = dict(zip(keys[2:], others, strict=True))
            with torch.set_grad_enabled(
                torch.is_grad_enabled() and name not in self.frozen
            ):
                feats[name] = encoder(x, mask, **extra)
        return feats, views

    def _losses(
        self, logits: Mapping[str, Tensor], views: int, samples: list[ActionDataSample]
    ) -> dict[str, Tensor]:
        losses = {}
        for task, scores in logits.items():
            num_classes = self.heads[task].num_classes
            if scores.ndim > 2:  # of moments, (b v, t, k)
                target = _moment_targets(samples, task, scores[::views].shape)
                target = target.to(scores.device).repeat_interleave(views, 0)
                has_label = target.any(-1)  # not where a short clip has no frame
                scores, target = scores[has_label], target[has_label]  # (r, k)
                losses[f"loss_{task}"] = self.heads[task].loss(scores, target)
                best = target.gather(-1, scores.detach().argmax(-1, keepdim=True))
                losses[f"acc_{task}"] = 100 * (best > 0).float().mean()
                continue
            told = samples
            if self.unlabelled:
                scores, told = _labelled(scores, samples, task)
                if not told:
                    losses[f"loss_{task}"] = 0 * logits[task].sum()
                    continue
            label = _labels(told, "gt", task, num_classes)
            label = label.to(scores.device).repeat_interleave(views)  # (b v,)
            target = label
            if any("own_share" in sample for sample in told):
                target = _mixed_targets(told, task, num_classes).to(scores.device)
                target = target.repeat_interleave(views, 0)  # (b v, k)
            loss = self.heads[task].loss(scores, target)
            losses[f"loss_{task}"] = loss * (len(told) / len(samples))
            hits = scores.detach().argmax(-1) == label
            losses[f"acc_{task}"] = 100 * hits.float().mean()
        return losses

    def _auxiliary_losses(self, made: ForwardPass) -> dict[str, Tensor]:
        return {
            f"loss_{name}_{part}": loss
            for name, auxiliary in self.auxiliary.items()
            for part, loss in auxiliary(made).items()
        }

    def _predictions(
        self, logits: Mapping[str, Tensor], views: int, samples: list[ActionDataSample]
    ) -> list[ActionDataSample]:
        for task, scores in probabilities(logits, views).items():
            for sample, score in zip(samples, scores, strict=True):  # scores (b, k)
                sample.set_field(score, f"score_{task}")  # (k,)
        return samples


def probabilities(logits: Mapping[str, Tensor], views: int) -> dict[str, Tensor]:
    """Logits (b v, k) by task -> (b, k), the mean over views of their softmax."""
    return {
        task: scores.float().softmax(-1).unflatten(0, (-1, views)).mean(1)
        for task, scores in logits.items()
    }


def _build_all(configs: Mapping[str, dict]) -> dict[str, torch.nn.Module]:
    return {name: MODELS.build(config) for name, config in configs.items()}


def _fold_views(name: str, x: Tensor | None, views: int) -> Tensor | None:
    """(b, v, ...) -> (b v, ...); a stream with one view serves all."""
    if x is None:
        return None
    if x.shape[1] == 1:
        x = x.expand(-1, views, *x.shape[2:])
    if x.shape[1] != views:
        raise InputError(f"{name} has {x.shape[1]} views, expected 1 or {views}")
    return x.flatten(0, 1)


def _votes_as_views(
    feats: dict[str, TokenFeatures], views: int
) -> tuple[dict[str, TokenFeatures], int]:
    """Each vote of the one stream as a row of its own, and v times their number."""
    name, feat = next(iter(feats.items()))
    if feat.votes is None:
        return feats, views
    rows = feat.votes.flatten(0, 1)  # (b v n, d)
    return {name: TokenFeatures(rows.unsqueeze(1), rows)}, views * feat.votes.shape[1]


def _labelled(
    scores: Tensor, samples: Sequence[ActionDataSample], task: str
) -> tuple[Tensor, list[ActionDataSample]]:
    """Logits (b v, k) and data samples of the clips that have a label of the task."""
    known = [f"gt_{task}" in sample for sample in samples]
    rows = torch.tensor(known, device=scores.device)
    rows = rows.repeat_interleave(len(scores) // len(samples))  # (b v,)
    return scores[rows], [x for x, yes in zip(samples, known, strict=True) if yes]


def _labels(
    samples: list[ActionDataSample], kind: str, task: str, num_classes: int
) -> Tensor:
    """(b,) int64 of the fields ``<kind>_<task>``.

    A label absent or out of range raises with the sample's id.
    """
    labels = []
    for sample in samples:
        label = sample.get(f"{kind}_{task}")
        if label is None or not 0 <= int(label) < num_classes:
            raise InputError(
                f"sample {sample.metainfo.get('sample_id')!r} has"
                f" {task} label {label}, expected 0..{num_classes - 1}"
            )
        labels.append(int(label))
    return torch.tensor(labels)


def _moment_targets(
    samples: list[ActionDataSample], task: str, shape: torch.Size
) -> Tensor:
    """(b, t, k) distributions of the fields ``gt_<task>`` of moments.

    One absent or of another size raises with the sample's id.
    """
    for sample in samples:
        label = sample.get(f"gt_{task}")
        if label is None or label.shape != shape[1:]:
            found = None if label is None else tuple(label.shape)
            raise InputError(
                f"sample {sample.metainfo.get('sample_id')!r} has {task} labels"
                f" {found}, expected {tuple(shape[1:])}, one a moment: LabelMoments"
                " makes them, of the stream whose clock the neck answers on; the head"
                " has a class for background, too"
            )
    return torch.stack([sample.get(f"gt_{task}") for sample in samples])


def _mixed_targets(
    samples: list[ActionDataSample], task: str, num_classes: int
) -> Tensor:
    """(b, k): the own label's share, and the rest on the label of what was mixed in."""
    share = torch.stack([sample.own_share for sample in samples]).unsqueeze(-1)
    own, other = (
        F.one_hot(_labels(samples, kind, task, num_classes), num_classes)
        for kind in ("gt", "other")
    )
    return share * own + (1 - share) * other
