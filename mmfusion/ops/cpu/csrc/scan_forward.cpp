/* The selective scan, forward: algorithm 2 of Mamba (Gu and Dao, 2023), one pass over the
 * tokens, with softplus, skip and gate fused. See scan.h for how the work is split.
 *
 * A chunk of a vector of channels passes three loops: load_steps makes delta, delta u and
 * D u of each token; scan_states runs the recurrence, with the states of a group in
 * registers from the chunk's first token to its last; store_steps gates and writes. So the
 * tokens' inputs are read once, whatever n is, and the innermost loop has nothing but the
 * exponentials and three multiply-adds a state. */
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
  Step* steps;     /* [kSteps] of the vector at hand */
  vf* buffers;     /* [4][kSteps], what columns are converted in */
  vf *rates, *state; /* [v * padded_states + s] */
  vf* limits;      /* [v] */
  float* rows;     /* [t][B, C][padded_states] */
  vf* dt_weight;   /* [v * rank + r] */
  float* dt;       /* [t][rank] */
  float* partial;  /* the first direction's y, where y itself cannot hold it */
};

int64_t carve(const mmf_scan& call, const Layout& w, bool with_partial, char* memory, Scratch* scratch) {
  Scratch& s = *scratch;
  const int64_t states = w.max_vectors * w.padded_states;
  Carver carver = {memory};
  carver.take(s.steps, kSteps);
  carver.take(s.buffers, 4 * kSteps);
  carver.take(s.rates, states);
  carver.take(s.state, states);
  carver.take(s.limits, w.max_vectors);
  carver.take(s.rows, kSteps * 2 * w.padded_states);
  carver.take(s.dt_weight, w.max_vectors * w.rank);
  carver.take(s.dt, kSteps * w.rank);
  carver.take(s.partial, with_partial ? call.l * w.max_vectors * W : 0);
  return carver.bytes(memory);
}

/* Fills the steps of vector v; returns the largest |delta| of each channel. */
vf load_steps(const mmf_scan& call, const Item& item, const mmf_scan_direction& dir,
              const Chunk& chunk, int v, const Scratch& scratch) {
  const int lanes = lanes_of(item, v);
  const Column u(dir.u, item, chunk, v, scratch.buffers);
  const Column delta = delta_column(item, dir, chunk, v, scratch.dt, scratch.dt_weight,
                                    scratch.buffers + kSteps);
  Step* steps = scratch.steps;
  const vf D = channels_of(dir.D, item, v, lanes);
  const vf bias = channels_of(dir.delta_bias, item, v, lanes);
  vf largest = {};
  /* Loops of short chains: the CPU works on several tokens at once, in a long one on two. */
  for (int t = 0; t < chunk.steps; ++t) {
    steps[t].delta = delta[t] + bias;
    if (call.delta_softplus) steps[t].y = exponential_of_minus_abs(steps[t].delta);
  }
  for (int t = 0; t < chunk.steps; ++t) {
    vf u_t = u[t], delta_t = steps[t].delta;
    if (call.delta_softplus) delta_t = softplus_of(delta_t, steps[t].y);
    steps[t] = {delta_t, delta_t * u_t, u_t * D};
    vf size = absolute(delta_t);
    largest = size <= largest ? largest : size; /* a NaN stays */
  }
  return largest;
}

/* The recurrence over one chunk for S states of one vector of channels. */
template <int S, bool CLAMP>
void scan_states(Step* steps, int num_steps, const float* B, const float* C,
                 int64_t row_stride, const vf* rates, vf* state, Ahead<4> ahead) {
  vf h[S];
  MMF_UNROLL for (int s = 0; s < S; ++s) h[s] = state[s];
  for (int t = 0; t < num_steps; ++t, B += row_stride, C += row_stride) {
    vf delta = steps[t].delta, input = steps[t].input;
    vf even = steps[t].y, odd = {}; /* two sums: neither waits for the other */
    ahead.fetch();
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
                 const vf* rates, vf* state,
                 const Ahead<4>& ahead) {
  /* States kept in registers: with 32 of them 16 states, delta, delta u, the sums and the
   * exponential's constants fit; with 16 registers 4 states do. */
  constexpr int kMost = kRegisters == 32 ? 16 : 4;
  const int n = (int)w.padded_states;
  for (int s = 0, used; s < n; s += used) {
    const float *B = rows + s, *C = rows + n + s;
    if (kMost >= 16 && n - s >= 16)
      used = 16, scan_states<16, CLAMP>(steps, num_steps, B, C, 2 * n, rates + s, state + s, ahead);
    else if (kMost >= 8 && n - s >= 8)
      used = 8, scan_states<8, CLAMP>(steps, num_steps, B, C, 2 * n, rates + s, state + s, ahead);
    else
      used = 4, scan_states<4, CLAMP>(steps, num_steps, B, C, 2 * n, rates + s, state + s, ahead);
  }
}

/* y of vector v: what an earlier direction left is added, the last one gates. */
void store_steps(const mmf_scan& call, const Item& item, const Chunk& chunk, int v,
                 const Scratch& scratch, const mmf_tensor* before, const mmf_tensor& to,
                 bool gated) {
  Step* steps = scratch.steps;
  Column z, first;
  if (gated) z = Column(call.z, item, chunk, v, scratch.buffers);
  if (before) first = Column(*before, item, chunk, v, scratch.buffers + kSteps);
  const OutColumn out(to, item, chunk, v, scratch.buffers + 2 * kSteps);
  if (gated)
    for (int t = 0; t < chunk.steps; ++t) steps[t].delta = exponential_of_minus_abs(z[t]);
  for (int t = 0; t < chunk.steps; ++t) {
    vf y = steps[t].y;
    if (before) y = first[t] + y;
    if (gated) y *= z[t] * sigmoid_of(z[t], steps[t].delta);
    out.put(t, y);
  }
  out.finish();
}

void scan_direction(const mmf_scan& call, const Layout& w, const Item& item,
                    const Scratch& scratch, const mmf_scan_direction& dir,
                    const mmf_tensor* before, const mmf_tensor& to, bool gated) {
  pack_rates(call, w, item, dir, scratch.rates, scratch.limits);
  pack_dt_weight(item, dir, scratch.dt_weight);
  read_state(call, w, item, dir.initial_state, scratch.state);
  for (int64_t c = 0; c * kSteps < call.l; ++c) {
    Chunk chunk = make_chunk(call.l, dir.reverse != 0, c);
    if (c > 0 && dir.checkpoints)
      save_checkpoint(call, w, item, scratch.state,
                      checkpoint_of(call, w, item, dir.checkpoints, c));
    load_rows(call, w, item, dir, chunk, scratch.rows);
    load_dt(item, dir, chunk, scratch.dt);
    for (int v = 0; v < item.vectors; ++v) {
      Ahead<4> ahead;
      if ((c + 1) * kSteps < call.l) {
        Chunk next = make_chunk(call.l, dir.reverse != 0, c + 1);
        ahead.set(0, dir.u, item, next, v);
        if (dir.delta.data) ahead.set(1, dir.delta, item, next, v);
        ahead.set(2, to, item, next, v);
        if (gated) ahead.set(3, call.z, item, next, v);
      }
      const vf* rates = scratch.rates + v * w.padded_states;
      vf* state = scratch.state + v * w.padded_states;
      const vf largest = load_steps(call, item, dir, chunk, v, scratch);
      auto scan = is_in_range(largest, scratch.limits[v]) ? scan_vector<false>
                                                          : scan_vector<true>;
      scan(w, scratch.steps, chunk.steps, scratch.rows, rates, state, ahead);
      store_steps(call, item, chunk, v, scratch, before, to, gated);
    }
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
    sum = mmf_tensor{nullptr, 0, row, MMF_F32, 0};
    sum.data = scratch.partial - item.channel;
  }
  scan_direction(call, w, item, scratch, call.direction[0], nullptr, sum, false);
  scan_direction(call, w, item, scratch, call.direction[1], &sum, call.y, gated);
}

}  // namespace
}  // namespace mmf

extern "C" int mmf_scan_forward(const mmf_scan* call) {
  using namespace mmf;
  if (!is_valid(*call) || !call->y.data) return MMF_BAD_ARGUMENT;
  const Layout w = make_layout(*call);
  const int threads = num_threads(call->num_threads, w.items);
  const bool with_partial = call->num_directions == 2 && call->y.dtype != MMF_F32;
  Scratch sizes;
  const int64_t bytes = carve(*call, w, with_partial, nullptr, &sizes);
  char* memory = (char*)allocate((size_t)(bytes * threads));
  if (memory) {
#pragma omp parallel num_threads(threads)
    {
      FlushSubnormals flush;
      Scratch scratch;
      carve(*call, w, with_partial, memory + bytes * omp_get_thread_num(), &scratch);
#pragma omp for schedule(dynamic, 1)
      for (int64_t i = 0; i < w.items; ++i)
        scan_item(*call, w, make_item(*call, w, i), scratch);
    }
  }
  free(memory);
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
