"""Two forms of one block beside each other in ONNX Runtime: the measurements behind the rows of ``target.py``."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import onnxruntime
import torch
from torch import nn

from benchmarks.machine import physical_cores
from dcae_export.export.passes.fold_attention_scale import fold_attention_scale
from dcae_export.export.passes.fold_downsampling import fold_downsampling
from dcae_export.export.passes.use_rms_norm_operator import use_rms_norm_operator
from dcae_export.models.layers import ConvPixelUnshuffle, RMSNorm2d
from dcae_export.models.transformer_layers import SelfAttention
from dcae_export.parity import FP32, difference

OPSET = 23
WARM_UP = 2
UVIT_H_WIDTH, UVIT_H_HEADS = 1152, 16
GUIDED_BATCH = 2


@dataclass(frozen=True, kw_only=True)
class Form:
    """A block as it is ("kept"), what a pass makes of it ("changed"), and the shape that it is given."""

    name: str
    make: Callable[[], nn.Module]
    change: Callable[[nn.Module], None]
    shape: tuple[int, ...]


def _downsampling(in_channels: int, out_channels: int, side: int) -> Form:
    return Form(
        name=f"downsampling folded / kept, {in_channels} to {out_channels}, side {side}",
        make=partial(ConvPixelUnshuffle, in_channels, out_channels),
        change=fold_downsampling,
        shape=(1, in_channels, side, side),
    )


def _rms_norm(channels: int, side: int) -> Form:
    return Form(
        name=f"RMS norm operator / elementwise, {channels}, side {side}",
        make=partial(RMSNorm2d, channels),
        change=use_rms_norm_operator,
        shape=(1, channels, side, side),
    )


def _attention(num_tokens: int) -> Form:
    return Form(
        name=f"attention written out / operator, {num_tokens} tokens",
        make=partial(SelfAttention, UVIT_H_WIDTH, heads=UVIT_H_HEADS, qkv_bias=False),
        change=fold_attention_scale,
        shape=(GUIDED_BATCH, num_tokens, UVIT_H_WIDTH),
    )


FORMS = (
    _downsampling(256, 512, 256),
    _downsampling(512, 512, 128),
    _downsampling(512, 1024, 64),
    _downsampling(1024, 1024, 32),
    _rms_norm(256, 256),
    _rms_norm(512, 128),
    _rms_norm(1024, 32),
    _attention(64),
    _attention(256),
    _attention(1024),
    _attention(4096),
)


def measure_form(form: Form, *, rounds: int) -> dict[str, object]:
    """Median seconds of both forms, run in turn, and their ratio (below 1: the changed form is faster)."""
    torch.manual_seed(0)
    kept, changed = (form.make() for _ in range(2))
    changed.load_state_dict(kept.state_dict())
    holder = nn.Sequential(changed)
    form.change(holder)
    value = torch.randn(form.shape)
    sessions = [_session(module, value) for module in (kept, holder)]
    feeds = {"x": value.numpy()}
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


def _session(module: nn.Module, value: torch.Tensor) -> onnxruntime.InferenceSession:
    program = torch.onnx.export(
        module.eval(),
        (value,),
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
