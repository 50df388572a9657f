"""The part of onnxsim that this package uses; the library's own types are partly unknown."""

from onnx import ModelProto

def simplify(
    model: str | ModelProto,
    check_n: int = 0,
    *,
    skip_constant_folding: bool = False,
    skip_shape_inference: bool = False,
    tensor_size_threshold: str = "1.5GB",
) -> tuple[ModelProto, bool]: ...
