/* The selective scan, backward: gradients of every input by hand.
 *
 * With g_t the gradient of h_t and a_t = exp(delta_t A), per channel and state:
 *   g_t = C_t dy_t + a_{t+1} g_{t+1}
 *   dC_t = dy_t h_t        dB_t = g_t delta_t u_t      (summed over channels)
 *   d(delta_t u_t) = g_t B_t      d(delta_t A) = g_t a_t h_{t-1}
 * and from there, with u and A put in:
 *   dA = sum over tokens of delta_t d(delta_t A)        du_t = delta_t d(delta_t u_t)
 *   d delta_t = u_t d(delta_t u_t) + sum over states of A d(delta_t A)
 * This is the chain rule on h_t = a_t h_{t-1} + delta_t B_t u_t; states are computed again
 * and not stored, as in the paper (Gu and Dao, 2023, appendix D).
 *
 * Chunks are taken from the last to the first: a_t and h_{t-1} of a chunk are computed
 * again from its checkpoint, forward in time (trace_states), then used from its last token
 * to its first (reverse_states), kStateUnit states at a time, since the trace of more would
 * not stay in L1. y_t is summed again on the way, for the gate's gradient. Where work items
 * add to the same gradient, each writes its part and the parts are summed in a fixed order.
 */
#include "scan.h"

namespace mmf {
namespace {

constexpr int S = kStateUnit; /* states done together: what keeps their trace in L1 */

/* One token of one vector of channels, as the loops over states see it. */
struct Step {
  vf delta, input;    /* after bias and softplus; delta u */
  vf grad_y;          /* after the gate */
  vf grad_input;      /* of delta u */
  vf grad_exponent;   /* of delta, through delta A, in units of log2(e) */
  vf y;               /* without skip and gate */
};

/* What only the beginning and the end of a chunk need. */
struct Edge {
  vf u;
  vf slope;      /* d delta / d(delta before softplus) */
  vf gate_slope; /* grad_y d silu(z) / dz */
};

/* Of one token: a_t and h_{t-1}, and the sums over channels that make dB_t and dC_t. They
 * lie side by side, one vector more than a power of two: kept apart, a load of one and a
 * store of another at the same address modulo 4096 would wait for each other. */
struct Record {
  vf decay[S], before[S];
  vf sums[2 * S]; /* for B, then for C */
  vf padding;
};

struct Scratch {
  Step* steps; /* steps[v * kSteps + t] */
  Edge* edges;
  Record* records;                             /* [kSteps] */
  vf *rates, *state, *grad_state, *grad_rates; /* [v * padded_states + s] */
  vf *limits, *grad_D, *grad_bias;             /* [v] */
  vf* buffers;                                 /* [4][kSteps], to convert columns */
  float *rows, *grad_rows;                     /* [t][B, C][padded_states] */
  vf* dt_weight;                               /* [v * rank + r] */
  float* dt;                                   /* [t][rank] */
  float* partial;                              /* grad_z of the first direction */
};

int64_t carve(const mmf_scan& call, const Layout& w, bool with_partial, char* memory, Scratch* scratch) {
  Scratch& s = *scratch;
  const int64_t vectors = w.max_vectors, states = vectors * w.padded_states;
  Carver carver = {memory};
  carver.take(s.records, kSteps);
  carver.take(s.steps, vectors * kSteps);
  carver.take(s.edges, vectors * kSteps);
  carver.take(s.rates, states);
  carver.take(s.state, states);
  carver.take(s.grad_state, states);
  carver.take(s.grad_rates, states);
  carver.take(s.limits, vectors);
  carver.take(s.grad_D, vectors);
  carver.take(s.grad_bias, vectors);
  carver.take(s.buffers, 4 * kSteps);
  carver.take(s.rows, kSteps * 2 * w.padded_states);
  carver.take(s.grad_rows, kSteps * 2 * w.padded_states);
  carver.take(s.dt_weight, vectors * w.rank);
  carver.take(s.dt, kSteps * w.rank);
  carver.take(s.partial, with_partial ? call.l * vectors * W : 0);
  return carver.bytes(memory);
}

/* Gradients that several items add to: one part for each block of channels (B, C) or for
 * each batch row (A, D, delta_bias). NULL: written at once. */
struct Parts {
  float *B, *C;              /* (blocks, b, l, n) */
  float *A, *D, *delta_bias; /* (b, d, n), (b, d) */
};

/* Fills steps and edges of vector v; returns the largest |delta| of each channel. */
vf load_steps(const mmf_scan& call, const Item& item, const mmf_scan_direction& dir,
              const Chunk& chunk, int v, const Scratch& scratch) {
  const int lanes = lanes_of(item, v);
  const bool gated = call.z.data != nullptr;
  const Column u(dir.u, item, chunk, v, scratch.buffers);
  const Column delta = delta_column(item, dir, chunk, v, scratch.dt, scratch.dt_weight,
                                    scratch.buffers + kSteps);
  const Column grad_y(call.grad_y, item, chunk, v, scratch.buffers + 2 * kSteps);
  Column z;
  if (gated) z = Column(call.z, item, chunk, v, scratch.buffers + 3 * kSteps);
  const vf bias = channels_of(dir.delta_bias, item, v, lanes);
  Step* steps = scratch.steps + v * kSteps;
  Edge* edges = scratch.edges + v * kSteps;
  vf largest = {};
  /* Loops of short chains: the CPU works on several tokens at once, in a long one on two. */
  for (int t = 0; t < chunk.steps; ++t) {
    steps[t].delta = delta[t] + bias;
    edges[t].slope = splat(1.0f);
    if (call.delta_softplus) edges[t].slope = exponential_of_minus_abs(steps[t].delta);
  }
  for (int t = 0; t < chunk.steps; ++t) {
    vf u_t = u[t], delta_t = steps[t].delta, slope = edges[t].slope;
    if (call.delta_softplus) {
      vf e = slope; /* e^-|delta| by the loop above */
      slope = sigmoid_of(delta_t, e);
      delta_t = softplus_of(delta_t, e);
    }
    steps[t] = {delta_t, delta_t * u_t, grad_y[t], vf{}, vf{}, vf{}};
    edges[t] = {u_t, slope, vf{}};
    vf size = absolute(delta_t);
    largest = size <= largest ? largest : size; /* a NaN stays */
  }
  if (!gated) return largest;
  for (int t = 0; t < chunk.steps; ++t) edges[t].gate_slope = exponential_of_minus_abs(z[t]);
  for (int t = 0; t < chunk.steps; ++t) {
    vf z_t = z[t], open = sigmoid_of(z_t, edges[t].gate_slope), grad = steps[t].grad_y;
    edges[t].gate_slope = grad * open * (1.0f + z_t * (1.0f - open));
    steps[t].grad_y = grad * (z_t * open);
  }
  return largest;
}

/* The recurrence of one chunk again for S states, leaving its trace. */
template <bool CLAMP, bool FETCH>
void trace_states(Step* steps, int num_steps, const float* B, const float* C,
                  int64_t row_stride, const vf* rates, const vf* state,
                  Record* records, Ahead<4> ahead) {
  vf h[S];
  MMF_UNROLL for (int s = 0; s < S; ++s) h[s] = state[s];
  for (int t = 0; t < num_steps; ++t, B += row_stride, C += row_stride) {
    vf delta = steps[t].delta, input = steps[t].input, grad_y = steps[t].grad_y;
    vf y = steps[t].y;
    if (FETCH) ahead.fetch();
    MMF_UNROLL for (int s = 0; s < S; ++s) {
      vf decay = exp2_of_product<CLAMP>(delta, rates[s]);
      records[t].decay[s] = decay;
      records[t].before[s] = h[s];
      h[s] = decay * h[s] + input * B[s];
      records[t].sums[S + s] += grad_y * h[s];
      y += h[s] * C[s];
    }
    steps[t].y = y;
  }
}

/* From the chunk's last token to its first; grad_state goes from the gradient of the
 * state after the chunk to that of the state before it. */
void reverse_states(Step* steps, int num_steps, const float* B, const float* C,
                    int64_t row_stride, const vf* rates, Record* records, vf* grad_state,
                    vf* grad_rates) {
  vf g[S], grad_rate[S], rate[S];
  MMF_UNROLL for (int s = 0; s < S; ++s) g[s] = grad_state[s];
  MMF_UNROLL for (int s = 0; s < S; ++s) grad_rate[s] = grad_rates[s];
  MMF_UNROLL for (int s = 0; s < S; ++s) rate[s] = rates[s];
  B += (num_steps - 1) * row_stride;
  C += (num_steps - 1) * row_stride;
  for (int t = num_steps - 1; t >= 0; --t, B -= row_stride, C -= row_stride) {
    vf delta = steps[t].delta, input = steps[t].input, grad_y = steps[t].grad_y;
    vf grad_input = steps[t].grad_input, grad_exponent = steps[t].grad_exponent;
    MMF_UNROLL for (int s = 0; s < S; ++s) {
      g[s] += grad_y * C[s];
      records[t].sums[s] += g[s] * input;
      grad_input += g[s] * B[s];
      g[s] *= records[t].decay[s];
      vf exponent = g[s] * records[t].before[s]; /* g is g_t a_t by now */
      grad_rate[s] += exponent * delta;
      grad_exponent += exponent * rate[s];
    }
    steps[t].grad_input = grad_input;
    steps[t].grad_exponent = grad_exponent;
  }
  MMF_UNROLL for (int s = 0; s < S; ++s) grad_state[s] = g[s];
  MMF_UNROLL for (int s = 0; s < S; ++s) grad_rates[s] = grad_rate[s];
}

/* Sums over lanes into grad_rows, for the S states that start where it points. */
void reduce_records(const Record* records, int num_steps, float* grad_rows,
                    int64_t states) {
  static_assert(S == 4 && kSteps % 2 == 0, "two tokens fill a vector of 16 lanes");
  float values[4 * S];
  for (int t = 0; t < num_steps; t += W == 16 ? 2 : 1) {
    const vf* x = records[t].sums;
    if (W == 16)
      store(values, sums_of_pairs(sums_of_lanes<8>(x), sums_of_lanes<8>(records[t + 1].sums)));
    else
      for (int i = 0; i < 2 * S; i += W) store(values + i, sums_of_lanes(x + i));
    for (int i = 0; i < (W == 16 ? 4 : 2); ++i)
      memcpy(grad_rows + (2 * t + i) * states, values + i * S, S * sizeof(float));
  }
}

/* What the next chunk reads, or what it writes. */
void look_ahead(const mmf_scan& call, const Item& item, const mmf_scan_direction& dir,
                const Chunk& next, int v, bool writes, Ahead<4>* ahead) {
  const mmf_tensor* reads_of[] = {&dir.u, &dir.delta, &call.grad_y, &call.z};
  const mmf_tensor* writes_of[] = {&dir.grad_u, &dir.grad_delta, &call.grad_z};
  const int count = writes ? 3 : 4;
  for (int i = 0; i < count; ++i) {
    const mmf_tensor& x = writes ? *writes_of[i] : *reads_of[i];
    if (x.data) ahead->set(i, x, item, next, v);
  }
}

void backward_states(const mmf_scan& call, const Layout& w, const Item& item,
                     const mmf_scan_direction& dir, const Chunk& chunk,
                     const Chunk* next, const Scratch& scratch) {
  const int64_t n = w.padded_states;
  bool in_range[kBlockChannels / W + 1];
  for (int v = 0; v < item.vectors; ++v)
    in_range[v] = is_in_range(load_steps(call, item, dir, chunk, v, scratch), scratch.limits[v]);
  for (int64_t s = 0; s < n; s += S) {
    const float *B = scratch.rows + s, *C = B + n;
    for (int t = 0; t < kSteps; ++t)
      for (int i = 0; i < 2 * S; ++i) scratch.records[t].sums[i] = vf{};
    for (int v = 0; v < item.vectors; ++v) {
      Step* steps = scratch.steps + v * kSteps;
      const int64_t at = v * n + s;
      Ahead<4> ahead;
      const bool fetch = next && s <= S;
      if (fetch) look_ahead(call, item, dir, *next, v, s > 0, &ahead);
      auto trace = !in_range[v] ? trace_states<true, false>
                   : fetch      ? trace_states<false, true>
                                : trace_states<false, false>;
      trace(steps, chunk.steps, B, C, 2 * n, scratch.rates + at, scratch.state + at,
            scratch.records, ahead);
      reverse_states(steps, chunk.steps, B, C, 2 * n, scratch.rates + at, scratch.records,
                     scratch.grad_state + at, scratch.grad_rates + at);
    }
    reduce_records(scratch.records, chunk.steps, scratch.grad_rows + s, n);
  }
}

/* Gradients of u, delta and z for vector v; sums over time for D and delta_bias. */
void store_steps(const Item& item, const mmf_scan_direction& dir, const Chunk& chunk,
                 int v, const Scratch& scratch, const mmf_tensor* before,
                 const mmf_tensor& grad_z) {
  const vf D = channels_of(dir.D, item, v, lanes_of(item, v));
  const Step* steps = scratch.steps + v * kSteps;
  const Edge* edges = scratch.edges + v * kSteps;
  vf grad_D = scratch.grad_D[v], grad_bias = scratch.grad_bias[v];
  if (dir.grad_u.data) {
    const OutColumn out(dir.grad_u, item, chunk, v, scratch.buffers);
    for (int t = 0; t < chunk.steps; ++t)
      out.put(t, steps[t].grad_input * steps[t].delta + steps[t].grad_y * D);
    out.finish();
  }
  mmf_tensor nowhere = {};
  const bool wanted = dir.grad_delta.data != nullptr;
  const OutColumn out(wanted ? dir.grad_delta : nowhere, item, chunk, v, scratch.buffers);
  for (int t = 0; t < chunk.steps; ++t) {
    vf grad = steps[t].grad_input * edges[t].u + steps[t].grad_exponent * kLn2;
    grad *= edges[t].slope;
    grad_bias += grad;
    grad_D += steps[t].grad_y * edges[t].u;
    if (wanted) out.put(t, grad);
  }
  if (wanted) out.finish();
  if (grad_z.data) {
    Column first;
    if (before) first = Column(*before, item, chunk, v, scratch.buffers);
    const OutColumn to(grad_z, item, chunk, v, scratch.buffers + kSteps);
    for (int t = 0; t < chunk.steps; ++t) {
      vf grad = edges[t].gate_slope * (steps[t].y + D * edges[t].u);
      to.put(t, before ? first[t] + grad : grad);
    }
    to.finish();
  }
  scratch.grad_D[v] = grad_D;
  scratch.grad_bias[v] = grad_bias;
}

/* Gradients of B and C of one chunk: this block's part, or the whole if it is alone. */
void store_rows(const mmf_scan& call, const Layout& w, const Item& item,
                const Chunk& chunk, const float* grad_rows, int which,
                const mmf_tensor& to) {
  if (!to.data) return;
  const int n = (int)call.n;
  for (int t = 0; t < chunk.steps; ++t) {
    int64_t index = item.batch * to.batch_stride +
                    (chunk.token + t * chunk.stride) * to.time_stride;
    const float* row = grad_rows + (2 * t + which) * w.padded_states;
    for (int s = 0; s < n; s += W) {
      int lanes = n - s < W ? n - s : W;
      store_from_float(to, index + s, load_some(row + s, lanes), lanes);
    }
  }
}

/* The part of a (blocks, b, l, n) buffer that this item's block writes. */
mmf_tensor part_of_rows(const mmf_scan& call, int64_t block,
                        const mmf_tensor& whole, float* parts) {
  if (!whole.data || !parts) return whole;
  float* data = parts + block * call.b * call.l * call.n;
  return mmf_tensor{data, call.l * call.n, call.n, MMF_F32, 0};
}

void write_vectors(const mmf_scan& call, const Item& item, const vf* x, float* to) {
  to += item.batch * call.d + item.channel;
  for (int v = 0; v < item.vectors; ++v) store_some(to + v * W, x[v], lanes_of(item, v));
}

void backward_direction(const mmf_scan& call, const Layout& w, const Item& item,
                        int64_t block, const Scratch& scratch,
                        const mmf_scan_direction& dir, const Parts& parts,
                        const mmf_tensor* before, const mmf_tensor& grad_z) {
  const mmf_tensor grad_B = part_of_rows(call, block, dir.grad_B, parts.B);
  const mmf_tensor grad_C = part_of_rows(call, block, dir.grad_C, parts.C);
  pack_rates(call, w, item, dir, scratch.rates, scratch.limits);
  pack_dt_weight(item, dir, scratch.dt_weight);
  read_state(call, w, item, dir.grad_last_state, scratch.grad_state);
  read_state(call, w, item, nullptr, scratch.grad_rates);
  for (int v = 0; v < item.vectors; ++v) scratch.grad_D[v] = scratch.grad_bias[v] = vf{};
  for (int64_t c = ceil_div(call.l, kSteps) - 1; c >= 0; --c) {
    Chunk chunk = make_chunk(call.l, dir.reverse != 0, c);
    if (c > 0)
      load_checkpoint(call, w, item, checkpoint_of(call, w, item, dir.checkpoints, c),
                      scratch.state);
    else
      read_state(call, w, item, dir.initial_state, scratch.state);
    load_rows(call, w, item, dir, chunk, scratch.rows);
    load_dt(item, dir, chunk, scratch.dt);
    const Chunk next = make_chunk(call.l, dir.reverse != 0, c > 0 ? c - 1 : 0);
    backward_states(call, w, item, dir, chunk, c > 0 ? &next : nullptr, scratch);
    for (int v = 0; v < item.vectors; ++v)
      store_steps(item, dir, chunk, v, scratch, before, grad_z);
    store_rows(call, w, item, chunk, scratch.grad_rows, 0, grad_B);
    store_rows(call, w, item, chunk, scratch.grad_rows, 1, grad_C);
  }
  if (dir.grad_initial_state)
    write_state(call, w, item, scratch.grad_state, dir.grad_initial_state);
  if (parts.A) write_state(call, w, item, scratch.grad_rates, parts.A);
  if (parts.D) write_vectors(call, item, scratch.grad_D, parts.D);
  if (parts.delta_bias) write_vectors(call, item, scratch.grad_bias, parts.delta_bias);
}

void backward_item(const mmf_scan& call, const Layout& w, int64_t index,
                   const Scratch& scratch, const Parts* parts) {
  const Item item = make_item(call, w, index);
  const int64_t block = index % w.blocks;
  mmf_tensor none = {}, sum = call.z.data ? call.grad_z : none;
  if (call.num_directions == 1)
    return backward_direction(call, w, item, block, scratch, call.direction[0], parts[0],
                              nullptr, sum);
  if (sum.data && sum.dtype != MMF_F32) { /* so placed that index_of finds its part */
    const int64_t row = w.max_vectors * W;
    sum = mmf_tensor{nullptr, 0, row, MMF_F32, 0};
    sum.data = scratch.partial - item.channel;
  }
  backward_direction(call, w, item, block, scratch, call.direction[0], parts[0], nullptr,
                     sum);
  backward_direction(call, w, item, block, scratch, call.direction[1], parts[1],
                     sum.data ? &sum : nullptr, sum.data ? call.grad_z : none);
}

/* ---- Sums of the parts, in a fixed order; each function is one share of the work ---- */

void sum_rows(const mmf_scan& call, const Layout& w, const float* parts,
              const mmf_tensor& to, int64_t batch, int64_t token) {
  const int64_t n = call.n, part = call.b * call.l * n;
  for (int64_t s = 0; s < n; s += W) {
    const int lanes = n - s < W ? (int)(n - s) : W;
    const float* from = parts + (batch * call.l + token) * n + s;
    vf sum = load_some(from, lanes);
    for (int64_t i = 1; i < w.blocks; ++i) sum += load_some(from + i * part, lanes);
    store_from_float(to, batch * to.batch_stride + token * to.time_stride + s, sum, lanes);
  }
}

/* (b, size) -> (size). */
void sum_batch(const mmf_scan& call, const float* parts, int64_t size, float* to) {
  for (int64_t i = 0; i < size; ++i) to[i] = 0.0f;
  for (int64_t row = 0; row < call.b; ++row)
    for (int64_t i = 0; i < size; ++i) to[i] += parts[row * size + i];
}

/* The gradient of log(-A) from that of A. */
void through_logarithm(const float* logarithm, int64_t size, float* grad) {
  for (int64_t i = 0; i < size; i += W) {
    const int lanes = size - i < W ? (int)(size - i) : W;
    vf A = -exponential(load_some(logarithm + i, lanes));
    store_some(grad + i, load_some(grad + i, lanes) * A, lanes);
  }
}

/* Where the parts of one direction lie; returns the floats taken. */
int64_t carve_parts(const mmf_scan& call, const Layout& w, const mmf_scan_direction& dir,
                    float* memory, Parts* parts) {
  float* p = memory;
  auto take = [&p](bool wanted, int64_t count) {
    float* start = wanted ? p : nullptr;
    p += wanted ? ceil_div(count, 16) * 16 : 0;
    return start;
  };
  const int64_t rows = call.b * call.l * call.n * w.blocks, channels = call.b * call.d;
  parts->B = take(dir.grad_B.data && w.blocks > 1, rows);
  parts->C = take(dir.grad_C.data && w.blocks > 1, rows);
  parts->A = take(dir.grad_A != nullptr, channels * call.n);
  parts->D = take(dir.grad_D != nullptr, channels);
  parts->delta_bias = take(dir.grad_delta_bias != nullptr, channels);
  return p - memory;
}

bool has_what_backward_reads(const mmf_scan& call) {
  if (!call.grad_y.data) return false;
  for (int64_t i = 0; i < call.num_directions; ++i)
    if (!call.direction[i].checkpoints && checkpoints_of(call.l) > 0) return false;
  return true;
}

}  // namespace
}  // namespace mmf

extern "C" int mmf_scan_backward(const mmf_scan* call) {
  using namespace mmf;
  if (!is_valid(*call) || !has_what_backward_reads(*call)) return MMF_BAD_ARGUMENT;
  const Layout w = make_layout(*call);
  const int threads = num_threads(call->num_threads, w.items);
  const bool with_partial =
      call->num_directions == 2 && call->grad_z.data && call->grad_z.dtype != MMF_F32;
  Scratch sizes;
  Parts parts[2];
  const int64_t bytes = carve(*call, w, with_partial, nullptr, &sizes);
  int64_t floats = 0;
  for (int64_t i = 0; i < call->num_directions; ++i)
    floats += carve_parts(*call, w, call->direction[i], nullptr, &parts[i]);
  char* memory = (char*)allocate((size_t)(bytes * threads + floats * 4));
  if (!memory) return MMF_NO_MEMORY;
  float* next = (float*)(memory + bytes * threads);
  for (int64_t i = 0; i < call->num_directions; ++i)
    next += carve_parts(*call, w, call->direction[i], next, &parts[i]);
#pragma omp parallel num_threads(threads)
  {
    FlushSubnormals flush;
    Scratch scratch;
    carve(*call, w, with_partial, memory + bytes * omp_get_thread_num(), &scratch);
#pragma omp for schedule(dynamic, 1)
    for (int64_t i = 0; i < w.items; ++i) backward_item(*call, w, i, scratch, parts);
    for (int64_t i = 0; i < call->num_directions; ++i) {
      const mmf_scan_direction& dir = call->direction[i];
#pragma omp for schedule(static)
      for (int64_t row = 0; row < call->b * call->l; ++row) {
        const int64_t batch = row / call->l, token = row % call->l;
        if (parts[i].B) sum_rows(*call, w, parts[i].B, dir.grad_B, batch, token);
        if (parts[i].C) sum_rows(*call, w, parts[i].C, dir.grad_C, batch, token);
      }
#pragma omp single
      {
        if (parts[i].A) {
          sum_batch(*call, parts[i].A, call->d * call->n, dir.grad_A);
          if (dir.A_is_log) through_logarithm(dir.A, call->d * call->n, dir.grad_A);
        }
        if (parts[i].D) sum_batch(*call, parts[i].D, call->d, dir.grad_D);
        if (parts[i].delta_bias)
          sum_batch(*call, parts[i].delta_bias, call->d, dir.grad_delta_bias);
      }
    }
  }
  free(memory);
  return MMF_OK;
}
