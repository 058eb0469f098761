/* The selective scan, forward: algorithm 2 of Mamba (Gu and Dao, 2023), one pass over the
 * tokens, with softplus, skip and gate fused. See scan.h for how the work is split. */
#include "scan.h"

namespace mmf {
namespace {

/* One token of one vector of channels, between the phases of a chunk. */
struct Step {
  vf delta; /* after bias and softplus */
  vf input; /* delta u */
  vf y;     /* starts as D u, the states add to it */
};

struct Scratch {
  vf *rates, *limits, *state, *largest;
  float* rows;
  Step* steps;   /* steps[v * kSteps + t] */
  float* partial; /* the first direction's y, where y itself cannot hold it */
};

int64_t scratch_bytes(const Layout& w, bool with_partial) {
  int64_t vectors = w.max_vectors * (2 * w.padded_states + 2);
  int64_t bytes = vectors * (int64_t)sizeof(vf);
  bytes += w.max_vectors * kSteps * (int64_t)sizeof(Step);
  bytes += kSteps * 2 * w.padded_states * (int64_t)sizeof(float);
  if (with_partial) bytes += w.longest * w.max_vectors * (int64_t)sizeof(vf);
  return ceil_div(bytes, 64) * 64 + 64; /* 64 apart: not all at one multiple of 4096 */
}

Scratch carve(const Layout& w, char* p) {
  Scratch s;
  s.steps = (Step*)p;
  p += w.max_vectors * kSteps * (int64_t)sizeof(Step);
  s.rates = (vf*)p;
  s.state = s.rates + w.max_vectors * w.padded_states;
  s.limits = s.state + w.max_vectors * w.padded_states;
  s.largest = s.limits + w.max_vectors;
  s.rows = (float*)(s.largest + w.max_vectors);
  s.partial = s.rows + kSteps * 2 * w.padded_states;
  return s;
}

void load_steps(const mmf_scan& call, const Item& item, const mmf_scan_direction& dir,
                const Chunk& chunk, const Scratch& scratch) {
  const float* D = row_of_sequence(dir.D, dir.D_stride, item);
  const float* bias = row_of_sequence(dir.delta_bias, dir.delta_bias_stride, item);
  for (int v = 0; v < item.vectors; ++v) scratch.largest[v] = vf{};
  for (int t = 0; t < chunk.steps; ++t) {
    int64_t token = chunk.token + t * chunk.stride;
    int64_t at_u = index_of(dir.u, item, token);
    int64_t at_delta = index_of(dir.delta, item, token);
    for (int v = 0; v < item.vectors; ++v) {
      int lanes = lanes_of(item, v);
      vf u = load_as_float(dir.u, at_u + v * W, lanes);
      vf delta = load_as_float(dir.delta, at_delta + v * W, lanes);
      if (bias) delta += load_some(bias + v * W, lanes);
      if (call.delta_softplus) delta = softplus(delta);
      Step& step = scratch.steps[v * kSteps + t];
      step.delta = delta;
      step.input = delta * u;
      step.y = D ? u * load_some(D + v * W, lanes) : vf{};
      vf size = absolute(delta);
      scratch.largest[v] = size <= scratch.largest[v] ? scratch.largest[v] : size;
    }
  }
}

/* The recurrence over one chunk for S states of one vector of channels. */
template <int S, bool CLAMP>
void scan_states(Step* steps, int num_steps, const float* B, const float* C,
                 int64_t row_stride, const vf* rates, vf* state) {
  vf h[S];
  MMF_UNROLL for (int s = 0; s < S; ++s) h[s] = state[s];
  for (int t = 0; t < num_steps; ++t, B += row_stride, C += row_stride) {
    vf delta = steps[t].delta, input = steps[t].input;
    vf even = steps[t].y, odd = {};
    MMF_UNROLL for (int s = 0; s < S; s += 2) {
      h[s] = exp2_of_product<CLAMP>(delta, rates[s]) * h[s] + input * B[s];
      even += h[s] * C[s];
      h[s + 1] = exp2_of_product<CLAMP>(delta, rates[s + 1]) * h[s + 1] + input * B[s + 1];
      odd += h[s + 1] * C[s + 1];
    }
    steps[t].y = even + odd;
  }
  MMF_UNROLL for (int s = 0; s < S; ++s) state[s] = h[s];
}

template <bool CLAMP>
void scan_vector(const Layout& w, Step* steps, int num_steps, const float* rows,
                 const vf* rates, vf* state) {
  constexpr int kMost = kRegisters == 32 ? 16 : 4; /* states kept in registers */
  const int n = (int)w.padded_states;
  for (int s = 0, used; s < n; s += used) {
    const float *B = rows + s, *C = rows + n + s;
    if (kMost >= 16 && n - s >= 16)
      used = 16, scan_states<16, CLAMP>(steps, num_steps, B, C, 2 * n, rates + s, state + s);
    else if (kMost >= 8 && n - s >= 8)
      used = 8, scan_states<8, CLAMP>(steps, num_steps, B, C, 2 * n, rates + s, state + s);
    else
      used = 4, scan_states<4, CLAMP>(steps, num_steps, B, C, 2 * n, rates + s, state + s);
  }
}

/* y of one chunk: what an earlier direction left is added, the last one gates. */
void store_steps(const mmf_scan& call, const Item& item, const Chunk& chunk,
                 const Step* steps, const mmf_tensor* before, const mmf_tensor& to,
                 bool gated) {
  for (int t = 0; t < chunk.steps; ++t) {
    int64_t token = chunk.token + t * chunk.stride;
    int64_t at_before = before ? index_of(*before, item, token) : 0;
    int64_t at_z = gated ? index_of(call.z, item, token) : 0;
    int64_t at = index_of(to, item, token);
    for (int v = 0; v < item.vectors; ++v) {
      int lanes = lanes_of(item, v);
      vf y = steps[v * kSteps + t].y;
      if (before) y = load_as_float(*before, at_before + v * W, lanes) + y;
      if (gated) {
        vf z = load_as_float(call.z, at_z + v * W, lanes);
        y *= z * sigmoid(z);
      }
      store_from_float(to, at + v * W, y, lanes);
    }
  }
}

void scan_direction(const mmf_scan& call, const Layout& w, const Item& item,
                    const Scratch& scratch, const mmf_scan_direction& dir,
                    const mmf_tensor* before, const mmf_tensor& to, bool gated) {
  const Sequence& seq = w.sequences[item.sequence];
  pack_rates(call, w, item, dir.A, scratch.rates, scratch.limits);
  read_state(call, w, item, dir.initial_state, scratch.state);
  for (int64_t c = 0; c * kSteps < seq.length; ++c) {
    Chunk chunk = make_chunk(seq, dir.reverse != 0, c);
    if (c > 0 && dir.checkpoints)
      save_checkpoint(call, w, item, scratch.state,
                      checkpoint_of(call, w, item, dir.checkpoints, c));
    load_rows(call, w, item, dir, chunk, scratch.rows);
    load_steps(call, item, dir, chunk, scratch);
    for (int v = 0; v < item.vectors; ++v) {
      Step* steps = scratch.steps + v * kSteps;
      const vf* rates = scratch.rates + v * w.padded_states;
      vf* state = scratch.state + v * w.padded_states;
      if (is_in_range(scratch.largest[v], scratch.limits[v]))
        scan_vector<false>(w, steps, chunk.steps, scratch.rows, rates, state);
      else
        scan_vector<true>(w, steps, chunk.steps, scratch.rows, rates, state);
    }
    store_steps(call, item, chunk, scratch.steps, before, to, gated);
  }
  if (dir.last_state) write_state(call, w, item, scratch.state, dir.last_state);
}

void scan_item(const mmf_scan& call, const Layout& w, const Item& item,
               const Scratch& scratch) {
  const bool gated = call.z.data != nullptr;
  if (call.num_directions == 1)
    return scan_direction(call, w, item, scratch, call.direction[0], nullptr, call.y,
                          gated);
  mmf_tensor sum = call.y;
  if (call.y.dtype != MMF_F32) { /* so placed that index_of finds this item's part */
    const int64_t row = w.max_vectors * W;
    sum = mmf_tensor{nullptr, 0, row, 0, MMF_F32, 0};
    sum.data = scratch.partial - w.sequences[item.sequence].start * row - item.channel;
  }
  scan_direction(call, w, item, scratch, call.direction[0], nullptr, sum, false);
  scan_direction(call, w, item, scratch, call.direction[1], &sum, call.y, gated);
}

}  // namespace
}  // namespace mmf

extern "C" int64_t mmf_scan_checkpoint_floats(const mmf_scan* call) {
  int64_t count = 0;
  for (int64_t i = 0; i < call->num_sequences; ++i)
    count += mmf::checkpoints_of(mmf::sequence_length(*call, i));
  return count * call->b * call->d * call->n;
}

extern "C" int mmf_scan_forward(const mmf_scan* call) {
  using namespace mmf;
  if (!is_valid(*call) || !call->y.data) return MMF_BAD_ARGUMENT;
  Layout w;
  if (!make_layout(*call, &w)) return MMF_NO_MEMORY;
  const int threads = num_threads(call->num_threads, w.items);
  const bool with_partial = call->num_directions == 2 && call->y.dtype != MMF_F32;
  const int64_t bytes = scratch_bytes(w, with_partial);
  char* memory = (char*)allocate((size_t)(bytes * threads));
  if (memory) {
#pragma omp parallel num_threads(threads)
    {
      FlushSubnormals flush;
      const Scratch scratch = carve(w, memory + bytes * thread_index());
#pragma omp for schedule(dynamic, 1)
      for (int64_t i = 0; i < w.items; ++i)
        scan_item(*call, w, make_item(*call, w, i), scratch);
    }
  }
  free(memory);
  free(w.sequences);
  return memory ? MMF_OK : MMF_NO_MEMORY;
}

extern "C" int mmf_abi(void) { return MMF_ABI; }

extern "C" const char* mmf_isa(void) {
#if defined(MMF_AVX512)
  return "avx512";
#elif defined(MMF_AVX2)
  return "avx2";
#elif defined(__SSE2__)
  return "sse2";
#elif defined(__ARM_NEON)
  return "neon";
#else
  return "generic";
#endif
}
