/* Vectors of floats for the CPU kernels: width, loads and stores of any dtype, exp2,
 * softplus, silu; and the loops over vectors and over tiles of work.
 *
 * GNU vector extensions (gcc and clang) give the arithmetic on every CPU; intrinsics
 * stand only where they save whole instructions. Compile with -ffp-contract=fast, so that
 * a * b + c becomes one instruction, and never with -ffast-math: it would fold the
 * rounding trick of exp2_of_product to a constant.
 */
#ifndef MMFUSION_SIMD_H
#define MMFUSION_SIMD_H

#include <stdint.h>
#include <string.h>

#if defined(__x86_64__) || defined(__i386__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#include "mmfusion_ops.h"

#define MMF_INLINE inline __attribute__((always_inline))
#if defined(__clang__)
#define MMF_UNROLL _Pragma("clang loop unroll(full)")
#else
#define MMF_UNROLL _Pragma("GCC unroll 16")
#endif

namespace mmf {
namespace {

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512DQ__) && \
    defined(__AVX512VL__)
#define MMF_AVX512 1
constexpr int W = 16; /* lanes of a vector */
constexpr int kRegisters = 32;
/* Zero-masked intrinsics with all lanes on: gcc 12 warns inside the unmasked ones. */
constexpr __mmask16 kAll = 0xffff;
#elif defined(__AVX2__) && defined(__FMA__)
#define MMF_AVX2 1
constexpr int W = 8;
constexpr int kRegisters = 16;
#else
constexpr int W = 4; /* SSE2, NEON, or what the compiler makes of four floats */
#if defined(__aarch64__)
constexpr int kRegisters = 32;
#else
constexpr int kRegisters = 16;
#endif
#endif

typedef float vf __attribute__((vector_size(W * 4)));
typedef int32_t vi __attribute__((vector_size(W * 4)));
typedef uint32_t vu __attribute__((vector_size(W * 4)));
typedef uint16_t vh __attribute__((vector_size(W * 2)));
typedef float vf_unaligned __attribute__((vector_size(W * 4), aligned(4), may_alias));
typedef uint16_t vh_unaligned __attribute__((vector_size(W * 2), aligned(2), may_alias));

MMF_INLINE vf splat(float x) { return x - vf{}; } /* not +: it would change -0 */
MMF_INLINE vi bits(vf x) { return (vi)x; }
MMF_INLINE vf from_bits(vi x) { return (vf)x; }
MMF_INLINE vf load(const float* p) { return *(const vf_unaligned*)p; }
MMF_INLINE void store(float* p, vf x) { *(vf_unaligned*)p = x; }
MMF_INLINE vf maximum(vf a, vf b) { return a > b ? a : b; }
MMF_INLINE vf minimum(vf a, vf b) { return a < b ? a : b; }
MMF_INLINE vf absolute(vf x) { return from_bits(bits(x) & 0x7fffffff); }

/* The first `count` of W floats; the other lanes are 0. */
MMF_INLINE vf load_some(const float* p, int count) {
  if (count == W) return load(p);
  vf x = {};
  memcpy(&x, p, (size_t)count * sizeof(float));
  return x;
}

MMF_INLINE void store_some(float* p, vf x, int count) {
  if (count == W) return store(p, x);
  memcpy(p, &x, (size_t)count * sizeof(float));
}

/* ---- 16-bit floats. Rounding is to nearest, ties to even, as torch's. ---- */

MMF_INLINE vf from_bf16(vh x) {
  return (vf)(__builtin_convertvector(x, vu) << 16);
}

MMF_INLINE vh to_bf16(vf x) {
  vu b = (vu)x;
  vu rounded = (b + 0x7fffu + ((b >> 16) & 1u)) >> 16;
  vu nan = (b >> 16) | 0x40u; /* adding could carry a NaN into infinity */
  return __builtin_convertvector((vu)(x == x ? (vi)rounded : (vi)nan), vh);
}

MMF_INLINE vf from_f16(vh x) {
#if defined(MMF_AVX512)
  return (vf)_mm512_maskz_cvtph_ps(kAll, (__m256i)x);
#elif defined(MMF_AVX2) && defined(__F16C__)
  return (vf)_mm256_cvtph_ps((__m128i)x);
#else
  vu h = __builtin_convertvector(x, vu);
  vu sign = (h & 0x8000u) << 16, b = (h & 0x7fffu) << 13, exponent = b & 0x0f800000u;
  b += 112u << 23;
  vu special = b + (112u << 23); /* infinity or NaN */
  vf tiny = (vf)(b + (1u << 23)) - 0x1p-14f; /* subnormal: normalised by a subtraction */
  b = exponent == 0x0f800000u ? special : b;
  b = exponent == 0u ? (vu)tiny : b;
  return (vf)(b | sign);
#endif
}

MMF_INLINE vh to_f16(vf x) {
#if defined(MMF_AVX512)
  return (vh)_mm512_maskz_cvtps_ph(kAll, (__m512)x, _MM_FROUND_TO_NEAREST_INT);
#elif defined(MMF_AVX2) && defined(__F16C__)
  return (vh)_mm256_cvtps_ph((__m256)x, _MM_FROUND_TO_NEAREST_INT);
#else
  vu b = (vu)x, sign = (b >> 16) & 0x8000u;
  b &= 0x7fffffffu;
  /* subnormal results: the sum's rounding drops the bits that f16 lacks */
  vu tiny = (vu)((vf)b + 0.5f) - 0x3f000000u;
  vu normal = (b - (112u << 23) + 0xfffu + ((b >> 13) & 1u)) >> 13;
  vu h = b < (113u << 23) ? tiny : normal;
  h = b >= (143u << 23) ? vu{} + 0x7c00u : h; /* 65536 and above */
  h = b > 0x7f800000u ? vu{} + 0x7e00u : h;
  return __builtin_convertvector(h | sign, vh);
#endif
}

MMF_INLINE const char* element(const mmf_tensor& x, int64_t index) {
  return (const char*)x.data + index * (x.dtype == MMF_F32 ? 4 : 2);
}

/* W elements from `index` on, as floats; lanes from `count` on are 0. */
MMF_INLINE vf load_as_float(const mmf_tensor& x, int64_t index, int count) {
  const char* p = element(x, index);
  if (x.dtype == MMF_F32) return load_some((const float*)p, count);
  vh half = {};
  if (count == W)
    half = *(const vh_unaligned*)p;
  else
    memcpy(&half, p, (size_t)count * 2);
  return x.dtype == MMF_BF16 ? from_bf16(half) : from_f16(half);
}

MMF_INLINE void store_from_float(const mmf_tensor& x, int64_t index, vf value, int count) {
  char* p = (char*)element(x, index);
  if (x.dtype == MMF_F32) return store_some((float*)p, value, count);
  vh half = x.dtype == MMF_BF16 ? to_bf16(value) : to_f16(value);
  if (count == W)
    *(vh_unaligned*)p = half;
  else
    memcpy(p, &half, (size_t)count * 2);
}

/* ---- Exponentials ----
 *
 * e^(delta A) is 2^(delta rate), where rate = A log2(e) is made once for each state: that
 * saves the multiplication by log2(e), and the reduction of the argument needs no ln 2.
 * 2^x = 2^k 2^(j/N) 2^r with k + j/N = x rounded to a multiple of 1/N: 2^k is put into the
 * exponent's bits, 2^(j/N) is looked up in registers (N = 32 with AVX-512, 8 with AVX2, else
 * 1: no table), 2^r is a polynomial fitted over |r| <= 1/(2N), near the series'
 * ln(2)^i / i!; its constant is 1, so that a delta of 0 leaves the state as it is. AVX-512's
 * own instructions for r and for 2^k take twice as long on Zen 4 as a multiply-add.
 */

/* 2^x; t holds x rounded as a multiple of 1 / 2^FRACTION_BITS in the low bits of its
 * mantissa, and r is the rest. Relative error 1e-7, exactly 1 at 0. The entries' bits lack
 * what adding t, shifted to the exponent, brings in. (power r) p would end earlier than
 * power (r p), but loses the digits of results under 1e-30, where power r is subnormal. */
#if defined(MMF_AVX512)
constexpr int kFractionBits = 5;
MMF_INLINE vf exp2_from_parts(vf t, vf r) {
  const vi low = {0x3f800000, 0x3f7ecd87, 0x3f7daac3, 0x3f7c980f, 0x3f7b95c2, 0x3f7aa43a,
                  0x3f79c3d3, 0x3f78f4f0, 0x3f7837f0, 0x3f778d3a, 0x3f76f532, 0x3f767043,
                  0x3f75fed7, 0x3f75a15b, 0x3f75583f, 0x3f7523f6};
  const vi high = {0x3f7504f3, 0x3f74fbaf, 0x3f7508a4, 0x3f752c4d, 0x3f75672a, 0x3f75b9be,
                   0x3f76248c, 0x3f76a81e, 0x3f7744fd, 0x3f77fbb8, 0x3f78ccdf, 0x3f79b907,
                   0x3f7ac0c7, 0x3f7be4ba, 0x3f7d257d, 0x3f7e83b3};
  vi root = (vi)_mm512_permutex2var_epi32((__m512i)low, (__m512i)t, (__m512i)high);
  vf power = from_bits(root + (bits(t) << 18));
  vf p = r * 2.402265300e-01f + 6.931573300e-01f;
  return power * (r * p) + power;
}
#elif defined(MMF_AVX2)
constexpr int kFractionBits = 3;
MMF_INLINE vf exp2_from_parts(vf t, vf r) {
  const __m256i table = _mm256_setr_epi32(
      0x3f800000, 0x3f8b95c2 - 0x100000, 0x3f9837f0 - 0x200000, 0x3fa5fed7 - 0x300000,
      0x3fb504f3 - 0x400000, 0x3fc5672a - 0x500000, 0x3fd744fd - 0x600000,
      0x3feac0c7 - 0x700000);
  vi root = (vi)_mm256_permutevar8x32_epi32(table, (__m256i)t);
  vf power = from_bits(root + (bits(t) << 20));
  vf p = r * 5.549904704e-02f + 2.402572781e-01f;
  p = p * r + 6.931471825e-01f;
  return power * (r * p) + power;
}
#else
constexpr int kFractionBits = 0;
MMF_INLINE vf exp2_from_parts(vf t, vf r) {
  vf p = r * 1.327213948e-03f + 9.671265259e-03f;
  p = p * r + 5.550706759e-02f;
  p = p * r + 2.402224690e-01f;
  p = p * r + 6.931470037e-01f;
  p = p * r + 1.0f;
  return from_bits(bits(p) + (bits(t) << 23));
}
#endif

/* 2^(a b) where -127 <= a b <= 127: the exponent is put together from integers and would
 * wrap. Below 2^-126 it is a subnormal number, not the right one; NaN stays NaN. */
MMF_INLINE vf exp2_in_range(vf a, vf b) {
  /* Adding 1.5 * 2^23 rounds to an integer and leaves it in the low bits. */
  const vf magic = splat(12582912.0f / (1 << kFractionBits));
  vf x = a * b;
#if defined(MMF_AVX512)
  asm("" : "+v"(x)); /* no multiply-adds: Zen 4 has other units for sums */
#endif
  vf t = x + magic;
  return exp2_from_parts(t, x - (t - magic));
}

/* 2^(a b); below 2^-126 it is 0, from 2^128 on infinity, and NaN stays NaN. With CLAMP
 * false the caller knows that |a b| <= 126, which saves the comparisons. */
template <bool CLAMP>
MMF_INLINE vf exp2_of_product(vf a, vf b) {
  if (!CLAMP) return exp2_in_range(a, b);
  vf x = a * b;
  vf limited = x < -127.0f ? splat(-127.0f) : x;
  limited = limited > 128.0f ? splat(128.0f) : limited;
  vf over = limited > 127.0f ? splat(1.0f) : vf{}; /* may round to 128, which has no bits */
  vf p = exp2_in_range(limited - over, splat(1.0f)) * (over + 1.0f);
  return x < -126.0f ? vf{} : p;
}

constexpr float kLog2E = 1.44269504f, kLn2 = 0.693147181f;

MMF_INLINE vf exponential(vf x) { return exp2_of_product<true>(x, splat(kLog2E)); }

/* e^-|x|; where it leaves the normal numbers, from |x| = 87.3 on, less than 1.2e-38. */
MMF_INLINE vf exponential_of_minus_abs(vf x) {
  vf y = absolute(x);
  return exp2_in_range(y > 88.0f ? splat(88.0f) : y, splat(-kLog2E)); /* NaN stays */
}

MMF_INLINE vf reciprocal(vf x) {
#if defined(MMF_AVX512)
  /* 14 bits and one Newton step; infinity would give NaN in the step */
  vf r = (vf)_mm512_maskz_rcp14_ps(kAll, (__m512)x);
  vf better = r * (2.0f - x * r);
  return x < 1e37f ? better : r;
#else
  return 1.0f / x;
#endif
}

/* 1 / (1 + e^-x); e^-|x| is given. Keeps relative precision for very negative x. */
MMF_INLINE vf sigmoid_of(vf x, vf exp_minus_abs) {
  vf r = reciprocal(1.0f + exp_minus_abs);
  return x < 0.0f ? exp_minus_abs * r : r;
}

MMF_INLINE vf sigmoid(vf x) { return sigmoid_of(x, exponential_of_minus_abs(x)); }

/* log(1 + e^x); e^-|x| is given. max(x, 0) + log1p(e^-|x|) neither overflows nor loses
 * small values, and above x = 20 equals x as torch's threshold has it. */
MMF_INLINE vf softplus_of(vf x, vf exp_minus_abs) {
  vf y = exp_minus_abs, y2 = y * y; /* log1p(y) = y p(y) on 0..1, relative error 3e-8 */
  vf low = (y * -4.999949336e-01f + 9.999999404e-01f) +
           (y * -2.484298199e-01f + 3.331909776e-01f) * y2;
  vf high = (y * -1.366324276e-01f + 1.910600513e-01f) +
            (y * -2.950521931e-02f + 7.822591811e-02f) * y2;
  vf p = (high + y2 * y2 * 5.232689902e-03f) * (y2 * y2) + low;
  vf positive = x < 0.0f ? vf{} : x; /* NaN stays */
  return y * p + positive;
}

/* ---- Across lanes ---- */

/* Lanes 0, 2, 4, ... of a, then those of b; and lanes 1, 3, 5, ... */
#if defined(__clang__) || __GNUC__ >= 12
#define MMF_SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define MMF_SHUFFLE(a, b, ...) __builtin_shuffle(a, b, vi{__VA_ARGS__})
#endif
MMF_INLINE vf even_lanes(vf a, vf b) {
#if defined(MMF_AVX512)
  return MMF_SHUFFLE(a, b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
#elif defined(MMF_AVX2)
  return MMF_SHUFFLE(a, b, 0, 2, 4, 6, 8, 10, 12, 14);
#else
  return MMF_SHUFFLE(a, b, 0, 2, 4, 6);
#endif
}
MMF_INLINE vf odd_lanes(vf a, vf b) {
#if defined(MMF_AVX512)
  return MMF_SHUFFLE(a, b, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
#elif defined(MMF_AVX2)
  return MMF_SHUFFLE(a, b, 1, 3, 5, 7, 9, 11, 13, 15);
#else
  return MMF_SHUFFLE(a, b, 1, 3, 5, 7);
#endif
}

MMF_INLINE vf sums_of_pairs(vf a, vf b) { return even_lanes(a, b) + odd_lanes(a, b); }

/* Lane i of the result is the sum over the lanes of x[i], for COUNT = W vectors; for fewer
 * it is W / COUNT lanes for each, still to be summed. */
template <int COUNT = W>
MMF_INLINE vf sums_of_lanes(const vf* x) {
  return sums_of_pairs(sums_of_lanes<COUNT / 2>(x), sums_of_lanes<COUNT / 2>(x + COUNT / 2));
}
template <>
MMF_INLINE vf sums_of_lanes<1>(const vf* x) {
  return x[0];
}

/* While it lives, subnormal numbers count as 0 on this thread: a state that fades away
 * would otherwise cost a hundred times more per step. */
class FlushSubnormals {
 public:
#if defined(__SSE2__)
  FlushSubnormals() : saved_(_mm_getcsr()) { _mm_setcsr(saved_ | 0x8040u); }
  ~FlushSubnormals() { _mm_setcsr(saved_); }

 private:
  unsigned saved_;
#else
  FlushSubnormals() {}
  ~FlushSubnormals() {}
#endif
};

/* Calls body(index, lanes) for each vector of a row of `count` elements. */
template <class Body>
MMF_INLINE void each_vector(int64_t count, Body body) {
  int64_t i = 0;
  for (; i + W <= count; i += W) body(i, W);
  if (i < count) body(i, (int)(count - i));
}

constexpr int64_t kWorthThreads = 1 << 15; /* elements, below which one thread is faster */

/* body(tile) for each tile; few elements without OpenMP, whose threads a fork loses. */
template <class Body>
void run_tiles(int64_t tiles, int64_t threads, int64_t elements, Body body) {
  if (threads == 1 || elements < kWorthThreads) {
    FlushSubnormals flush;
    for (int64_t i = 0; i < tiles; ++i) body(i);
    return;
  }
#pragma omp parallel num_threads((int)threads)
  {
    FlushSubnormals flush;
#pragma omp for schedule(static)
    for (int64_t i = 0; i < tiles; ++i) body(i);
  }
}

}  // namespace
}  // namespace mmf

#endif
