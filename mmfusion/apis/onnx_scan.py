"""The selective scan as the operator ``Scan`` of ONNX.

Needs onnxscript: import it where a graph is written only. What stands in a function
below is not run but read by onnxscript, which makes a graph of it.

Shapes: s scans (directions), b clips, l tokens, d channels, n state.
"""

# mypy: ignore-errors

from mmfusion.utils.optional import import_optional

onnxscript = import_optional("onnxscript", "exports to ONNX")
op, FLOAT, graph = onnxscript.opset18, onnxscript.FLOAT, onnxscript.graph


@onnxscript.script(default_opset=op)
def scan(
    u: FLOAT,
    delta: FLOAT,
    A: FLOAT,
    B: FLOAT,
    C: FLOAT,
    initial_state: FLOAT,
    keep: bool = False,
) -> tuple[FLOAT, FLOAT, FLOAT]:
    """:func:`mmfusion.ops.torch_scan.chunked_scan`, one step a token.

    Args:
        u: (s, b, l, d). delta: (s, b, l, d). A: (s, d, n). B: (s, b, l, n).
        C: (s, b, l, n). initial_state: (s, b, d, n). keep: not read.

    Returns:
        y (s, b, l, d), the last state (s, b, d, n), and a third that nothing reads.
    """
    rates = op.Unsqueeze(op.Transpose(A, perm=[0, 2, 1]), [1])  # (s, 1, n, d)
    first = op.Transpose(initial_state, perm=[0, 1, 3, 2])  # (s, b, n, d)

    @graph()
    def step(state, drive_t, delta_t, B_t, C_t):
        decay = op.Exp(op.Unsqueeze(delta_t, [-2]) * rates)  # (s, b, n, d)
        drive = op.Unsqueeze(drive_t, [-2]) * op.Unsqueeze(B_t, [-1])  # (s, b, n, d)
        new = decay * state + drive
        y_t = op.Squeeze(op.MatMul(op.Unsqueeze(C_t, [-2]), new), [-2])  # (s, b, d)
        return new, y_t

    last, y = op.Scan(
        first,
        delta * u,
        delta,
        B,
        C,
        body=step,
        num_scan_inputs=4,
        scan_input_axes=[2, 2, 2, 2],
        scan_output_axes=[2],
    )
    return y, op.Transpose(last, perm=[0, 1, 3, 2]), op.Unsqueeze(last, [0])
