"""Compile for sm_90 what one training step launches; test_kernels.py runs this script.

The interpreter takes Python that the compiler refuses. No GPU is needed: Triton brings
its assembler, and each launch is replaced by its compilation.
"""

import torch
from triton.backends.compiler import GPUTarget
from triton.runtime import driver, jit

from mmfusion.ops.triton import plan
from mmfusion.ops.triton.backend import BACKEND
from mmfusion.ops.triton.conv import forward_op as convolve
from tests.ops.triton.cases import CASES, make_call


class NoGpu:
    """Answers that Triton asks of a driver before it compiles."""

    def get_current_target(self):
        return GPUTarget("cuda", 90, 32)

    def get_current_device(self):
        return 0

    def get_current_stream(self, device):
        return 0


compiled = set()
launch = jit.JITFunction.run


def compile_only(self, *args, grid, warmup, **options):
    kernel = launch(self, *args, grid=grid, warmup=True, **options)
    assert kernel.asm["cubin"], self.__name__
    compiled.add(self.__name__)


def main() -> None:
    driver.set_active(NoGpu())
    jit.JITFunction.run = compile_only
    for name in ("bfloat16", "segments"):
        plan.TUNING = CASES[name].tuning
        call = make_call(CASES[name])
        outputs = [x for x in BACKEND.scan(call) if x is not None]
        sum(x.float().sum() for x in outputs).backward()
    x, weight = (torch.zeros(1, 9, 5).requires_grad_(), torch.zeros(5, 4))
    convolve(x, weight, weight[:, 0].clone(), True, True, [9]).sum().backward()
    print("\n".join(sorted(compiled)))


if __name__ == "__main__":
    main()
