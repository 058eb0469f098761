/* The sum of two branches and its RMS norm, forward and backward.
 *
 * With s the sum, r = 1 / sqrt(mean(s^2) + eps), w the weight and g the gradient of
 * y = w s r, the gradient of s is r (g w - s r mean(g w s r)), to which what reaches s
 * itself is added. Work is cut into tiles of tokens that depend on the sizes alone; the
 * weight's gradient is summed by tile, then over the tiles in their order.
 */
#include <math.h>
#include <stdlib.h>

#include "simd.h"

namespace {

using namespace mmf;

constexpr int64_t kRows = 64; /* tokens of a tile */

MMF_INLINE float total_of(vf x) {
  float sum = 0.0f;
  for (int i = 0; i < W; ++i) sum += x[i];
  return sum;
}

MMF_INLINE int64_t index_of(const mmf_tensor& x, const mmf_norm& call, int64_t row) {
  return row / call.l * x.batch_stride + row % call.l * x.time_stride;
}

void forward_row(const mmf_norm& call, int64_t row) {
  const int64_t x = index_of(call.x, call, row), y = index_of(call.y, call, row);
  const float* residual = call.residual + row * call.d;
  float* out = call.sum + row * call.d;
  vf squares = {};
  each_vector(call.d, [&](int64_t c, int lanes) __attribute__((always_inline)) {
    vf sum = load_as_float(call.x, x + c, lanes) + load_some(residual + c, lanes);
    store_some(out + c, sum, lanes);
    squares += sum * sum;
  });
  const float scale = 1.0f / sqrtf(total_of(squares) / (float)call.d + call.eps);
  call.scale[row] = scale;
  each_vector(call.d, [&](int64_t c, int lanes) __attribute__((always_inline)) {
    vf value = load_some(out + c, lanes) * scale * load_some(call.weight + c, lanes);
    store_from_float(call.y, y + c, value, lanes);
  });
}

void backward_row(const mmf_norm& call, int64_t row, float* grad_weight) {
  const float *sum = call.sum + row * call.d, scale = call.scale[row];
  const float* grad_sum = call.grad_sum ? call.grad_sum + row * call.d : nullptr;
  const int64_t at = index_of(call.grad_y, call, row);
  const bool has_grad_y = call.grad_y.data != nullptr;
  vf products = {};
  each_vector(call.d, [&](int64_t c, int lanes) __attribute__((always_inline)) {
    if (!has_grad_y) return;
    vf grad = load_as_float(call.grad_y, at + c, lanes);
    vf normed = load_some(sum + c, lanes) * scale;
    products += grad * load_some(call.weight + c, lanes) * normed;
    if (grad_weight)
      store_some(grad_weight + c, load_some(grad_weight + c, lanes) + grad * normed, lanes);
  });
  const float mean = total_of(products) / (float)call.d;
  float* out = call.grad_total + row * call.d;
  each_vector(call.d, [&](int64_t c, int lanes) __attribute__((always_inline)) {
    vf value = {};
    if (has_grad_y) {
      vf grad = load_as_float(call.grad_y, at + c, lanes) * load_some(call.weight + c, lanes);
      value = (grad - load_some(sum + c, lanes) * scale * mean) * scale;
    }
    if (grad_sum) value += load_some(grad_sum + c, lanes);
    store_some(out + c, value, lanes);
  });
}

int64_t tiles_of(const mmf_norm& call) { return (call.b * call.l + kRows - 1) / kRows; }

/* body(row, tile) for each row of each tile. */
template <class Body>
void run_rows(const mmf_norm& call, Body body) {
  const int64_t rows = call.b * call.l;
  run_tiles(tiles_of(call), call.num_threads, rows * call.d, [&](int64_t tile) {
    const int64_t end = (tile + 1) * kRows < rows ? (tile + 1) * kRows : rows;
    for (int64_t row = tile * kRows; row < end; ++row) body(row, tile);
  });
}

bool is_valid(const mmf_norm& call) {
  return call.b >= 1 && call.l >= 1 && call.d >= 1 && call.weight && call.sum && call.scale;
}

}  // namespace

int mmf_norm_forward(const mmf_norm* call) {
  if (!is_valid(*call) || !call->x.data || !call->y.data || !call->residual)
    return MMF_BAD_ARGUMENT;
  run_rows(*call, [&](int64_t row, int64_t) { forward_row(*call, row); });
  return MMF_OK;
}

int mmf_norm_backward(const mmf_norm* call) {
  if (!is_valid(*call) || !call->grad_total) return MMF_BAD_ARGUMENT;
  const int64_t d = call->d, tiles = tiles_of(*call);
  float* parts = nullptr;
  if (call->grad_weight) {
    parts = (float*)calloc((size_t)(tiles * d), sizeof(float));
    if (!parts) return MMF_NO_MEMORY;
  }
  run_rows(*call, [&](int64_t row, int64_t tile) {
    backward_row(*call, row, parts ? parts + tile * d : nullptr);
  });
  if (parts) {
    for (int64_t tile = 1; tile < tiles; ++tile)
      for (int64_t c = 0; c < d; ++c) parts[c] += parts[tile * d + c];
    memcpy(call->grad_weight, parts, sizeof(float) * (size_t)d);
  }
  free(parts);
  return MMF_OK;
}
