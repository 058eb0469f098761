"""One-line defects for ``tests.campaigns.mutation``: file, text that is there, instead.

Each text stands once in its file. Where the code moves, the campaign says which of them
it no longer finds.
"""

from typing import NamedTuple


class Defect(NamedTuple):
    """A change of a file that some test must notice."""

    file: str  # below mmfusion/
    old: str
    new: str


_TABLES = {
    # equations and start values
    "models/backbones/inavit.py": [
        ("boxes.roll(-self.num_hands, dims=2)", "boxes"),
        ("torch.cat([hands, objects], dim=1)", "objects"),
        ("0.5 * (update + context)", "context"),
    ],
    "ops/reference.py": [
        ("torch.exp(delta_t.unsqueeze(-1) * A)", "(1 + delta_t.unsqueeze(-1) * A)"),
        ("(delta_t * u_t).unsqueeze(-1)", "u_t.unsqueeze(-1)"),
        ("y * F.silu(call.z.to(y.dtype))", "y * torch.sigmoid(call.z.to(y.dtype))"),
        ("(y.flip(1) if reverse else y) + skip", "y + skip"),
        ("one.D * u\n", "one.D\n"),
    ],
    "ops/state_update.py": [
        ("y + D.to(dtype) * x", "y + D.to(dtype)"),
        ("decay * state.to(dtype) +", "state.to(dtype) +"),
    ],
    "ops/causal_conv1d.py": [
        ("window[..., 1:]", "window[..., :-1]"),
        ("weight.flip(1) if call.reverse else weight", "weight"),
        ("F.silu(y) if activation else y", "y"),
    ],
    "ops/selective_scan.py": [
        ("ScanCall(both, (False, True)", "ScanCall(both, (False, False)"),
    ],
    "ops/add_norm.py": [("total = x.to(full) + residual", "total = x.to(full)")],
    "ops/mamba_inner.py": [
        ("dt, B, C = dt_B_C.split", "dt, C, B = dt_B_C.split"),
        ("A = -torch.exp(", "A = torch.exp("),
    ],
    "ops/torch_scan.py": [
        ("skips.append(one.D * u)", "skips.append(u)"),
        ("state = states[-1].clone()", "state = states[0].clone()"),
    ],
    "ops/ssd.py": [
        ("rate.cumsum(-1).exp()", "rate.exp()"),
        ("rate.sum(-1), (1, 0)", "rate.sum(-1), (0, 1)"),
        ("~ones.tril(-1)", "~ones.tril()"),
    ],
    "ops/coupled_scan.py": [
        ("(decay / shared).masked_fill(idle, 1)", "decay / shared"),
        ("before = F.pad(states, (0, 0, 0, 0, 1, 0))", "before = states"),
    ],
    "models/layers/mamba2.py": [
        ("delta = delta.masked_fill(~mask.unsqueeze(-1), 0)", "pass"),
    ],
    "models/necks/coupled_mamba_fusion.py": [
        ("logits.masked_fill(hidden, -torch.inf)", "logits"),
    ],
    "engine/hooks/subset_scores_hook.py": [
        ("keep_streams(feats, kept), views", "feats, views"),
        ("/ (1 + len(values))", "/ len(values)"),
    ],
    "apis/live_sources.py": [
        ("changed = min(changed, time.time())", "pass"),
        ("if not _has_end(path):", "if False:"),
    ],
    "models/layers/mamba.py": [
        ("_DT_RANGE = (1e-3, 1e-1)", "_DT_RANGE = (1e-2, 1e-1)"),
        ("dt + torch.log(-torch.expm1(-dt))", "torch.log(dt)"),
        ("dt_proj.in_features**-0.5", "dt_proj.in_features**-1"),
        ("math.ceil(d_model / 16)", "max(1, d_model // 16)"),
        ("y / 2 if self.divide_out else y", "y"),
        ("torch.arange(1.0, d_state + 1)", "torch.arange(1.0, d_state + 1).flip(0)"),
        ("nn.Parameter(torch.ones(inner))", "nn.Parameter(torch.zeros(inner))"),
        ('self._inner("_b", A_log)', 'self._inner("", A_log)'),
        ('getattr(self, f"D{suffix}"),', "self.D,"),
        (
            "[0.0, *(step * index for index in range(depth))]",
            "[step * index for index in range(depth)]",
        ),
        ("drop_path_rate / max(1, depth - 1)", "drop_path_rate / depth"),
        ("last = DropPath(drop_path_rate) if", "last = nn.Identity() if"),
        ('"dt_proj" in name and not reset_dt', '"dt_proj" in name and reset_dt'),
        ("child.weight /= math.sqrt(depth)", "child.weight /= depth"),
        ("trunc_normal_(child.weight, std=std)", "trunc_normal_(child.weight)"),
        (
            "return self.mixer(hidden), residual\n",
            "return self.mixer(hidden), hidden\n",
        ),
        ("inputs, z = inputs.chunk(2, dim=-1)", "z, inputs = inputs.chunk(2, dim=-1)"),
        ("nn.RMSNorm(d_model, eps=1e-5)", "nn.RMSNorm(d_model, eps=1e-2)"),
    ],
    "models/layers/causal.py": [
        ("if not seen.is_cpu:", "if False:"),
        ("torch.where(known, held, torch.zeros_like(held))", "held"),
        ("keep**step * shifted", "keep * shifted"),
        ('keep * state["mean.weight"] + 1', 'state["mean.weight"] + 1'),
    ],
    "models/backbones/causal_video_mamba.py": [
        ("state = keep_rows(seen, new, state)", "state = new"),
        ('"stem.frame": video[:, :, -1]', '"stem.frame": video[:, :, 0] * 0'),
    ],
    "models/skeleton_encoders/frame_stem.py": [
        ("ever = last >= 0", "ever = seen"),
        ("places[:, k - step : -step], ever", "places[:, k - 1 : -1], ever"),
    ],
    "apis/streaming.py": [
        ("torch.where(times <= last,", "torch.where(times < last,"),
        ("(seen >= newest - self.hold)", "(seen <= newest)"),
        ("torch.where(known.unsqueeze(1), values, math.nan)", "values"),
    ],
    "datasets/transforms/sample_rates.py": [
        ("times = times[-total:]", "times = times[:total]"),
        ("kept[np.random.randint(count)] = True", "pass"),
    ],
    "models/layers/clips.py": [("(times, -1)).any(-1)", "(times, -1)).all(-1)")],
    "models/backbones/video_mamba.py": [
        ("self.proj(x).flatten(3)", "self.proj(x).mT.flatten(3)"),
        (
            "self.pos_embed[:, None, 1:] + self.temporal_pos_embedding[:, :, None]",
            "self.pos_embed[:, None, 1:]",
        ),
        ("(self.cls_token + self.pos_embed[:, :1])", "(self.cls_token)"),
        ("x.flatten(1, 2)]", "x.transpose(1, 2).flatten(1, 2)]"),
        ("divide_out=divide_out", "divide_out=False"),
        (
            "init_vision_mamba(self, self.depth, reset_dt, init_std)",
            "init_vision_mamba(self, self.depth)",
        ),
        ("nn.init.trunc_normal_(self.pos_embed, std=0.02)", "pass"),
    ],
    "models/backbones/clip_vit.py": [],
    "models/skeleton_encoders/skeleton_mamba.py": [
        ("torch.where(flag > 0, x, torch.zeros_like(x))", "x"),
        ("flag[:, 1:] * flag[:, :-1]", "flag[:, 1:]"),
        ("-1).any(-1)", "-1).all(-1)"),
        ("[torch.zeros_like(x[:, :1]), step]", "[step, torch.zeros_like(x[:, :1])]"),
        ("else (x[:, -1], x[:, :-1])", "else (x[:, 0], x[:, 1:])"),
        ("self.pos_embed[:, None, 1:] +", "self.pos_embed[:, None, :1] +"),
        ("self.depth, reset_dt=False)", "self.depth, reset_dt=True)"),
        ("cls = votes.mean(1)", "cls = votes[:, 0]"),
        ("votes if self.training else None", "votes"),
    ],
    "models/necks/cls_mix.py": [
        (
            "[logits, torch.zeros_like(logits[..., :1])]",
            "[torch.zeros_like(logits[..., :1]), logits]",
        ),
        ("torch.finfo(logits.dtype).min)", "0.0)"),
        ("/ weight.sum(1).clamp(min=1)", "/ cls.shape[1]"),
        (".mean(dim=(1, 3))", ".mean(dim=1)[..., 0]"),
        (
            "nn.Parameter(torch.zeros(num_streams - 1))",
            "nn.Parameter(torch.ones(num_streams - 1))",
        ),
    ],
    "models/necks/cls_mix_fusion.py": [
        ('"middle": len(parts) // 2', '"middle": len(parts) - 1'),
        ('{"front": 0,', '{"front": 1,'),
        ("return x[:, index]", "return x[:, -1]"),
        ("tokens = tokens * mask.unsqueeze(-1)", "pass"),
        ("stream.tokens + embed", "stream.tokens"),
        (
            "torch.ones_like(known) if flag is None",
            "torch.zeros_like(known) if flag is None",
        ),
    ],
    "models/necks/shared_ssm_fusion.py": [
        ("x + y if self.with_residual else y", "y"),
        ("pool(self.norms[name](x), mask", "pool(x, mask"),
        ("x[:, -1]\n", "x[:, 0]\n"),
        ("count - 1]", "0 * count]"),
        ("total / count.unsqueeze(-1)", "total / len(x[0])"),
        ("torch.stack(parts).sum(0)", "torch.stack(parts).mean(0)"),
        ("return x if present is None else", "return x if True else"),
        ("x.repeat_interleave(times[name], 0)", "x.repeat(times[name], 1)"),
        ("if self.count_padding:", "if False:"),
        ("order = (~mask)", "order = mask"),
    ],
    "models/necks/stream_inputs.py": [
        ('nonlinearity="linear")', 'nonlinearity="relu")'),
        (
            "nn.Linear(in_dims, embed_dims, bias=False)",
            "nn.Linear(in_dims, embed_dims)",
        ),
    ],
    "models/necks/transformer_fusion.py": [
        ("return x[:, 0]", "return x[:, -1]"),
        ("drop_rate, step * index)", "drop_rate, step * (index + 1))"),
        ("front = torch.ones_like(front) if index == 0 else front", "pass"),
        ("mask[:, None, None]", "None"),
        ("self.mlp(self.norm2(x))", "self.mlp(x)"),
        ("+ self.modality_embed[index]", ""),
    ],
    "models/necks/mlp_fusion.py": [
        ("nn.functional.gelu", "nn.functional.relu"),
        ("else x * stream.mask.to(x.dtype)", "else x"),
    ],
    "models/heads/answer_head.py": [
        (
            "answer = F.normalize(answer.to(self.class_embeddings.dtype), dim=-1)",
            "pass",
        ),
        ("math.log(1 / 0.07)", "math.log(0.07)"),
    ],
    "models/losses/cross_entropy_loss.py": [
        ("self.loss_weight * loss", "loss"),
        (", label_smoothing=self.label_smoothing\n", "\n"),
    ],
    "models/recognizers/batch_mix.py": [
        ("max(share, 1 - share)", "share"),
        ("labels[::-1]", "labels"),
        ("own[whole & whole.flip(0)]", "own[whole]"),
        ("return blended, 1 - area", "return blended, share"),
        (
            "share * video[own] + (1 - share) * video[other]",
            "(1 - share) * video[own] + share * video[other]",
        ),
    ],
    "models/recognizers/multimodal_preprocessor.py": [
        ('self.cast_data(data["inputs"]).items()', 'data["inputs"].items()'),
        ('[sample.to("cpu") for', "[sample.to(self.device) for"),
        ("(value.float() - self.mean) / self.std", "(value.float() - self.mean) / 255"),
        ("if training and self.batch_mix", "if self.batch_mix"),
    ],
    "models/recognizers/multimodal_recognizer.py": [
        ("feat.votes.flatten(0, 1)", "feat.votes.transpose(0, 1).flatten(0, 1)"),
        (
            "scores.float().softmax(-1).unflatten(0, (-1, views)).mean(1)",
            "scores.float().unflatten(0, (-1, views)).mean(1).softmax(-1)",
        ),
        (
            "label.to(scores.device).repeat_interleave(views)",
            "label.to(scores.device).repeat(views)",
        ),
        ("loss * (len(told) / len(samples))", "loss"),
        ("return fused.mean(1)", "return fused[:, 0]"),
        ("self.question_tasks.index(task)]", "0]"),
        ("self.encoders[name].eval()", "pass"),
        ("share * own + (1 - share) * other", "share * other + (1 - share) * own"),
        ("0 <= int(label) < num_classes", "0 <= int(label) <= num_classes"),
    ],
    "models/losses/distillation_losses.py": [
        ("self.temperature**2 * divergence", "divergence"),
        ("apart / apart.mean().clamp(min=1e-8)", "apart"),
        ("x.unsqueeze(0) - x.unsqueeze(1), dim=-1)", "x.unsqueeze(0) + 0, dim=-1)"),
    ],
    "models/recognizers/distillation.py": [
        ("self.teacher._apply(fn)\n", "pass\n"),
        ("self.teacher.init_weights()\n", "pass\n"),
    ],
    "structures/action_data_sample.py": [
        ("and value.numel() <= _SMALL", ""),
    ],
    "structures/token_features.py": [
        ("[self.present.unsqueeze(1), self.mask]", "[self.mask[:, :1], self.mask]"),
        ("self.cls.repeat_interleave(times, 0)", "self.cls.repeat(times, 1)"),
        ("/ weight.sum(1).clamp(min=1)", "/ len(self.tokens[0])"),
    ],
    "weights/fit.py": [
        ("like.shape[2] // 2] = value", "0] = value"),
        ('mode="bicubic"', 'mode="bilinear"'),
        ('rows, length, mode="linear"', 'rows, length, mode="nearest"'),
        ("torch.cat([flat[:1], rows])", "torch.cat([rows, flat[:1]])"),
        ("value[..., : like.shape[-2], :]", "value[..., -like.shape[-2] :, :]"),
    ],
    # sampling, masks, boundaries
    "datasets/sampler.py": [
        (
            "self.order()[self.rank :: self.world_size]",
            "self.order()[self.rank * len(self) :][: len(self)]",
        ),
        (
            'sample_digest(self.seed, self.epoch, "order")',
            'sample_digest(self.seed, 0, "order")',
        ),
        ("mine[self.start :]", "mine"),
        ("self.epoch, self.start = int(epoch), 0", "self.epoch = int(epoch)"),
        ("(self.size - self.rank) / self.world_size", "self.size / self.world_size"),
    ],
    "datasets/error_policy.py": [
        ("int(self.max_bad * num_samples)", "int(self.max_bad * num_samples) + 1"),
        ("step = 1 + int.from_bytes", "step = int.from_bytes"),
        ('"substitute", index, attempt)', '"substitute", index)'),
    ],
    "datasets/collate.py": [("attach_bad_samples(good[0], bad)", "pass")],
    "datasets/transforms/drop_streams.py": [
        ("before * (1 - r) for r", "before * r for r"),
        ("if not gone.all() or", "if True or"),
    ],
    "engine/hooks/stream_balance.py": [
        ("if rho > 1 else", "if rho > 0 else"),
        ("usual[n] - now[n]", "now[n] - usual[n]"),
        ("math.comb(count - 1, size)", "math.comb(count, size)"),
    ],
    "models/losses/reconstruction_loss.py": [
        ("order < number", "order <= number"),
        ("x.var(-1, keepdim=True)", "x.var(-1, keepdim=True, unbiased=False)"),
    ],
    "analysis/missing_streams.py": [
        ("whole + share / 100", "part + share / 100"),
    ],
    "models/necks/stand_in_tokens.py": [
        ("stream.mask | ~here", "stream.mask"),
        ("torch.where(here, own, ", "torch.where(~here, own, "),
    ],
    "datasets/record_selection.py": [
        ("any(record[key] is not None for", "all(record[key] is not None for"),
    ],
    "datasets/transforms/sample_segments.py": [
        (
            "np.random.randint(low, high + 1)",
            "np.random.randint(low, np.maximum(high, low + 1))",
        ),
        (
            "int(size / (self.num_views + 1) * (view + 1))",
            "int(size / self.num_views * view)",
        ),
        ("if self.num_views > 1 else 0.5", "if self.num_views > 1 else 0.0"),
        (
            "room * np.arange(self.num_views)[:, None] / self.num_views",
            "room * np.arange(self.num_views)[:, None]",
        ),
        ("end - TIME_EPS]", "end + TIME_EPS]"),
    ],
    "datasets/public_windows.py": [
        ("room[..., None] * share - scale[..., None]", "room[..., None] * share"),
        ("(1 - point) * np.asarray(stop)", "(1 - point) * np.asarray(start)"),
        ("numbers[:, :RULSTM_AT_1S]", "numbers"),
        ("begin + (skipped + frames) / fps)", "end)"),
    ],
    "analysis/protocol_audit.py": [
        ("np.maximum(begin, before), 0)", "begin, 0)"),
        ("(gap < TAU_A - _SLACK)", "(gap <= TAU_A + _SLACK)"),
    ],
    "models/backbones/memvit.py": [
        ("if mask is not None or there is not None:", "if mask is not None:"),
        ("(times - 1 - torch", "(times - torch"),
        (
            "len(past_keys) - self.memory_clips + 1",
            "len(past_keys) - self.memory_clips",
        ),
        ("y + F.pad(q[:, :, 1:], (0, 0, 1, 0))", "y + q"),
        (
            "masked_fill(~there[:, None, None, :, None]",
            "masked_fill(there.new_zeros(1)",
        ),
    ],
    "datasets/transforms/sample_observed_frames.py": [
        ("there[:, -1] = True", "there[:, -1] = there[:, -1]"),
        ("latest = max(first, last - TIME_EPS)", "latest = max(first, last)"),
        (
            "self.window(record)[0] < _begin_of(record)",
            "self.window(record)[0] <= _begin_of(record)",
        ),
        (
            "self.window(record)[1] < _begin_of(record)",
            "self.window(record)[1] <= _begin_of(record)",
        ),
        ('side="right") - 1, 0)', 'side="right"), 0).clip(max=len(own) - 1)'),
        ("np.minimum(number, len(index.times) - 1)", "number % len(index.times)"),
        ("np.random.uniform(*VJEPA2_TRAIN_POINT)", "0.0"),
        ("float(start) - self.tau_a", "float(start)"),
    ],
    "models/layers/hf_encoder.py": [
        ("    if not torch.equal(told, own):", "    if False:"),
        ("frozenset(model.state_dict().keys() - trained)", "frozenset()"),
    ],
    "models/layers/tuning.py": [
        ("if lost:  #", "if False:  #"),
        ("        model.eval()\n        for part", "        for part"),
    ],
    "models/backbones/hf_video_encoder.py": [
        (
            "tokens.unflatten(1, (-1, times)).transpose(1, 2).flatten(1, 2)",
            "tokens",
        ),
        ("if first and name not in first", "if False"),
    ],
    "apis/frame_features.py": [
        ("(out / DATA).unlink()", "pass"),
        ("if source != self.source:", "if True:"),
    ],
    "apis/model_folder.py": [
        ("            encoder.merge()\n", ""),
        ("        if not encoder.is_whole:", "        if False:"),
    ],
    "models/backbones/vjepa21.py": [
        ("repeat_interleave(2, dim=-1)", "repeat(1, 1, 2)"),
        (" * (_TRAINED_SIDE - 1) / (side - 1)", ""),
        ("self.patch_embed(x) + self.video_mod_embed", "self.patch_embed(x)"),
    ],
    "layouts/video_processors.py": [
        ("(m + offset) / factor", "m / factor"),
    ],
    "datasets/transforms/sample_times.py": [
        ("+ FIXED[self.mode]", "+ 0.0"),
        ("* (1 - length), length", ", length"),
        (
            "(np.arange(count) + 0.5) / count, centres",
            "np.arange(count) / count, centres",
        ),
    ],
    "datasets/transforms/jitter_skeleton.py": [
        ("joints[mask].mean(axis=0)", "joints.reshape(-1, 3).mean(axis=0)"),
        ("about_z @ about_y @ about_x", "about_x @ about_y @ about_z"),
        ("return draw >= self.drop_prob", "return draw < self.drop_prob"),
    ],
    "datasets/transforms/align_skeleton.py": [
        ("(joints[..., 1] - y) / height", "(joints[..., 1] - y) / width"),
        (
            "joints = joints[:, :, order][:, :, :, places]",
            "joints = joints[:, :, :, places]",
        ),
        ("places[[left, right]] = right, left", "pass"),
        (
            'results["joints_mask"][:, :, order][:, :, :, places]',
            'results["joints_mask"][:, :, :, places]',
        ),
        ("(1 - joints[..., 0]) if", "(-joints[..., 0]) if"),
    ],
    "datasets/transforms/normalize_skeleton.py": [
        ('if self.origin == "middle":', "if False:"),
        ("int(seen.any(axis=1).argmax())", "0"),
        ("joints[frame, seen[frame], wrist]", "joints[frame, :, wrist]"),
        ("mask[:, :, parent] & mask[:, :, child]", "mask[:, :, child]"),
        ("float(np.median(length[seen]))", "float(np.mean(length[seen]))"),
    ],
    "datasets/transforms/project_skeleton.py": [
        ('results["joints_mask"] & in_front', 'results["joints_mask"]'),
        ("(xy >= 0) & (xy < 1)", "(xy > 0) & (xy < 1)"),
    ],
    "datasets/transforms/rand_augment.py": [
        ("share * 0.45", "share * 0.4"),
        ("random.gauss(level, self.magnitude_std)", "level + self.magnitude_std"),
    ],
    "datasets/transforms/load_skeleton.py": [
        ("position - 0.5 + _TIE", "position"),
        ("limit = max(max_gap, 1.0)", "limit = max_gap"),
        ("start * fps - 0.5", "start * fps"),
        ("(data.frame_id < high)", "(data.frame_id <= high)"),
        ("np.where(last < 0, seen.argmax(axis=0), last)", "np.maximum(last, 0)"),
    ],
    "datasets/transforms/pack_inputs.py": [
        ("np.nan_to_num(joints)", "joints"),
    ],
    "datasets/transforms/load_features.py": [
        ("told is not None and told != fps", "False"),
        ("+ TIME_EPS - self.reach)", "+ TIME_EPS)"),
        ("np.floor(shown).astype(int)", "np.ceil(shown).astype(int)"),
    ],
    "datasets/transforms/load_tokens.py": [
        ("if made != self.made:", "if False:"),
        ("if made.shape == wanted.shape and", "if True or"),
    ],
    "models/backbones/cached_encoder.py": [
        ("if found != self.weights:", "if False:"),
    ],
    "datasets/caches/box_cache.py": [
        ("age <= max_age", "age < max_age"),
        ("- 1 / content.fps\n", "\n"),
        ("seconds + 1e-6", "seconds + 1 / content.fps"),
    ],
    "datasets/media/video_chunks.py": [
        (
            "reader.frames_at(seconds[places] - start)",
            "reader.frames_at(seconds[places])",
        ),
    ],
    "datasets/media/spare_packets.py": [
        ("and not head & _NEEDED", ""),
        ("slices > 0 and place == end", "slices > 0"),
    ],
    "datasets/media/video_index.py": [
        ("packet.size == 0 or packet.is_discard", "packet.size == 0"),
        ("duration = float(times[-1]) + step", "duration = float(times[-1])"),
    ],
    "datasets/media/frame_folder.py": [
        ("(ids[:-1] + ids[1:] + 1) / 2", "ids[1:]"),
        ("ids + start_index, middles", "ids, middles"),
    ],
    "layouts/box_arrays.py": [
        ("(seen[:, 2:] < seen[:, :2])", "(seen[:, 2:] <= seen[:, :2])"),
    ],
    "layouts/clip_extent.py": [
        ("end > duration + SLACK_SECONDS", "end > duration + 2 * SLACK_SECONDS"),
        ("start >= duration +", "start > duration +"),
    ],
    "layouts/hand_layouts.py": [
        ("& (index >= 0)", ""),
    ],
    "layouts/frame_listing.py": [
        ("(end + 1) / fps", "end / fps"),
        ('"cy": camera["cy"] * scale_y', '"cy": camera["cy"] * scale_x'),
    ],
    "layouts/epic_kitchens.py": [
        ("== 3 else 60.0", "== 2 else 60.0"),
        ("if number >= count:", "if number > count:"),
        ('key=lambda pair: f"{pair[0]}:{pair[1]}"', "key=lambda pair: pair"),
        ("> len(segments) / 2", "> len(segments)"),
    ],
    # metrics and statistics
    "evaluation/functional.py": [
        ("return not_below <= k", "return not_below < k"),
        ("(score >= own).sum(axis=1)", "(score > own).sum(axis=1) + 1"),
        (
            "for c in np.unique(label)]",
            "for c in range(label.max() + 1) if (label == c).any() or c == 0]",
        ),
        ("min(p * (1 - p) / variance, float(value.size))", "p * (1 - p) / variance"),
        (
            "quantile = _student(freedom)",
            "quantile = _normal()",
        ),
        ("/ present.sum(axis=1)", "/ present.shape[1]"),
        (
            "stats.t.ppf(0.5 + confidence / 2, freedom)",
            "stats.t.ppf(confidence, freedom)",
        ),
        ("int((b & ~a).sum()))", "int((a & ~b).sum()))"),
        ("np.arange(len(p), 0, -1)", "np.full(len(p), len(p))"),
        ("np.maximum.accumulate(p[order] * factor)", "p[order] * factor"),
        ("max(0, a + b - n)", "0"),
        ("worse) < alpha", "worse) <= 2 * alpha"),
        (
            "range(num_disagreements % 2, num_disagreements + 1, 2)",
            "range(0, num_disagreements + 1, 2)",
        ),
        ("variance = seeds + clips - both", "variance = seeds + clips"),
        ("if seeds <= both:", "if False:"),
        (
            "if shape[0] == 1:\n        return Interval(estimate, 0.0, 100.0)",
            "if False:\n        pass",
        ),
    ],
    "evaluation/answers.py": [
        ("verb.labels * size + noun.labels", "verb.labels + noun.labels"),
        ("verb.predicted * size + noun.predicted", "verb.predicted + noun.predicted"),
    ],
    "evaluation/statistics.py": [
        ("ranked = sorted(single, key=lambda r: r.accuracy)", "ranked = single"),
        ("100.0 * points / baseline if baseline", "points if baseline"),
        ("if (stream,) != result.streams", "if stream not in result.streams"),
        ("return max(baselines,", "return min(baselines,"),
        ("own.labels[order], own.correct[order]", "own.labels[order], own.correct"),
        ("if len(a.correct) == 1:", "if len(a.correct) <= 2:"),
    ],
    "evaluation/ek100.py": [
        ('"action": verb | noun}', '"action": verb & noun}'),
        ("pairs[:, column]] = 1", "pairs[:, 0]] = 1"),
        ('hits["verb"] & hits["noun"]', 'hits["action"]'),
        ("np.where(ids[place] == wanted, place, -1)", "place"),
        (
            "found[known] = topk_correct(scores.action[known], index[known], k)",
            "found[known] = topk_correct(scores.action[known], index[known], 1)",
        ),
        ("np.maximum(prob, np.finfo(prob.dtype).tiny)", "np.maximum(prob, 1e-3)"),
        ("return both & (", "return both | ("),
        ("axis=(1, 2)) <= k)", "axis=(1, 2)) <= k * k)"),
        ("classes=labels[mask]", "classes=None"),
    ],
    "evaluation/leak_meter.py": [
        (
            "(verb == new.verb) & (noun == new.noun)",
            "(verb == new.verb) | (noun == new.noun)",
        ),
        ("_commonest(known.labels(task))", "_commonest(new.labels(task))"),
        (
            "(halves[0], halves[1]), (halves[1], halves[0])",
            "(halves[0], halves[0]), (halves[1], halves[1])",
        ),
        (
            "known.noun_question, known.noun, new.noun_question",
            "known.verb_question, known.noun, new.verb_question",
        ),
    ],
    "evaluation/predictions.py": [
        ("{x:.9g}", "{x:.6g}"),
        ("count > 1]", "count > 2]"),
        ("if v[i] != NO_LABEL}", "}"),
    ],
    "evaluation/metrics/accuracy_metric.py": [
        ("np.all(right, axis=0)", "np.any(right, axis=0)"),
    ],
    "evaluation/metrics/epic_kitchens_metric.py": [
        (
            'with_head = dataset.get("action_pairs"), action_from != "pairs"',
            'with_head = dataset.get("action_pairs"), True',
        ),
        ("if sources and without:", "if False:"),
    ],
    # the engine
    "engine/runner/resumable_train_loop.py": [
        ("self._epoch += 1\n        self._batch = 0", "self._epoch += 1"),
        (
            "self._epoch % self.val_interval == 0 or self._epoch == self._max_epochs",
            "self._epoch % self.val_interval == 0",
        ),
        (
            "sampler.set_start(done * loader.batch_sampler.batch_size)",
            "sampler.set_start(done)",
        ),
        ("with preserved_rng():\n", "if True:\n"),
        ("            self._undo_validation()\n", ""),
        ("self.runner.base_seed + self._epoch)", "self.runner.base_seed)"),
        ("set_rng_state(before)  # the same dropout again", "pass"),
        ("if self._weights_updated():", "if True:"),
        ("broadcast(buffer)", "pass"),
    ],
    "engine/runner/run_state.py": [
        ("[*words, gauss is not None, _bits(gauss or 0.0)]", "[*words, False, 0]"),
        ("np.random.set_state(\n", "(lambda x: None)(\n"),
        ("hub._resumed_keys[key] = True", "pass"),
    ],
    "engine/runner/work_dir.py": [
        (
            'key=lambda pair: pair[1]["saved_at"], reverse=True',
            'key=lambda pair: pair[1]["saved_at"]',
        )
    ],
    "engine/runner/precision.py": [
        ('wrapper["dtype"] = json.loads(meta["settings"]).get(_KEY)', "pass"),
        ("faster.reason))[0]", "faster.reason))[-1]"),
    ],
    "utils/faster_dtype.py": [("slow > _GAIN * fast", "fast > _GAIN * slow")],
    "utils/late_compiler.py": [('vars(fn).pop("__dynamo_disable", None)', "pass")],
    "engine/runner/nonfinite.py": [
        ("buffer.copy_(buffers[name])", "pass"),
    ],
    "engine/hooks/atomic_checkpoint_hook.py": [
        ("self._kept.pop(0)", "self._kept.pop()"),
        ('"greater": operator.gt', '"greater": operator.ge'),
        (
            "runner.epoch % self.interval == 0 or self._is_last(runner)",
            "runner.epoch % self.interval == 0",
        ),
        ("if self._saved != runner.train_loop.progress():", "if False:"),
        (
            'if kind == "val":\n            self._update_best(runner)',
            'if kind == "epoch":\n            self._update_best(runner)',
        ),
    ],
    "engine/hooks/graceful_stop_hook.py": [
        ('all_reduce(received, "max")', 'all_reduce(received, "min")'),
    ],
    "engine/hooks/early_stop_hook.py": [
        ("value > self.best + self.min_delta", "value >= self.best + self.min_delta"),
        ("self.num_bad >= self.patience", "self.num_bad > self.patience"),
        ('self.num_bad = state["num_bad"]', "pass"),
    ],
    "engine/hooks/bad_sample_hook.py": [
        ("if len(found) <= limit:", "if len(found) < limit:"),
        ("if bad.sample_id not in found:", "if True:"),
    ],
    "engine/optimizers/fusion_optim_wrapper.py": [
        (
            "loss / (last if in_last else self._accumulative_counts)",
            "loss / self._accumulative_counts",
        ),
        ("if not torch.isfinite(norm):", "if torch.isnan(norm):"),
        (" or done + 1 == length", ""),
        ("done >= length - last", "done > length - last"),
    ],
    "engine/optimizers/layer_decay.py": [
        ("self.rate ** (depth - block)", "self.rate ** (depth - block - 1)"),
        ("self.rate ** (depth + 1)", "self.rate**depth"),
    ],
    "engine/optimizers/grouped_constructor.py": [
        ("{**value, **found}", "{**found, **value}"),
        ('"Norm" in type(module).__name__', '"LayerNorm" in type(module).__name__'),
        ("lr_mult * scales.get(full, 1.0)", "lr_mult"),
        ('found.get("decay_mult", decay)', "decay"),
    ],
    "utils/paths.py": [
        ("os.fsync(file.fileno())", "pass"),
        ('if ".." in names:', 'if names[0] == "..":'),
        ("            if os.path.islink(place):\n                break\n", ""),
        ("real_root.rstrip(os.sep) + os.sep", "real_root"),
        ("os.chmod(temporary, 0o666 & ~_umask())", "pass"),
    ],
    # questions
    "questions/masking.py": [
        ('parts = words if self.task == "noun" else words[:1]', "parts = words[:1]"),
        ("[words, words[1:] + words[:1], words[::-1]]", "[words]"),
        ("found = {class_id: None} | found", "pass"),
        ('_AN_MASK.sub(r"\\1", text)', "text"),
        ("*_also_called([*main, *others])", ""),
        (
            "self._find(record, task, OTHER[task]) for",
            "self._find(record, task, task) for",
        ),
        ("return particle not in english.MOBILE", "return True"),
    ],
    "questions/bank.py": [
        ("if not own.find(masked):", "if True:"),
        ("if record.narration_id == leave_out:", "if False:"),
        ('if record.source == "generic":', "if False:"),
        (
            "chosen[task] = self._pick(task, others, names, narration_id, out)",
            "chosen[task] = self._pick(task, others, names, narration_id, None)",
        ),
        ("_number(narration_id) % max(len(records), 1)", "0"),
        ("masked = mask(record.question(task))", "masked = record.question(task)"),
    ],
    "questions/parsing.py": [
        ("        if leaks:", "        if False:"),
        ("words < MIN_QUESTION_WORDS", "words <= MIN_QUESTION_WORDS"),
        ("words > MAX_QUESTION_WORDS", "words > MAX_QUESTION_WORDS + 1"),
        ('if not matcher.find(content[f"{task}_answer"]):', "if False:"),
    ],
    "questions/generation.py": [
        ("*key, attempt, problem)", "*key, attempt)"),
        ("self._failures = 0\n        return answer", "return answer"),
        ("counts[same] % self.num_variants", "counts[same]"),
        ("len(members) * isinstance(result, Reject)", "isinstance(result, Reject)"),
    ],
    "questions/forms.py": [
        ("[prefix + form for form in IRREGULAR_PAST[stem]]", "IRREGULAR_PAST[stem]"),
        ('return [word[:-2] + "ying"]', 'return [word + "ing"]'),
        ("if _syllables(word) == 1 else [doubled, word + suffix]", "if True else []"),
    ],
    "questions/tokens.py": [
        (
            "min(place + 2 + english.LONGEST_OBJECT, len(tokens))",
            "min(place + 2, len(tokens))",
        ),
        ("return () if left else tuple(places)", "return tuple(places)"),
        ('if task == "verb" and norm == "left":', "if False:"),
    ],
    # every moment of a video, and answers in time
    "evaluation/online.py": [
        (
            "np.append(np.flatnonzero(np.diff(score[order])), len(score) - 1)",
            "np.arange(len(score))",
        ),
        ("own.get(found.video[place])", "np.arange(len(time))"),
        ("free[near[best]], right[rank] = False, True", "right[rank] = True"),
    ],
    "evaluation/moments.py": [
        ('side="right")) - 1', 'side="right"))'),
    ],
    "models/necks/every_moment.py": [
        (
            "moments * feats.tokens.shape[1] //",
            "(moments + 1) * feats.tokens.shape[1] //",
        ),
    ],
    "datasets/transforms/sample_clock.py": [
        ("math.floor((first + _EPS) * rate)", "math.ceil((first + _EPS) * rate)"),
        ("(np.arange(total) < number)", "(np.arange(total) <= number)"),
    ],
    "engine/hooks/balance_streams_hook.py": [
        ("here = here * labelled", "here = here * 1"),
    ],
    "datasets/transforms/label_moments.py": [
        ("task: there[:, None]", "task: (1 + 0 * there[:, None])"),
        ("self._labels(times + self.tau_a,", "self._labels(times,"),
    ],
    "hands/mediapipe_hands.py": [
        ("state.followed = finds if", "state.followed = [] if"),
        ("return lambda frames: self._hands(frames, state)", "return self"),
    ],
    "apis/live.py": [
        ("if latency > self.limit:", "if False:"),
        (
            "Answer(float(reading.time[0]), latency, scores)",
            "Answer(now(), latency, scores)",
        ),
        ("self._turns.append(waiting[0])", "self._turns.insert(0, waiting[0])"),
        ("arrival.due - waiting[0].due > _WAIT", "len(waiting) > 256"),
    ],
    "structures/foreseen.py": [
        (
            "torch.cat([self.observed[:, :1], self.predicted[:, :-1]], dim=1)",
            "torch.cat([self.observed[:, :1], self.predicted[:, 1:]], dim=1)",
        ),
    ],
    "models/losses/anticipation_losses.py": [
        ("foreseen.predicted[:, :-1] -", "foreseen.predicted[:, 1:] -"),
        ("count = target.numel()", "count = len(target)"),
    ],
    "datasets/transforms/label_observed.py": [
        ("abs(time - (one[0] + one[1]) / 2)", "abs(time - (one[1] - one[0]) / 2)"),
    ],
    "questions/vocabulary.py": [
        ("tuple(sorted(words_of(name))), ())", "tuple(words_of(name)), ())"),
    ],
}

DEFECTS = tuple(
    Defect(file, old, new) for file, rows in _TABLES.items() for old, new in rows
)
