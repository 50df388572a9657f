"""Apply every exact change of the module, in the form that a target wants."""

from torch import nn

from dcae_export.export.passes.fold_batch_norm import fold_batch_norm
from dcae_export.export.passes.fold_downsampling import fold_downsampling
from dcae_export.export.passes.fold_latent_shortcut import fold_latent_shortcut
from dcae_export.export.passes.fold_upsampling import fold_upsampling
from dcae_export.export.passes.keep_attention_epsilon import keep_attention_epsilon
from dcae_export.export.passes.rms_norm_operator import use_rms_norm_operator
from dcae_export.export.target import RMSNormForm, Target


def fold(module: nn.Module, target: Target) -> None:
    """Apply every exact change of the module, in place, in the form that ``target`` wants."""
    fold_batch_norm(module)
    fold_upsampling(module)
    fold_downsampling(module)
    fold_latent_shortcut(module)
    keep_attention_epsilon(module)
    if target.rms_norm is RMSNormForm.OPERATOR:
        use_rms_norm_operator(module)
