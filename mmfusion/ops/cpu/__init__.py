"""The scans and the causal convolution in C++, for the CPU at hand."""
