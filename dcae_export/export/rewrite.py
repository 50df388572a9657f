"""Every exact change on the way from a module to its final graph, in order."""

import onnx_ir as ir
from onnx_ir.passes.common import (
    ClearMetadataAndDocStringPass,
    CommonSubexpressionEliminationPass,
    RemoveUnusedNodesPass,
    RemoveUnusedOpsetsPass,
)
from torch import nn

from dcae_export.export.passes.fold_attention_scale import fold_attention_scale
from dcae_export.export.passes.fold_batch_norm import fold_batch_norm
from dcae_export.export.passes.fold_downsampling import fold_downsampling
from dcae_export.export.passes.fold_latent_shortcut import fold_latent_shortcut
from dcae_export.export.passes.fold_padding import fold_padding
from dcae_export.export.passes.fold_upsampling import fold_upsampling
from dcae_export.export.passes.interleave_phases import interleave_phases
from dcae_export.export.passes.keep_attention_epsilon import keep_attention_epsilon
from dcae_export.export.passes.keep_gelu_in_float32 import GELU_OPSET, keep_gelu_in_float32
from dcae_export.export.passes.make_reshapes_constant import make_reshapes_constant
from dcae_export.export.passes.use_plain_vae_layers import use_plain_vae_layers
from dcae_export.export.passes.use_rms_norm_operator import use_rms_norm_operator
from dcae_export.export.target import RMSNormForm, Target


def rewrite_module(module: nn.Module, target: Target) -> None:
    """Apply the passes over the module, in place, in the form that ``target`` wants."""
    use_plain_vae_layers(module)
    fold_batch_norm(module)
    fold_upsampling(module)
    fold_downsampling(module)
    fold_latent_shortcut(module)
    keep_attention_epsilon(module)
    fold_attention_scale(module)
    if target.opset < GELU_OPSET:
        keep_gelu_in_float32(module)
    if target.rms_norm is RMSNormForm.OPERATOR:
        use_rms_norm_operator(module)


def rewrite_graph(model: ir.Model) -> None:
    """Apply the passes over the traced graph, in place."""
    interleave_phases(model)
    fold_padding(model)
    make_reshapes_constant(model)
    CommonSubexpressionEliminationPass()(model)
    RemoveUnusedNodesPass()(model)
    RemoveUnusedOpsetsPass()(model)
    ClearMetadataAndDocStringPass()(model)
