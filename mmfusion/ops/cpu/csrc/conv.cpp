/* The causal depthwise convolution with bias and SiLU, and its gradients.
 *
 * Work is cut into tiles of tokens and channels that depend on the sizes alone. Inside a
 * tile tokens are walked in the order of the scan, so that `reverse` is a negative step
 * and a row is read while its neighbours are still in the nearest cache. Taps outside a
 * sequence read a row of zeros. A filter of `w` taps and the bias are packed to w + 1
 * rows of channels.
 */
#include <stdlib.h>

#include "simd.h"

namespace {

using namespace mmf;

constexpr int64_t kTokens = 64;    /* of a tile */
constexpr int64_t kChannels = 256; /* of a tile; a multiple of W */
constexpr int kMaxWidth = 8;
constexpr int64_t kWorthThreads = 1 << 15; /* elements, below which one thread is faster */

/* Rows of channels of a tensor in one batch row, in the order in which they are read. */
struct Rows {
  char* first; /* of position 0 of the sequence, at the tile's first channel */
  int64_t step;

  Rows(const mmf_tensor& x, int64_t batch, int64_t token, int64_t channel, bool reverse) {
    int64_t size = x.dtype == MMF_F32 ? 4 : 2;
    int64_t index = batch * x.batch_stride + token * x.time_stride + channel;
    first = (char*)x.data + index * size;
    step = (reverse ? -x.time_stride : x.time_stride) * size;
  }
  char* at(int64_t position) const { return first + position * step; }
};

template <int DTYPE>
MMF_INLINE vf load_at(const char* row, int64_t channel, int count) {
  mmf_tensor x = {(void*)row, 0, 0, 0, DTYPE, 0};
  return load_as_float(x, channel, count);
}

template <int DTYPE>
MMF_INLINE void store_at(char* row, int64_t channel, vf value, int count) {
  mmf_tensor x = {row, 0, 0, 0, DTYPE, 0};
  store_from_float(x, channel, value, count);
}

/* The part of one sequence in a tile: positions `begin` to `end` of `length`. */
struct Stretch {
  int64_t token; /* where position 0 lies */
  int64_t length, begin, end;
};

struct Job {
  const mmf_conv* call;
  int64_t padded;       /* channels, rounded up to whole vectors */
  int64_t token_tiles, channel_tiles;
  const float* filter; /* (w + 1, padded): the taps, oldest first, then the bias */
  float* partial;      /* (b, token_tiles, w + 1, padded): sums for filter and bias */
};

alignas(64) const float kZeros[kChannels] = {};

/* Where the inputs of a position are, the oldest first. */
MMF_INLINE void find_taps(const char** taps, int width, const Rows& x, int64_t position) {
  for (int i = 0; i < width; ++i) {
    int64_t source = position - (width - 1) + i;
    taps[i] = source < 0 ? (const char*)kZeros : x.at(source);
  }
}

/* bias + sum_i weight_i x_i for the vector at `channel` of the tile. */
template <int DTYPE>
MMF_INLINE vf filtered(const char* const* taps, int width, const float* filter,
                       int64_t padded, int64_t channel, int count, vf* inputs) {
  vf sum = load(filter + width * padded + channel);
  for (int i = 0; i < width; ++i) {
    inputs[i] = load_at<DTYPE>(taps[i], channel, count);
    sum += load(filter + i * padded + channel) * inputs[i];
  }
  return sum;
}

template <int DTYPE, int WIDTH, bool SILU>
void forward_stretch(const Job& job, int64_t batch, int64_t channel, int64_t channels,
                     const Stretch& part, float*) {
  const mmf_conv& call = *job.call;
  const int width = WIDTH ? WIDTH : (int)call.w;
  const bool reverse = call.reverse != 0;
  const Rows x(call.x, batch, part.token, channel, reverse);
  const Rows y(call.y, batch, part.token, channel, reverse);
  const float* filter = job.filter + channel;
  for (int64_t position = part.begin; position < part.end; ++position) {
    const char* taps[kMaxWidth];
    find_taps(taps, width, x, position);
    char* out = y.at(position);
    auto step = [&](int64_t c, int count) __attribute__((always_inline)) {
      vf inputs[kMaxWidth];
      vf v = filtered<DTYPE>(taps, width, filter, job.padded, c, count, inputs);
      store_at<DTYPE>(out, c, SILU ? v * sigmoid(v) : v, count);
    };
    int64_t c = 0;
    for (; c + W <= channels; c += W) step(c, W);
    if (c < channels) step(c, (int)(channels - c));
  }
}

MMF_INLINE void add_to_sums(float* sums, int width, int64_t padded, vf inner,
                            const vf* inputs) {
  for (int i = 0; i < width; ++i) {
    float* sum = sums + i * padded;
    store(sum, load(sum) + inner * inputs[i]);
  }
  float* sum = sums + width * padded;
  store(sum, load(sum) + inner);
}

/* grad_x of position p needs the gradient before the activation, `inner`, of positions p
 * to p + w - 1; the last w rows of it are kept in a ring. The w - 1 rows behind the tile
 * are computed for grad_x only: their part in the filter's sums is the next tile's. */
template <int DTYPE, int WIDTH, bool SILU>
void backward_stretch(const Job& job, int64_t batch, int64_t channel, int64_t channels,
                      const Stretch& part, float* sums) {
  const mmf_conv& call = *job.call;
  const int width = WIDTH ? WIDTH : (int)call.w;
  const bool reverse = call.reverse != 0;
  const Rows x(call.x, batch, part.token, channel, reverse);
  const Rows grad_y(call.grad_y, batch, part.token, channel, reverse);
  const Rows grad_x(call.grad_x, batch, part.token, channel, reverse);
  const bool wants_x = call.grad_x.data != nullptr;
  const float* filter = job.filter + channel;
  const int64_t padded = job.padded;
  alignas(64) float ring[kMaxWidth][kChannels];
  memset(ring, 0, sizeof(ring[0]) * (size_t)width);
  const int64_t last = wants_x ? part.end + width - 1 : part.end;
  for (int64_t position = part.begin; position < last; ++position) {
    const bool inside = position < part.end, exists = position < part.length;
    const int64_t target = position - (width - 1);
    const bool emits = wants_x && target >= part.begin;
    const char* taps[kMaxWidth];
    find_taps(taps, width, x, position);
    const char* gradient = grad_y.at(position);
    /* recent[i] is `inner` of position - i */
    float* recent[kMaxWidth];
    for (int i = 0; i < width; ++i) recent[i] = ring[(position - i + width) % width];
    char* out = emits ? grad_x.at(target) : nullptr;
    auto step = [&](int64_t c, int count) __attribute__((always_inline)) {
      vf inner = {}; /* behind the sequence there is no gradient */
      if (exists) {
        vf inputs[kMaxWidth];
        vf v = filtered<DTYPE>(taps, width, filter, padded, c, count, inputs);
        inner = load_at<DTYPE>(gradient, c, count);
        if (SILU) {
          vf s = sigmoid(v);
          inner *= s + v * s * (1.0f - s);
        }
        if (inside && sums) add_to_sums(sums + c, width, padded, inner, inputs);
      }
      if (wants_x) {
        store(recent[0] + c, inner);
        if (emits) {
          vf total = load(filter + c) * inner;
          for (int i = 1; i < width; ++i)
            total += load(filter + i * padded + c) * load(recent[i] + c);
          store_at<DTYPE>(out, c, total, count);
        }
      }
    };
    int64_t c = 0;
    for (; c + W <= channels; c += W) step(c, W);
    if (c < channels) step(c, (int)(channels - c));
  }
}

typedef void (*StretchFunction)(const Job&, int64_t, int64_t, int64_t, const Stretch&,
                                float*);

template <int DTYPE, int WIDTH>
StretchFunction choose(bool backward, bool silu) {
  if (backward)
    return silu ? backward_stretch<DTYPE, WIDTH, true>
                : backward_stretch<DTYPE, WIDTH, false>;
  return silu ? forward_stretch<DTYPE, WIDTH, true> : forward_stretch<DTYPE, WIDTH, false>;
}

/* Mamba's width of 4 is compiled in, others are served by a loop over the taps. */
template <int DTYPE>
StretchFunction choose(int64_t width, bool backward, bool silu) {
  return width == 4 ? choose<DTYPE, 4>(backward, silu) : choose<DTYPE, 0>(backward, silu);
}

StretchFunction choose(const mmf_conv& call, bool backward) {
  const bool silu = call.silu != 0;
  switch (call.x.dtype) {
    case MMF_F32: return choose<MMF_F32>(call.w, backward, silu);
    case MMF_BF16: return choose<MMF_BF16>(call.w, backward, silu);
    case MMF_F16: return choose<MMF_F16>(call.w, backward, silu);
    default: return nullptr;
  }
}

/* Every stretch of every sequence that lies in tokens `from` to `to` of a batch row. */
void run_tile(const Job& job, StretchFunction function, int64_t batch, int64_t tile,
              int64_t channel_tile) {
  const mmf_conv& call = *job.call;
  const int64_t from = tile * kTokens;
  const int64_t to = from + kTokens < call.l ? from + kTokens : call.l;
  const int64_t channel = channel_tile * kChannels;
  const int64_t left = call.d - channel;
  const int64_t channels = left < kChannels ? left : kChannels;
  float* sums = nullptr;
  if (job.partial)
    sums = job.partial + channel +
           (batch * job.token_tiles + tile) * (call.w + 1) * job.padded;
  int64_t start = 0;
  for (int64_t k = 0; k < call.num_sequences && start < to; ++k) {
    const int64_t stop = start + (call.lengths ? call.lengths[k] : call.l);
    const int64_t first = start > from ? start : from, last = stop < to ? stop : to;
    if (first < last) {
      Stretch part = {start, stop - start, first - start, last - start};
      if (call.reverse) part = {stop - 1, stop - start, stop - last, stop - first};
      function(job, batch, channel, channels, part, sums);
    }
    start = stop;
  }
}

void run_tiles(const Job& job, StretchFunction function) {
  const mmf_conv& call = *job.call;
  const int64_t tiles = call.b * job.token_tiles * job.channel_tiles;
  const bool alone = call.num_threads == 1 || call.b * call.l * call.d < kWorthThreads;
  auto run = [&](int64_t index) {
    const int64_t rows = index / job.channel_tiles;
    run_tile(job, function, rows / job.token_tiles, rows % job.token_tiles,
             index % job.channel_tiles);
  };
  if (alone) { /* no OpenMP at all: its threads are lost in a fork */
    for (int64_t i = 0; i < tiles; ++i) run(i);
    return;
  }
#pragma omp parallel for schedule(static) num_threads((int)call.num_threads)
  for (int64_t i = 0; i < tiles; ++i) run(i);
}

void pack_filter(const mmf_conv& call, int64_t padded, float* filter) {
  memset(filter, 0, sizeof(float) * (size_t)((call.w + 1) * padded));
  for (int64_t c = 0; c < call.d; ++c) {
    for (int64_t i = 0; i < call.w; ++i)
      filter[i * padded + c] = call.weight[c * call.w + i];
    filter[call.w * padded + c] = call.bias ? call.bias[c] : 0.0f;
  }
}

/* The tiles' sums in the order of the tiles, whoever computed them. */
void add_partial_sums(const Job& job) {
  const mmf_conv& call = *job.call;
  const int64_t size = (call.w + 1) * job.padded;
  float* total = job.partial;
  for (int64_t tile = 1; tile < call.b * job.token_tiles; ++tile) {
    const float* part = job.partial + tile * size;
    for (int64_t i = 0; i < size; i += W) store(total + i, load(total + i) + load(part + i));
  }
  for (int64_t c = 0; c < call.d; ++c) {
    for (int64_t i = 0; call.grad_weight && i < call.w; ++i)
      call.grad_weight[c * call.w + i] = total[i * job.padded + c];
    if (call.grad_bias) call.grad_bias[c] = total[call.w * job.padded + c];
  }
}

bool is_valid(const mmf_conv& call) {
  if (call.w < 1 || call.w > kMaxWidth) return false;
  if (call.b < 1 || call.l < 1 || call.d < 1 || !call.x.data || !call.weight) return false;
  if (call.num_sequences < 1 || (call.num_sequences > 1 && !call.lengths)) return false;
  int64_t total = call.lengths ? 0 : call.l;
  for (int64_t k = 0; call.lengths && k < call.num_sequences; ++k) {
    if (call.lengths[k] < 0) return false;
    total += call.lengths[k];
  }
  return total == call.l;
}

int run(const mmf_conv& call, bool backward) {
  StretchFunction function = choose(call, backward);
  if (!function || !is_valid(call)) return MMF_BAD_ARGUMENT;
  Job job = {};
  job.call = &call;
  job.padded = (call.d + W - 1) / W * W;
  job.token_tiles = (call.l + kTokens - 1) / kTokens;
  job.channel_tiles = (call.d + kChannels - 1) / kChannels;
  const bool sums = backward && (call.grad_weight || call.grad_bias);
  const size_t size = (size_t)((call.w + 1) * job.padded);
  float* filter = (float*)malloc(sizeof(float) * size);
  if (sums)
    job.partial = (float*)calloc((size_t)(call.b * job.token_tiles) * size, sizeof(float));
  const bool enough = filter && (job.partial || !sums);
  if (enough) {
    pack_filter(call, job.padded, filter);
    job.filter = filter;
    run_tiles(job, function);
    if (sums) add_partial_sums(job);
  }
  free(filter);
  free(job.partial);
  return enough ? MMF_OK : MMF_NO_MEMORY;
}

bool has_dtype_of_x(const mmf_conv& call, const mmf_tensor& other) {
  return !other.data || other.dtype == call.x.dtype;
}

}  // namespace

int mmf_conv_forward(const mmf_conv* call) {
  if (!call->y.data || !has_dtype_of_x(*call, call->y)) return MMF_BAD_ARGUMENT;
  return run(*call, false);
}

int mmf_conv_backward(const mmf_conv* call) {
  if (!call->grad_y.data || !has_dtype_of_x(*call, call->grad_y) ||
      !has_dtype_of_x(*call, call->grad_x))
    return MMF_BAD_ARGUMENT;
  return run(*call, true);
}
