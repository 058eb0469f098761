/* What the forward and the backward scan share: the split of the work, the layout of the
 * scratch, and the moves between tensors and scratch.
 *
 * One work item is one block of channels of one batch row; it runs alone over all chunks
 * of kSteps tokens. The lanes of a vector are channels: the recurrence is sequential in
 * time and independent between channels, so no lane waits for another, and B_t and C_t,
 * which all channels share, are broadcast. The split depends on the shape only, never on
 * the number of threads, and sums over items are made in their order: so the same bits
 * come out for any number of threads.
 *
 * Sizes of the tiles: with vectors of 16 lanes the forward's steps of a chunk are 6 KiB;
 * the backward's trace of kStateUnit states over a chunk is 34 KiB and lies in L1, the
 * steps of a block of 96 channels are 72 KiB and lie in L2. What is kept for a backward,
 * one state a chunk of 32 tokens, is half the size of u at n = 16.
 */
#ifndef MMFUSION_SCAN_H
#define MMFUSION_SCAN_H

#include <stdlib.h>
#include <omp.h>

#include "simd.h"

namespace mmf {
namespace {

constexpr int kSteps = 32;         /* tokens of a chunk, from one checkpoint to the next */
constexpr int kBlockChannels = 96; /* at most so many channels make a work item */
constexpr int kStateUnit = 4;      /* states are padded to a multiple of this */
constexpr int kMaxStates = 256;
constexpr float kHuge = 3e38f;

struct Item {
  int64_t batch;
  int64_t channel; /* the first one */
  int count;       /* channels */
  int vectors;     /* that hold them; the last may be part empty */
};

struct Layout {
  int64_t vectors;       /* that hold the d channels */
  int64_t blocks;        /* they are split into */
  int64_t items;         /* b blocks */
  int64_t max_vectors;   /* of one block */
  int64_t padded_states; /* n, rounded up to kStateUnit */
  int64_t checkpoints;   /* of one batch row */
  int64_t rank;          /* of dt where delta is computed from it, else 0 */
};

MMF_INLINE int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

/* The state before the first token is known, so the first chunk needs none. */
inline int64_t checkpoints_of(int64_t length) { return ceil_div(length, kSteps) - 1; }

inline bool is_valid(const mmf_scan& call) {
  if (call.b < 1 || call.l < 1 || call.d < 1 || call.n < 1 || call.n > kMaxStates)
    return false;
  if (call.num_directions < 1 || call.num_directions > 2) return false;
  for (int64_t i = 0; i < call.num_directions; ++i) {
    const mmf_scan_direction& dir = call.direction[i];
    const bool has_dt = dir.dt.data && dir.dt_weight && dir.rank >= 1;
    if (!dir.delta.data && !has_dt) return false;
    if (!dir.u.data || !dir.B.data || !dir.C.data || !dir.A) return false;
  }
  return true;
}

inline Layout make_layout(const mmf_scan& call) {
  Layout w = {};
  w.vectors = ceil_div(call.d, W);
  w.blocks = ceil_div(w.vectors * W, kBlockChannels);
  w.max_vectors = ceil_div(w.vectors, w.blocks);
  w.items = call.b * w.blocks;
  w.padded_states = ceil_div(call.n, kStateUnit) * kStateUnit;
  w.checkpoints = checkpoints_of(call.l);
  for (int64_t i = 0; i < call.num_directions; ++i) {
    const mmf_scan_direction& dir = call.direction[i];
    if (!dir.delta.data && dir.rank > w.rank) w.rank = dir.rank;
  }
  return w;
}

inline Item make_item(const mmf_scan& call, const Layout& w, int64_t index) {
  Item item;
  int64_t block = index % w.blocks;
  item.batch = index / w.blocks;
  int64_t first = block * w.vectors / w.blocks;
  int64_t end = (block + 1) * w.vectors / w.blocks;
  int64_t stop = end * W < call.d ? end * W : call.d;
  item.channel = first * W;
  item.count = (int)(stop - first * W);
  item.vectors = (int)(end - first);
  return item;
}

/* Channels in vector v of the item. */
MMF_INLINE int lanes_of(const Item& item, int v) {
  int left = item.count - v * W;
  return left < W ? left : W;
}

/* One chunk of tokens in the order of scanning. */
struct Chunk {
  int64_t token;  /* the first one scanned */
  int64_t stride; /* +1 or -1 */
  int steps;
};

inline Chunk make_chunk(int64_t length, bool reverse, int64_t index) {
  int64_t first = index * kSteps, left = length - first;
  Chunk chunk;
  chunk.steps = (int)(left < kSteps ? left : kSteps);
  chunk.stride = reverse ? -1 : 1;
  chunk.token = reverse ? length - 1 - first : first;
  return chunk;
}

/* Index of the item's first channel at one token of a (b, l, d) tensor. */
MMF_INLINE int64_t index_of(const mmf_tensor& x, const Item& item, int64_t token) {
  return item.batch * x.batch_stride + token * x.time_stride + item.channel;
}

/* A log2(e), state by state: rates[v * padded_states + s]. Returns in limits[v] the
 * largest |rate| of each channel, by which exp2_of_product's range is judged. Padding is
 * tiny, not 0, which an infinite delta would make NaN; a huge A stays finite likewise. */
inline void pack_rates(const mmf_scan& call, const Layout& w, const Item& item,
                       const mmf_scan_direction& dir, vf* rates, vf* limits) {
  const int64_t n = call.n;
  for (int v = 0; v < item.vectors; ++v) {
    vf limit = {};
    for (int64_t s = 0; s < w.padded_states; ++s) {
      vf rate = splat(-1e-30f), a = {};
      if (s < n) {
        for (int i = 0; i < lanes_of(item, v); ++i)
          a[i] = dir.A[(item.channel + v * W + i) * n + s];
        if (dir.A_is_log) a = -exponential(a);
        for (int i = 0; i < lanes_of(item, v); ++i) rate[i] = a[i] * kLog2E;
      }
      rate = rate < -kHuge ? splat(-kHuge) : rate;
      rates[v * w.padded_states + s] = rate;
      vf size = absolute(rate);
      limit = size <= limit ? limit : size; /* a NaN stays */
    }
    limits[v] = limit;
  }
}

/* Whether |delta rate| <= 126 for every channel; false for NaN. */
MMF_INLINE bool is_in_range(vf largest_delta, vf limit) {
  vi bad = largest_delta * limit <= 126.0f ? vi{} : vi{} + 1;
  int32_t any = 0;
  for (int i = 0; i < W; ++i) any |= bad[i];
  return any == 0;
}

/* From (d, n), row by row, to state[v * padded_states + s]; NULL is zeros. */
inline void read_state(const mmf_scan& call, const Layout& w, const Item& item,
                       const float* from, vf* state) {
  const int64_t n = call.n;
  for (int64_t i = 0; i < item.vectors * w.padded_states; ++i) state[i] = vf{};
  if (!from) return;
  from += (item.batch * call.d + item.channel) * n;
  for (int c = 0; c < item.count; ++c)
    for (int64_t s = 0; s < n; ++s)
      state[c / W * w.padded_states + s][c % W] = from[c * n + s];
}

inline void write_state(const mmf_scan& call, const Layout& w, const Item& item,
                        const vf* state, float* to) {
  const int64_t n = call.n;
  to += (item.batch * call.d + item.channel) * n;
  for (int c = 0; c < item.count; ++c)
    for (int64_t s = 0; s < n; ++s)
      to[c * n + s] = state[c / W * w.padded_states + s][c % W];
}

/* Where the item's part of a checkpoint lies: vector by vector, without padding. */
inline float* checkpoint_of(const mmf_scan& call, const Layout& w, const Item& item,
                            float* checkpoints, int64_t chunk) {
  int64_t row = item.batch * w.checkpoints + chunk - 1;
  return checkpoints + (row * call.d + item.channel) * call.n;
}

inline void save_checkpoint(const mmf_scan& call, const Layout& w, const Item& item,
                            const vf* state, float* to) {
  for (int v = 0; v < item.vectors; ++v)
    for (int64_t s = 0; s < call.n; ++s, to += lanes_of(item, v))
      store_some(to, state[v * w.padded_states + s], lanes_of(item, v));
}

inline void load_checkpoint(const mmf_scan& call, const Layout& w, const Item& item,
                            const float* from, vf* state) {
  for (int v = 0; v < item.vectors; ++v)
    for (int64_t s = 0; s < w.padded_states; ++s) {
      vf x = {};
      if (s < call.n) x = load_some(from, lanes_of(item, v)), from += lanes_of(item, v);
      state[v * w.padded_states + s] = x;
    }
}

/* Rows of B and C side by side: rows[t * 2 padded_states ...] is B_t, then C_t; the
 * padding is 0, so that padded states stay 0 and count for nothing. */
inline void load_rows(const mmf_scan& call, const Layout& w, const Item& item,
                      const mmf_scan_direction& dir, const Chunk& chunk, float* rows) {
  const int n = (int)call.n;
  for (int t = 0; t < chunk.steps; ++t) {
    int64_t token = chunk.token + t * chunk.stride;
    for (int which = 0; which < 2; ++which, rows += w.padded_states) {
      const mmf_tensor& x = which ? dir.C : dir.B;
      int64_t index = item.batch * x.batch_stride + token * x.time_stride;
      each_vector(n, [&](int64_t s, int lanes) __attribute__((always_inline)) {
        store_some(rows + s, load_as_float(x, index + s, lanes), lanes);
      });
      for (int s = n; s < (int)w.padded_states; ++s) rows[s] = 0.0f;
    }
  }
}

/* Vector v of D or delta_bias; NULL is zeros. */
MMF_INLINE vf channels_of(const float* x, const Item& item, int v, int lanes) {
  return x ? load_some(x + item.channel + v * W, lanes) : vf{};
}

/* Threads for so many items, of those that the caller asks for. */
inline int num_threads(int64_t asked, int64_t items) {
  return (int)(asked < items ? asked : items);
}

/* One vector of channels over the tokens of a chunk, read as floats: in place where the
 * tensor holds just that, else from a copy in `buffer`. */
class Column {
 public:
  Column() : at_(nullptr), stride_(0) {}
  explicit Column(const vf* buffer) : at_((const char*)buffer), stride_(sizeof(vf)) {}
  Column(const mmf_tensor& x, const Item& item, const Chunk& chunk, int v, vf* buffer) {
    const int lanes = lanes_of(item, v);
    int64_t index = index_of(x, item, chunk.token) + v * W;
    const int64_t step = chunk.stride * x.time_stride;
    if (x.dtype == MMF_F32 && lanes == W) {
      at_ = element(x, index);
      stride_ = step * 4;
      return;
    }
    for (int t = 0; t < chunk.steps; ++t, index += step)
      buffer[t] = load_as_float(x, index, lanes);
    at_ = (const char*)buffer;
    stride_ = sizeof(vf);
  }
  MMF_INLINE vf operator[](int t) const { return load((const float*)(at_ + t * stride_)); }

 private:
  const char* at_;
  int64_t stride_;
};

/* dt's weight, channel by channel to weights[v * rank + r]. */
inline void pack_dt_weight(const Item& item, const mmf_scan_direction& dir, vf* weights) {
  if (dir.delta.data) return;
  for (int v = 0; v < item.vectors; ++v)
    for (int64_t r = 0; r < dir.rank; ++r) {
      vf x = {};
      for (int i = 0; i < lanes_of(item, v); ++i)
        x[i] = dir.dt_weight[(item.channel + v * W + i) * dir.rank + r];
      weights[v * dir.rank + r] = x;
    }
}

/* Rows of dt: dt[t * rank + r]. */
inline void load_dt(const Item& item, const mmf_scan_direction& dir, const Chunk& chunk,
                    float* dt) {
  if (dir.delta.data) return;
  const int rank = (int)dir.rank;
  for (int t = 0; t < chunk.steps; ++t, dt += rank) {
    const int64_t token = chunk.token + t * chunk.stride;
    const int64_t index = item.batch * dir.dt.batch_stride + token * dir.dt.time_stride;
    for (int r = 0; r < rank; r += W) {
      const int lanes = rank - r < W ? rank - r : W;
      store_some(dt + r, load_as_float(dir.dt, index + r, lanes), lanes);
    }
  }
}

/* delta of vector v before its bias: read, or dt times its weight, four tokens at once,
 * into `buffer`; the tokens behind the chunk's last are not used. */
inline Column delta_column(const Item& item, const mmf_scan_direction& dir,
                           const Chunk& chunk, int v, const float* dt, const vf* weights,
                           vf* buffer) {
  if (dir.delta.data) return Column(dir.delta, item, chunk, v, buffer);
  static_assert(kSteps % 4 == 0, "a chunk is whole groups of four tokens");
  const int64_t rank = dir.rank;
  weights += v * rank;
  for (int t = 0; t < chunk.steps; t += 4, dt += 4 * rank) {
    vf sum[4] = {};
    for (int64_t r = 0; r < rank; ++r)
      MMF_UNROLL for (int i = 0; i < 4; ++i) sum[i] += weights[r] * dt[i * rank + r];
    MMF_UNROLL for (int i = 0; i < 4; ++i) buffer[t + i] = sum[i];
  }
  return Column(buffer);
}

/* The same for writing; finish() converts what `buffer` took in. */
class OutColumn {
 public:
  OutColumn(const mmf_tensor& x, const Item& item, const Chunk& chunk, int v, vf* buffer)
      : x_(x), buffer_(nullptr), steps_(chunk.steps), lanes_(lanes_of(item, v)) {
    index_ = index_of(x, item, chunk.token) + v * W;
    step_ = chunk.stride * x.time_stride;
    at_ = (char*)element(x, index_);
    stride_ = step_ * 4;
    if (x.dtype == MMF_F32 && lanes_ == W) return;
    buffer_ = buffer;
    at_ = (char*)buffer;
    stride_ = sizeof(vf);
  }
  MMF_INLINE void put(int t, vf value) const { store((float*)(at_ + t * stride_), value); }
  void finish() const {
    if (!buffer_) return;
    for (int t = 0; t < steps_; ++t)
      store_from_float(x_, index_ + t * step_, buffer_[t], lanes_);
  }

 private:
  const mmf_tensor& x_;
  vf* buffer_;
  int steps_, lanes_;
  int64_t index_, step_, stride_;
  char* at_;
};

/* Fetches rows that the next chunk will need, one cache line of each tensor a token, from
 * inside the loops over this chunk's tokens. */
template <int COUNT>
class Ahead {
 public:
  Ahead() {
    for (int i = 0; i < COUNT; ++i) at_[i] = (const char*)this, stride_[i] = 0;
  }
  void set(int i, const mmf_tensor& x, const Item& item, const Chunk& next, int v) {
    const int64_t size = x.dtype == MMF_F32 ? 4 : 2;
    if (v * W * size % 64) return; /* the line of an earlier vector */
    at_[i] = element(x, index_of(x, item, next.token) + v * W);
    stride_[i] = next.stride * x.time_stride * size;
  }
  MMF_INLINE void fetch() {
    for (int i = 0; i < COUNT; ++i) {
      __builtin_prefetch(at_[i], 0, 2);
      at_[i] += stride_[i];
    }
  }

 private:
  const char* at_[COUNT];
  int64_t stride_[COUNT];
};

/* Cuts scratch out of one piece of memory; with NULL it only counts. */
struct Carver {
  char* next;

  template <class T>
  void take(T*& pointer, int64_t count) {
    pointer = (T*)next;
    next += count * (int64_t)sizeof(T);
  }
  /* Whole cache lines, an odd number: the next thread's scratch does not start at a
   * multiple of 4096 from this one. */
  int64_t bytes(const char* start) const {
    return ceil_div(next - start, 128) * 128 + 64;
  }
};

/* Memory on cache lines; NULL when there is none. */
inline void* allocate(size_t bytes) {
  void* p = nullptr;
  return posix_memalign(&p, 64, bytes ? bytes : 64) == 0 ? p : nullptr;
}

}  // namespace
}  // namespace mmf

#endif
