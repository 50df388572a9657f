"""The child process of ``simplify``: SIMPLIFIER IN.onnx OUT.onnx, within a memory bound."""

import contextlib
import sys

import onnx

from dcae_export.export.simplify import MEMORY_BYTES

# A constant that folds to more than this stays a computation.
FOLDED_CONSTANT = "1KB"


def _bound_memory() -> None:
    with contextlib.suppress(ImportError):  # Windows has no such module, and no such bound.
        import resource  # noqa: PLC0415

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))


def _simplify(model: onnx.ModelProto, simplifier: str) -> onnx.ModelProto:
    if simplifier == "onnxsim":
        import onnxsim  # noqa: PLC0415

        simplified, checked = onnxsim.simplify(model, tensor_size_threshold=FOLDED_CONSTANT)
        if not checked:
            sys.exit("its own check failed")
        return simplified
    import onnxslim  # noqa: PLC0415

    slimmed = onnxslim.slim(model)
    if not isinstance(slimmed, onnx.ModelProto):
        sys.exit("it returned no model")
    return slimmed


def main() -> None:
    """Read, simplify, write."""
    simplifier, source, result = sys.argv[1:]
    _bound_memory()
    model = onnx.load(source)  # pyright: ignore[reportUnknownMemberType] - half typed
    onnx.save(_simplify(model, simplifier), result)  # pyright: ignore[reportUnknownMemberType] - half typed


if __name__ == "__main__":
    main()
