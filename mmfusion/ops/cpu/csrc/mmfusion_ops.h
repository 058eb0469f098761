/* C interface of mmfusion's CPU kernels: the selective scan, the causal convolution and
 * the projections in front of it, and the norm between two layers.
 *
 * Sizes: b batch, l tokens, d channels, n state, w filter width. Plain data only; no
 * globals, no exceptions, callable from several threads at once. Results do not depend on the number
 * of threads and are the same from run to run.
 *
 * Strides count elements, may be negative or 0 for what is read; the innermost axis
 * (channels, or states of B and C) has stride 1. A tensor whose data is NULL is absent:
 * an input counts as not given, an output is not written.
 */
#ifndef MMFUSION_OPS_H
#define MMFUSION_OPS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Changes whenever a struct or the meaning of an argument changes. */
#define MMF_ABI 7

enum mmf_dtype { MMF_F32 = 0, MMF_BF16 = 1, MMF_F16 = 2 };

enum mmf_error {
  MMF_OK = 0,
  MMF_BAD_ARGUMENT = 1, /* a size, dtype or combination that the header rules out */
  MMF_NO_MEMORY = 2     /* scratch could not be allocated; nothing was written */
};

/* (b, l, d) for u, delta, z, y, x and their gradients; (b, l, n) for B, C and theirs. */
typedef struct mmf_tensor {
  void* data;
  int64_t batch_stride;
  int64_t time_stride;
  int32_t dtype; /* enum mmf_dtype */
  int32_t unused;
} mmf_tensor;

/* One direction over the tokens:
 *   h_t = exp(delta_t A) h_{t-1} + delta_t B_t u_t
 *   y_t = C_t h_t + D u_t
 * float pointers are contiguous, in the shape given, and may be NULL where so said.
 * Forward reads the inputs and writes last_state and checkpoints; backward reads inputs,
 * checkpoints and grad_last_state, and writes the other gradients (each may be NULL). */
typedef struct mmf_scan_direction {
  mmf_tensor u, delta; /* (b, l, d); delta.data NULL: delta = dt dt_weight^T */
  mmf_tensor B, C;     /* (b, l, n) */
  const float* A;      /* (d, n), or log(-A) where A_is_log is not 0; so is grad_A */
  const float* D;      /* (d); NULL: no skip */
  const float* delta_bias;    /* (d); NULL: no bias */
  const float* initial_state; /* (b, d, n); NULL: zeros */
  float* last_state;          /* (b, d, n); NULL: not wanted */
  /* (b, (l - 1) / 32, d, n), the states that backward starts again from; NULL in forward:
   * no backward will follow. */
  float* checkpoints;
  int64_t reverse; /* not 0: from the last token to the first */
  mmf_tensor dt;          /* (b, l, rank), read where delta is absent */
  const float* dt_weight; /* (d, rank) */
  int64_t rank;
  int64_t A_is_log;
  mmf_tensor grad_u, grad_delta; /* (b, l, d) */
  mmf_tensor grad_B, grad_C;     /* (b, l, n) */
  float* grad_A;                 /* (d, n) */
  float* grad_D;                 /* (d) */
  float* grad_delta_bias;        /* (d) */
  const float* grad_last_state;  /* (b, d, n); NULL: zeros */
  float* grad_initial_state;     /* (b, d, n) */
} mmf_scan_direction;

/* One call: y = silu(z) * (sum over the directions), without z just the sum. */
typedef struct mmf_scan {
  int64_t b, l, d, n;     /* 1 <= n <= 256 */
  int64_t delta_softplus; /* not 0: delta = softplus(delta + delta_bias) */
  int64_t num_threads;    /* at least 1, here and below */
  int64_t num_directions; /* 1 or 2 */
  mmf_scan_direction direction[2];
  mmf_tensor z, y;           /* (b, l, d) */
  mmf_tensor grad_y, grad_z; /* (b, l, d), backward only */
} mmf_scan;

int mmf_scan_forward(const mmf_scan* call);
int mmf_scan_backward(const mmf_scan* call);

/* One direction of the convolution:
 *   y_t = act(bias + sum_i weight_i x_{t - w + 1 + i})
 * where what lies outside the tokens counts as 0; reversed
 *   y_t = act(bias + sum_i weight_i x_{t + w - 1 - i}). */
typedef struct mmf_conv_direction {
  const float* weight; /* (d, w) contiguous */
  const float* bias;   /* (d); NULL: none */
  int64_t reverse;
  mmf_tensor y;       /* (b, l, d) */
  mmf_tensor grad_y;  /* (b, l, d), read by backward */
  float* grad_weight; /* (d, w) */
  float* grad_bias;   /* (d) */
} mmf_conv_direction;

/* One call: the same x through one filter or two, of the same width. */
typedef struct mmf_conv {
  int64_t b, l, d, w;
  int64_t silu;           /* not 0: act is silu, else the identity */
  int64_t num_threads;
  int64_t num_directions; /* 1 or 2 */
  mmf_conv_direction direction[2];
  mmf_tensor x;      /* (b, l, d) */
  mmf_tensor grad_x; /* (b, l, d), of all directions together */
} mmf_conv;

int mmf_conv_forward(const mmf_conv* call);
int mmf_conv_backward(const mmf_conv* call);

/* The projections of one direction, all float32 and contiguous:
 *   projected = u x_proj^T, whose first `rank` columns make delta with dt_weight.
 * Backward reads what it gets of delta and of B and C, in grad_projected's other columns. */
typedef struct mmf_project_direction {
  const float* u;          /* (tokens, d) */
  const float* x_proj;     /* (outputs, d) */
  float* projected;        /* (tokens, outputs), written by forward, read by backward */
  const float* dt_weight;  /* (d, rank), here and below: backward only */
  const float* grad_delta; /* (tokens, d) */
  float* grad_projected;   /* (tokens, outputs): its first `rank` columns are written */
  float* grad_u;           /* (tokens, d), added to */
  float* grad_x_proj;      /* (outputs, d); NULL: not wanted */
  float* grad_dt_weight;   /* (d, rank); NULL: not wanted */
} mmf_project_direction;

typedef struct mmf_project {
  int64_t tokens, d, outputs, rank; /* rank <= outputs */
  int64_t num_threads;
  int64_t num_directions; /* 1 or 2 */
  mmf_project_direction direction[2];
} mmf_project;

int mmf_project_forward(const mmf_project* call);
int mmf_project_backward(const mmf_project* call);

/* A sum and its RMS norm, row by row:
 *   sum = x + residual      y = weight sum / sqrt(mean(sum^2) + eps)
 * x, y and their gradients have the strides of mmf_tensor; rows of the float pointers are
 * contiguous. */
typedef struct mmf_norm {
  int64_t b, l, d;
  float eps;
  int32_t unused;
  int64_t num_threads;
  mmf_tensor x, y;         /* (b, l, d) */
  const float* residual;   /* (b, l, d), read by forward */
  const float* weight;     /* (d) */
  float* sum;              /* (b, l, d), written by forward, read by backward */
  float* scale;            /* (b, l), 1 / sqrt(...); likewise */
  mmf_tensor grad_y;       /* (b, l, d); data NULL: zeros */
  const float* grad_sum;   /* (b, l, d), what reaches the sum itself; NULL: zeros */
  float* grad_total;       /* (b, l, d), the gradient of x and of residual */
  float* grad_weight;      /* (d); NULL: not wanted */
} mmf_norm;

int mmf_norm_forward(const mmf_norm* call);
int mmf_norm_backward(const mmf_norm* call);

/* The instruction set compiled in: "avx512", "avx2", "sse2", "neon" or "generic". */
const char* mmf_isa(void);
/* MMF_ABI of the library; to be compared before any other call. */
int mmf_abi(void);

#ifdef __cplusplus
}
#endif

#endif
