/* The causal depthwise convolution with bias and SiLU, in one direction or both, and its
 * gradients.
 *
 * Work is cut into tiles of tokens and channels that depend on the sizes alone. Inside a
 * tile tokens are walked in the order of the scan, so that `reverse` is a negative step
 * and a row is read while its neighbours are still in the nearest cache. Taps outside
 * the tokens read a row of zeros. A filter of `w` taps and the bias are packed to w + 1
 * rows of channels.
 */
#include <stdlib.h>

#include "simd.h"

namespace {

using namespace mmf;

/* A tile of x is 64 KiB in float32: the second direction, and in the backward grad_x to
 * which it adds, find it in L2. */
constexpr int64_t kTokens = 64;    /* of a tile */
constexpr int64_t kChannels = 256; /* of a tile; a multiple of W */
constexpr int kMaxWidth = 8;

/* Rows of channels of a tensor in one batch row, in the order in which they are read. */
struct Rows {
  char* first; /* of position 0, at the tile's first channel */
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
  mmf_tensor x = {(void*)row, 0, 0, DTYPE, 0};
  return load_as_float(x, channel, count);
}

template <int DTYPE>
MMF_INLINE void store_at(char* row, int64_t channel, vf value, int count) {
  mmf_tensor x = {row, 0, 0, DTYPE, 0};
  store_from_float(x, channel, value, count);
}

/* The tokens of a tile by their positions in the order of the scan. */
struct Stretch {
  int64_t token; /* where position 0 lies */
  int64_t begin, end;
};

struct Job {
  const mmf_conv* call;
  int64_t padded;       /* channels, rounded up to whole vectors */
  int64_t token_tiles, channel_tiles;
  float* filter[2];  /* (w + 1, padded): the taps, oldest first, then the bias */
  float* partial[2]; /* (b, token_tiles, w + 1, padded): sums for filter and bias */
};

/* One direction in one tile of channels. */
struct Part {
  const mmf_conv_direction* direction;
  const float* filter; /* at the tile's first channel, as the sums */
  float* sums;         /* NULL: not wanted */
  bool adds;           /* to what another direction left in grad_x */
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
void forward_stretch(const Job& job, const Part& part, int64_t batch, int64_t channel,
                     int64_t channels, const Stretch& stretch) {
  const mmf_conv& call = *job.call;
  const int width = WIDTH ? WIDTH : (int)call.w;
  const bool reverse = part.direction->reverse != 0;
  const Rows x(call.x, batch, stretch.token, channel, reverse);
  const Rows y(part.direction->y, batch, stretch.token, channel, reverse);
  for (int64_t position = stretch.begin; position < stretch.end; ++position) {
    const char* taps[kMaxWidth];
    find_taps(taps, width, x, position);
    char* out = y.at(position);
    auto step = [&](int64_t c, int count) __attribute__((always_inline)) {
      vf inputs[kMaxWidth];
      vf v = filtered<DTYPE>(taps, width, part.filter, job.padded, c, count, inputs);
      store_at<DTYPE>(out, c, SILU ? v * sigmoid(v) : v, count);
    };
    each_vector(channels, step);
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
void backward_stretch(const Job& job, const Part& part, int64_t batch, int64_t channel,
                      int64_t channels, const Stretch& stretch) {
  const mmf_conv& call = *job.call;
  const int width = WIDTH ? WIDTH : (int)call.w;
  const bool reverse = part.direction->reverse != 0;
  const Rows x(call.x, batch, stretch.token, channel, reverse);
  const Rows grad_y(part.direction->grad_y, batch, stretch.token, channel, reverse);
  const Rows grad_x(call.grad_x, batch, stretch.token, channel, reverse);
  const bool wants_x = call.grad_x.data != nullptr;
  const float* filter = part.filter;
  float* sums = part.sums;
  const int64_t padded = job.padded;
  alignas(64) float ring[kMaxWidth][kChannels];
  memset(ring, 0, sizeof(ring[0]) * (size_t)width);
  const int64_t last = wants_x ? stretch.end + width - 1 : stretch.end;
  for (int64_t position = stretch.begin; position < last; ++position) {
    const bool inside = position < stretch.end, exists = position < call.l;
    const int64_t target = position - (width - 1);
    const bool emits = wants_x && target >= stretch.begin;
    const char* taps[kMaxWidth];
    find_taps(taps, width, x, position);
    const char* gradient = grad_y.at(position);
    /* recent[i] is `inner` of position - i */
    float* recent[kMaxWidth];
    for (int i = 0; i < width; ++i) recent[i] = ring[(position - i + width) % width];
    char* out = emits ? grad_x.at(target) : nullptr;
    auto step = [&](int64_t c, int count) __attribute__((always_inline)) {
      vf inner = {}; /* behind the last token there is no gradient */
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
          if (part.adds) total += load_at<DTYPE>(out, c, count);
          store_at<DTYPE>(out, c, total, count);
        }
      }
    };
    each_vector(channels, step);
  }
}

typedef void (*StretchFunction)(const Job&, const Part&, int64_t, int64_t, int64_t,
                                const Stretch&);

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

/* Both directions of a tile; the second finds it in the cache. */
void run_tile(const Job& job, StretchFunction function, int64_t batch, int64_t tile,
              int64_t channel_tile) {
  const mmf_conv& call = *job.call;
  const int64_t from = tile * kTokens;
  const int64_t to = from + kTokens < call.l ? from + kTokens : call.l;
  const int64_t channel = channel_tile * kChannels;
  const int64_t left = call.d - channel;
  const int64_t channels = left < kChannels ? left : kChannels;
  const int64_t sums = (batch * job.token_tiles + tile) * (call.w + 1) * job.padded;
  for (int64_t i = 0; i < call.num_directions; ++i) {
    Part part = {&call.direction[i], job.filter[i] + channel, nullptr, i > 0};
    if (job.partial[i]) part.sums = job.partial[i] + channel + sums;
    Stretch stretch = {0, from, to};
    if (part.direction->reverse) stretch = {call.l - 1, call.l - to, call.l - from};
    function(job, part, batch, channel, channels, stretch);
  }
}

void run_all(const Job& job, StretchFunction function) {
  const mmf_conv& call = *job.call;
  const int64_t tiles = call.b * job.token_tiles * job.channel_tiles;
  run_tiles(tiles, call.num_threads, call.b * call.l * call.d, [&](int64_t index) {
    const int64_t rows = index / job.channel_tiles;
    run_tile(job, function, rows / job.token_tiles, rows % job.token_tiles,
             index % job.channel_tiles);
  });
}

void pack_filter(const mmf_conv& call, const mmf_conv_direction& direction,
                 int64_t padded, float* filter) {
  memset(filter, 0, sizeof(float) * (size_t)((call.w + 1) * padded));
  for (int64_t c = 0; c < call.d; ++c) {
    for (int64_t i = 0; i < call.w; ++i)
      filter[i * padded + c] = direction.weight[c * call.w + i];
    filter[call.w * padded + c] = direction.bias ? direction.bias[c] : 0.0f;
  }
}

/* The tiles' sums in the order of the tiles, whoever computed them. */
void add_partial_sums(const Job& job, const mmf_conv_direction& direction, float* total) {
  const mmf_conv& call = *job.call;
  const int64_t size = (call.w + 1) * job.padded;
  for (int64_t tile = 1; tile < call.b * job.token_tiles; ++tile) {
    const float* part = total + tile * size;
    for (int64_t i = 0; i < size; i += W) store(total + i, load(total + i) + load(part + i));
  }
  for (int64_t c = 0; c < call.d; ++c) {
    for (int64_t i = 0; direction.grad_weight && i < call.w; ++i)
      direction.grad_weight[c * call.w + i] = total[i * job.padded + c];
    if (direction.grad_bias) direction.grad_bias[c] = total[call.w * job.padded + c];
  }
}

bool is_valid(const mmf_conv& call, bool backward) {
  if (call.w < 1 || call.w > kMaxWidth) return false;
  if (call.b < 1 || call.l < 1 || call.d < 1 || !call.x.data) return false;
  if (call.num_directions < 1 || call.num_directions > 2) return false;
  for (int64_t i = 0; i < call.num_directions; ++i) {
    const mmf_conv_direction& direction = call.direction[i];
    const mmf_tensor& needed = backward ? direction.grad_y : direction.y;
    if (!direction.weight || !needed.data || needed.dtype != call.x.dtype) return false;
  }
  if (backward && call.grad_x.data && call.grad_x.dtype != call.x.dtype) return false;
  return true;
}

int run(const mmf_conv& call, bool backward) {
  StretchFunction function = choose(call, backward);
  if (!function || !is_valid(call, backward)) return MMF_BAD_ARGUMENT;
  Job job = {};
  job.call = &call;
  job.padded = (call.d + W - 1) / W * W;
  job.token_tiles = (call.l + kTokens - 1) / kTokens;
  job.channel_tiles = (call.d + kChannels - 1) / kChannels;
  const size_t size = (size_t)((call.w + 1) * job.padded);
  bool enough = true;
  for (int64_t i = 0; i < call.num_directions; ++i) {
    const mmf_conv_direction& direction = call.direction[i];
    job.filter[i] = (float*)malloc(sizeof(float) * size);
    enough = enough && job.filter[i];
    if (enough) pack_filter(call, direction, job.padded, job.filter[i]);
    if (!backward || !(direction.grad_weight || direction.grad_bias)) continue;
    job.partial[i] =
        (float*)calloc((size_t)(call.b * job.token_tiles) * size, sizeof(float));
    enough = enough && job.partial[i];
  }
  if (enough) run_all(job, function);
  for (int64_t i = 0; i < call.num_directions; ++i) {
    if (enough && job.partial[i])
      add_partial_sums(job, call.direction[i], job.partial[i]);
    free(job.filter[i]);
    free(job.partial[i]);
  }
  return enough ? MMF_OK : MMF_NO_MEMORY;
}

}  // namespace

int mmf_conv_forward(const mmf_conv* call) { return run(*call, false); }

int mmf_conv_backward(const mmf_conv* call) { return run(*call, true); }
