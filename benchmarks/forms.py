"""Two forms of one block beside each other in ONNX Runtime: the measurements behind the rows of ``target.py``."""

import statistics
import time
from dataclasses import dataclass

import numpy as np
import onnxruntime
import torch
from torch import nn

from benchmarks.machine import physical_cores
from dcae_export.export.passes.fold_downsampling import fold_downsampling
from dcae_export.export.passes.use_rms_norm_operator import use_rms_norm_operator
from dcae_export.models.layers import ConvPixelUnshuffle, RMSNorm2d
from dcae_export.parity import FP32, difference

OPSET = 23
WARM_UP = 2


@dataclass(frozen=True, kw_only=True)
class Form:
    """A block as it is and as a pass changes it: channels in and out, and the side of its square input."""

    name: str
    in_channels: int
    out_channels: int
    side: int


DOWNSAMPLING = tuple(
    Form(name="downsampling folded / kept", in_channels=i, out_channels=o, side=s)
    for i, o, s in ((256, 512, 256), (512, 512, 128), (512, 1024, 64), (1024, 1024, 32))
)
RMS_NORM = tuple(
    Form(name="RMS norm operator / elementwise", in_channels=c, out_channels=c, side=s)
    for c, s in ((256, 256), (512, 128), (1024, 32))
)


def measure_form(form: Form, *, rounds: int) -> dict[str, object]:
    """Median seconds of both forms, run in turn, and their ratio (below 1: the changed form is faster)."""
    torch.manual_seed(0)
    kept, changed = (_module(form) for _ in range(2))
    changed.load_state_dict(kept.state_dict())
    holder = nn.Sequential(changed)
    if form in DOWNSAMPLING:
        fold_downsampling(holder)
    else:
        use_rms_norm_operator(holder)
    image = torch.randn(1, form.in_channels, form.side, form.side)
    sessions = [_session(module, image) for module in (kept, holder)]
    feeds = {"x": image.numpy()}
    outputs = [np.asarray(session.run(None, feeds)[0]) for session in sessions]
    assert difference(outputs[1], outputs[0]).within(FP32)
    seconds: tuple[list[float], list[float]] = ([], [])
    for turn in range(WARM_UP + rounds):
        for session, taken in zip(sessions, seconds, strict=True):
            start = time.perf_counter()
            session.run(None, feeds)
            if turn >= WARM_UP:
                taken.append(time.perf_counter() - start)
    kept_median, changed_median = (statistics.median(taken) for taken in seconds)
    return {
        "kept_seconds": kept_median,
        "changed_seconds": changed_median,
        "ratio": changed_median / kept_median,
        "rounds": rounds,
    }


def _module(form: Form) -> nn.Module:
    if form in DOWNSAMPLING:
        return ConvPixelUnshuffle(form.in_channels, form.out_channels)
    return RMSNorm2d(form.in_channels)


def _session(module: nn.Module, image: torch.Tensor) -> onnxruntime.InferenceSession:
    program = torch.onnx.export(
        module.eval(),
        (image,),
        dynamo=True,
        opset_version=OPSET,
        input_names=["x"],
        output_names=["y"],
        verbose=False,
    )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = physical_cores()
    return onnxruntime.InferenceSession(
        program.model_proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
