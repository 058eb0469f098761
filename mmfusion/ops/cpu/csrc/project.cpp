/* The projections between the convolution and the scan, and their gradients, in float32.
 *
 * Each has one short side (r, or r + 2n of some dozens), where a library's products are
 * half as fast as at their best. With U the tokens after the convolution, X the weight of
 * x_proj and T that of dt_proj:
 *   forward    P = U X^T
 *   backward   dP[:, :r] = d_delta T      dU += dP X
 *              dX = dP^T U                dT = d_delta^T P[:, :r]
 * The backward makes all four of a tile of tokens while the tile lies in L2. Sums over
 * tokens are made slab by slab, then over the slabs in their order; slabs depend on the
 * number of tokens alone, so the same bits come out for any number of threads. */
#include <stdlib.h>

#include "simd.h"

namespace {

using namespace mmf;

/* A block of a product: its sums, the right factor's vectors and a broadcast of the left
 * one fill the registers. */
constexpr int kRows = kRegisters == 32 ? 8 : 4;
constexpr int kVectors = 3;
constexpr int64_t kTile = 64;      /* tokens */
constexpr int64_t kSlab = 256;     /* tokens that a slab has at least */
constexpr int64_t kMostSlabs = 32; /* bounds the memory for their sums */

/* The left factor: element (i, k) is data[i * row + k * step]. */
struct Left {
  const float* data;
  int64_t row, step;
};

/* The right factor: element (k, j) is data[k * row + j]. Padded: its rows go on to whole
 * vectors. */
struct Right {
  const float* data;
  int64_t row;
  bool padded;
};
struct Product {
  float* data;
  int64_t row;
  bool adds; /* to what is there */
};

/* R rows and C vectors, of which the last has `lanes` columns. CUT: the right factor's
 * rows end there. */
template <int R, int C, bool CUT>
MMF_INLINE void block(int64_t terms, Left a, Right b, Product to, int lanes) {
  vf sum[R][C];
  MMF_UNROLL for (int r = 0; r < R; ++r) {
    MMF_UNROLL for (int c = 0; c < C; ++c) {
      const float* at = to.data + r * to.row + c * W;
      sum[r][c] = to.adds ? load_some(at, c < C - 1 ? W : lanes) : vf{};
    }
  }
  for (int64_t k = 0; k < terms; ++k) {
    vf right[C];
    MMF_UNROLL for (int c = 0; c < C; ++c)
      right[c] = load_some(b.data + c * W, CUT && c == C - 1 ? lanes : W);
    MMF_UNROLL for (int r = 0; r < R; ++r) {
      const vf left = splat(a.data[r * a.row]);
      MMF_UNROLL for (int c = 0; c < C; ++c) sum[r][c] += right[c] * left;
    }
    a.data += a.step;
    b.data += b.row;
  }
  MMF_UNROLL for (int r = 0; r < R; ++r) {
    MMF_UNROLL for (int c = 0; c < C; ++c)
      store_some(to.data + r * to.row + c * W, sum[r][c], c < C - 1 ? W : lanes);
  }
}

/* All rows of C vectors of columns. */
template <int C, bool CUT>
void columns(int64_t rows, int64_t terms, Left a, Right b, Product to, int lanes) {
  int64_t r = 0;
  auto next = [&](int64_t done) __attribute__((always_inline)) {
    r += done, a.data += done * a.row, to.data += done * to.row;
  };
  for (; r + kRows <= rows; next(kRows)) block<kRows, C, CUT>(terms, a, b, to, lanes);
  if (kRows > 4 && r + 4 <= rows) block<4, C, CUT>(terms, a, b, to, lanes), next(4);
  for (; r < rows; next(1)) block<1, C, CUT>(terms, a, b, to, lanes);
}

/* to (rows, count) = a (rows, terms) b (terms, count), or added to it. */
void multiply(int64_t rows, int64_t count, int64_t terms, Left a, Right b, Product to) {
  for (int64_t c = 0, used; c < count; c += used, b.data += used, to.data += used) {
    const int64_t left = count - c;
    const int lanes = (int)(left % W ? left % W : W); /* of the last vector of all */
    used = left < kVectors * W ? left : kVectors * W;
    if (left > kVectors * W || lanes == W || b.padded) {
      const int last = left > kVectors * W ? W : lanes;
      if (used > 2 * W)
        columns<3, false>(rows, terms, a, b, to, last);
      else if (used > W)
        columns<2, false>(rows, terms, a, b, to, last);
      else
        columns<1, false>(rows, terms, a, b, to, last);
    } else if (used > W) { /* whole vectors first */
      used = left / W * W;
      used > W ? columns<2, false>(rows, terms, a, b, to, W)
               : columns<1, false>(rows, terms, a, b, to, W);
    } else {
      columns<1, true>(rows, terms, a, b, to, lanes);
    }
  }
}

int64_t padded_to_vectors(int64_t count) { return (count + W - 1) / W * W; }

/* The element (k, j) at from[k * step + j * row] to a padded right factor. */
Right pack(const float* from, int64_t terms, int64_t step, int64_t count, int64_t row,
           float* to) {
  const int64_t padded = padded_to_vectors(count);
  for (int64_t k = 0; k < terms; ++k)
    for (int64_t j = 0; j < padded; ++j)
      to[k * padded + j] = j < count ? from[k * step + j * row] : 0.0f;
  return {to, padded, true};
}

int64_t at_most(int64_t a, int64_t b) { return a < b ? a : b; }

int64_t slabs_of(int64_t tokens) {
  const int64_t slabs = at_most(tokens / kSlab, kMostSlabs);
  return slabs > 0 ? slabs : 1;
}

bool is_valid(const mmf_project& call) {
  bool valid = call.tokens >= 1 && call.d >= 1 && call.rank >= 1 && call.outputs >= call.rank;
  valid = valid && (call.num_directions == 1 || call.num_directions == 2);
  for (int64_t i = 0; valid && i < call.num_directions; ++i) {
    const mmf_project_direction& one = call.direction[i];
    valid = one.u && one.x_proj && one.projected;
  }
  return valid;
}

/* Of the tokens from `begin` to `end`; dt_weight: T; sums: dX (outputs, d), then dT^T
 * (rank, d). */
void backward_tokens(const mmf_project& call, const mmf_project_direction& one,
                     const Right& dt_weight, int64_t begin, int64_t end, float* sums) {
  const int64_t d = call.d, rank = call.rank, outputs = call.outputs;
  for (int64_t first = begin; first < end; first += kTile) {
    const int64_t tokens = at_most(kTile, end - first);
    const float *u = one.u + first * d, *grad_delta = one.grad_delta + first * d;
    float* grad_projected = one.grad_projected + first * outputs;
    const Left by_token = {grad_projected, outputs, 1}, by_output = {grad_projected, 1, outputs};
    multiply(tokens, rank, d, {grad_delta, d, 1}, dt_weight, {grad_projected, outputs, false});
    multiply(tokens, d, outputs, by_token, {one.x_proj, d, false},
             {one.grad_u + first * d, d, true});
    const bool adds = first > begin;
    if (one.grad_x_proj) multiply(outputs, d, tokens, by_output, {u, d, false}, {sums, d, adds});
    if (one.grad_dt_weight)
      multiply(rank, d, tokens, {one.projected + first * outputs, 1, outputs},
               {grad_delta, d, false}, {sums + outputs * d, d, adds});
  }
}

}  // namespace

int mmf_project_forward(const mmf_project* call) {
  if (!is_valid(*call)) return MMF_BAD_ARGUMENT;
  const int64_t d = call->d, outputs = call->outputs, directions = call->num_directions;
  const int64_t packed = d * padded_to_vectors(outputs);
  float* memory = (float*)malloc((size_t)(directions * packed) * sizeof(float));
  if (!memory) return MMF_NO_MEMORY;
  Right weight[2] = {};
  for (int64_t i = 0; i < directions; ++i)
    weight[i] = pack(call->direction[i].x_proj, d, 1, outputs, d, memory + i * packed);
  const int64_t tiles = (call->tokens + kTile - 1) / kTile;
  auto body = [&](int64_t index) {
    const mmf_project_direction& one = call->direction[index / tiles];
    const int64_t first = index % tiles * kTile;
    multiply(at_most(kTile, call->tokens - first), outputs, d, {one.u + first * d, d, 1},
             weight[index / tiles], {one.projected + first * outputs, outputs, false});
  };
  run_tiles(directions * tiles, call->num_threads, call->tokens * d, body);
  free(memory);
  return MMF_OK;
}

int mmf_project_backward(const mmf_project* call) {
  if (!is_valid(*call)) return MMF_BAD_ARGUMENT;
  const int64_t d = call->d, rank = call->rank, outputs = call->outputs;
  const int64_t slabs = slabs_of(call->tokens), size = (outputs + rank) * d;
  for (int64_t i = 0; i < call->num_directions; ++i) {
    const mmf_project_direction& one = call->direction[i];
    if (!one.dt_weight || !one.grad_delta || !one.grad_u || !one.grad_projected)
      return MMF_BAD_ARGUMENT;
  }
  const int64_t parts = call->num_directions * slabs, packed = d * padded_to_vectors(rank);
  float* sums =
      (float*)malloc((size_t)(parts * size + call->num_directions * packed) * sizeof(float));
  if (!sums) return MMF_NO_MEMORY;
  Right weight[2] = {};
  for (int64_t i = 0; i < call->num_directions; ++i)
    weight[i] = pack(call->direction[i].dt_weight, d, rank, rank, 1,
                     sums + parts * size + i * packed);
  run_tiles(parts, call->num_threads, call->tokens * d, [&](int64_t part) {
    const int64_t slab = part % slabs;
    backward_tokens(*call, call->direction[part / slabs], weight[part / slabs],
                    slab * call->tokens / slabs, (slab + 1) * call->tokens / slabs,
                    sums + part * size);
  });
  const int64_t rows = outputs + rank;
  auto add_row = [&](int64_t index) {
    const mmf_project_direction& one = call->direction[index / rows];
    const int64_t row = index % rows;
    float* first = sums + index / rows * slabs * size + row * d;
    if (!(row < outputs ? one.grad_x_proj : one.grad_dt_weight)) return;
    for (int64_t slab = 1; slab < slabs; ++slab)
      for (int64_t c = 0; c < d; ++c) first[c] += first[slab * size + c];
    if (row < outputs)
      memcpy(one.grad_x_proj + row * d, first, (size_t)d * sizeof(float));
    else
      for (int64_t c = 0; c < d; ++c) one.grad_dt_weight[c * rank + row - outputs] = first[c];
  };
  run_tiles(call->num_directions * rows, call->num_threads, parts * size, add_row);
  free(sums);
  return MMF_OK;
}
