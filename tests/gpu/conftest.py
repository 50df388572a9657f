"""Tests that need an NVIDIA GPU: without one each is skipped, and says so."""

import pytest

from dcae_export.runtime.nvidia_gpu import find_gpus
from dcae_export.runtime.provider import Provider
from dcae_export.runtime.provider_probe import listed_providers


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    reason = missing()
    for item in items:
        if "gpu" in item.keywords and reason is not None:
            item.add_marker(pytest.mark.skip(reason=reason))


def missing() -> str | None:
    """Why nothing can be run on a GPU here; None where it can."""
    if not find_gpus():
        return "there is no NVIDIA GPU"
    if Provider.CUDA.onnxruntime_name not in listed_providers():
        return "the installed ONNX Runtime was built without CUDA"
    return None
