"""Which precisions go with which targets, and what is said of those that do not."""

from typing import get_args

import pytest

from dcae_export.errors import UsageError
from dcae_export.export.options import ExportOptions
from dcae_export.export.precision import check_precision
from dcae_export.export.target import TargetName

TARGETS = get_args(TargetName)
REFUSED = {
    ("fp16", "generic"): "for --target cuda and tensorrt",
    ("fp16", "cpu"): "in float32",
    ("fp16", "web"): "for --target cuda and tensorrt",
    ("bf16", "generic"): "no convolution in bfloat16",
    ("bf16", "cpu"): "no convolution in bfloat16",
    ("bf16", "web"): "no convolution in bfloat16",
    (
        "bf16",
        "cuda",
    ): "no bfloat16 kernel for DepthToSpace and Resize, none that runs channels last, and one for "
    "Conv only from operator set 22 on; --precision fp16 is for it",
    ("bf16", "tensorrt"): "no bfloat16 before operator set 22",
}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16"])
def test_a_precision_is_refused_with_its_reason_where_it_cannot_be(precision, target):
    reason = REFUSED.get((precision, target))
    if reason is None:
        check_precision(precision, target)
        return
    with pytest.raises(UsageError, match=f"--precision {precision}") as caught:
        check_precision(precision, target)
    assert reason in str(caught.value)


def test_options_of_an_export_are_checked_before_anything_is_loaded():
    with pytest.raises(UsageError, match="DepthToSpace"):
        ExportOptions(target="cuda", precision="bf16")
    assert ExportOptions(target="cuda", precision="fp16").precision == "fp16"
    assert ExportOptions().precision == "fp32"
