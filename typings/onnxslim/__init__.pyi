"""The part of onnxslim that this package uses; the library's own types are partly unknown."""

from onnx import ModelProto

def slim(model: str | ModelProto, **options: object) -> ModelProto | None: ...
