// What this machine can do at best, for the floor of the CPU scan: multiply-adds, the
// kernels' own exp2, and copies from each level of memory. Build it with the same flags as
// the kernels, from the repository root:
//
//   g++ -std=c++17 -O3 -march=native -ffp-contract=fast -fopenmp tools/benchmarks/floor.cpp -o floor
//   ./floor 2        # threads; one JSON object on stdout
#include <omp.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "../../mmfusion/ops/cpu/csrc/simd.h"

namespace {

using mmf::vf;
using mmf::W;

#define REPEAT12(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)
#if defined(__x86_64__)
#define IN_REGISTER(x) asm volatile("" : "+v"(x))
#else
#define IN_REGISTER(x) asm volatile("" : "+w"(x))
#endif

double seconds() {
  using namespace std::chrono;
  return duration<double>(steady_clock::now().time_since_epoch()).count();
}

// Calls of `work` a second, all threads together: the median of 9 rounds of about 20 ms.
template <class Work>
double rate(int threads, Work work) {
  long calls = 1;
  std::vector<double> rates;
  while (rates.size() < 9) {
    double start = seconds();
#pragma omp parallel num_threads(threads)
    {
      const int thread = omp_get_thread_num();
      for (long i = 0; i < calls; ++i) work(thread);
    }
    double spent = seconds() - start;
    if (spent < 0.02 && rates.empty())
      calls *= 2;
    else
      rates.push_back(double(calls) * threads / spent);
  }
  std::sort(rates.begin(), rates.end());
  return rates[rates.size() / 2];
}

// 12 independent chains hide the latency; they fit in 16 registers.
void multiply_add(int) {
#define DECLARE(i) vf x##i = mmf::splat(1.0f + i);
  REPEAT12(DECLARE)
  const vf a = mmf::splat(0.999f), b = mmf::splat(0.001f);
  for (int k = 0; k < 1000; ++k) {
#define STEP(i) x##i = x##i * a + b; IN_REGISTER(x##i);
    REPEAT12(STEP)
  }
}

void exp2_of_products(int) {
  static const vf rate = mmf::splat(-0.37f);
  REPEAT12(DECLARE)
  for (int k = 0; k < 1000; ++k) {
#define EXP2(i) x##i = mmf::exp2_of_product<false>(x##i, rate); IN_REGISTER(x##i);
    REPEAT12(EXP2)
  }
}

// Bytes read and written a second; each thread copies its own part of `bytes`.
double copy_rate(int threads, size_t bytes) {
  const size_t part = bytes / threads / 2 / sizeof(vf) * sizeof(vf), count = part / sizeof(vf);
  std::vector<vf*> from(threads), to(threads);
#pragma omp parallel num_threads(threads)
  {
    const int i = omp_get_thread_num();
    from[i] = (vf*)aligned_alloc(64, (part + 63) / 64 * 64);
    to[i] = (vf*)aligned_alloc(64, (part + 63) / 64 * 64);
    for (size_t k = 0; k < count; ++k) from[i][k] = to[i][k] = vf{};
  }
  double calls = rate(threads, [&](int i) {
    for (size_t k = 0; k < count; ++k) {
      vf x = from[i][k];
      IN_REGISTER(x);
      to[i][k] = x;
    }
  });
  for (int i = 0; i < threads; ++i) free(from[i]), free(to[i]);
  return calls * 2 * part;
}

}  // namespace

int main(int argc, char** argv) {
  const int threads = argc > 1 ? atoi(argv[1]) : omp_get_max_threads();
  if (threads < 1) return fprintf(stderr, "usage: floor [threads >= 1]\n"), 2;
  const double lanes = 12.0 * 1000 * W * 1e-9, giga = 1e-9, mega = 1 << 20;
  printf("{\"threads\": %d, \"lanes\": %d, ", threads, W);
  printf("\"fma_glanes\": %.1f, ", rate(threads, multiply_add) * lanes);
  printf("\"exp2_glanes\": %.1f, ", rate(threads, exp2_of_products) * lanes);
  printf("\"copy_l2_gb\": %.1f, ", copy_rate(threads, size_t(mega * threads)) * giga);
  printf("\"copy_10mb_gb\": %.1f, ", copy_rate(threads, size_t(10 * mega)) * giga);
  printf("\"copy_512mb_gb\": %.1f}\n", copy_rate(threads, size_t(512 * mega)) * giga);
  return 0;
}
