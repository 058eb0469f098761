"""Triton kernels for CUDA: the selective scan and the causal convolution."""
