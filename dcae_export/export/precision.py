"""In which precision a graph computes, and which go with a target."""

from typing import Literal

from dcae_export.errors import UsageError
from dcae_export.export.target import TargetName

PrecisionName = Literal["fp32", "fp16", "bf16"]

_FLOAT16_TARGETS: tuple[TargetName, ...] = ("cuda", "tensorrt")
# Read from ONNX Runtime's list of its providers' kernels, not tried on a GPU.
_BFLOAT16_REFUSED = {
    "cuda": "ONNX Runtime's CUDA provider has no bfloat16 kernel for DepthToSpace and Resize, none that runs "
    "channels last, and one for Conv only from operator set 22 on; --precision fp16 is for it",
    "tensorrt": "ONNX's Conv takes no bfloat16 before operator set 22; export in fp32, and run it with "
    "--provider tensorrt --engine-precision bf16",
}


def check_precision(precision: PrecisionName, target: TargetName) -> None:
    """Check that graphs for ``target`` can be in ``precision``.

    Raises:
        UsageError: They cannot; the message says why, and what can.
    """
    match precision:
        case "fp32":
            return
        case "fp16":
            if target not in _FLOAT16_TARGETS:
                raise UsageError(
                    f"--precision fp16 is for --target {' and '.join(_FLOAT16_TARGETS)}; on a processor ONNX "
                    "Runtime computes float16 graphs in float32"
                )
        case "bf16":
            reason = _BFLOAT16_REFUSED.get(
                target,
                "ONNX Runtime runs no convolution in bfloat16 there; --precision fp32 is for it",
            )
            raise UsageError(f"--precision bf16 with --target {target}: {reason}")
