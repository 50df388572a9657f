"""A network's state in our keys: taken from the tensors of a file, each used once, and its digest."""

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor

from dcae_export.errors import WeightsError
from dcae_export.models.key_map import COUNTER, Entry

_FLOATS = (torch.float32, torch.float16, torch.bfloat16)
_MAX_LISTED = 10


def collect(
    stored: Mapping[str, Tensor], entries: tuple[Entry, ...], *, of: str
) -> dict[str, Tensor]:
    """The state in our keys and float32, each stored tensor used exactly once; views where nothing changes.

    Batch norms' counters may be absent, all of them and not some: tools that keep floats only drop them.

    Raises:
        WeightsError: Tensors are missing, unknown, of another shape or not finite; up to ten are listed.
    """
    if not any(name.endswith(COUNTER) for name in stored):
        counters = [name for entry in entries for name in entry.names if name.endswith(COUNTER)]
        stored = dict(stored) | dict.fromkeys(counters, torch.tensor(0))
    faults = _faults(stored, entries)
    if not faults:
        state = {
            entry.key: entry.join([_widen(stored[name]) for name in entry.names])
            for entry in entries
        }
        faults = [f"{key} is not finite" for key, tensor in state.items() if not _is_finite(tensor)]
        if not faults:
            return state
    listed = "; ".join(faults[:_MAX_LISTED])
    rest = len(faults) - _MAX_LISTED
    more = f"; and {rest} more" if rest > 0 else ""
    raise WeightsError(f"these are not the weights of {of}: {listed}{more}")


def state_digest(state: Mapping[str, Tensor]) -> str:
    """The sha256 of weights in our keys: names, shapes and float32 values in the order of the names.

    It does not depend on the layout or precision of a file. Counters of batches are left out: they take no
    part in any result and a file may lack them.
    """
    digest = hashlib.sha256()
    for key in sorted(state):
        if key.endswith(COUNTER):
            continue
        tensor = state[key]
        digest.update(f"{key} {list(tensor.shape)}\n".encode())
        values = tensor.detach().to("cpu", torch.float32).contiguous().numpy()
        digest.update(values.astype("<f4", copy=False).data)
    return digest.hexdigest()


def encoder_digest(state: Mapping[str, Tensor]) -> str:
    """The same of an autoencoder's encoder alone: what its latents depend on, whichever decoder follows."""
    return state_digest({key: one for key, one in state.items() if key.startswith("encoder.")})


def _faults(stored: Mapping[str, Tensor], entries: tuple[Entry, ...]) -> list[str]:
    expected = {name: entry.stored_shape for entry in entries for name in entry.names}
    faults = [f"{name} is missing" for name in expected if name not in stored]
    faults += [f"{name} is unknown" for name in stored if name not in expected]
    for name in (name for name in expected if name in stored):
        tensor, shape = stored[name], expected[name]
        if tuple(tensor.shape) != shape:
            faults.append(f"{name} has shape {list(tensor.shape)} for {list(shape)}")
        elif tensor.dtype not in ((torch.int64,) if name.endswith(COUNTER) else _FLOATS):
            faults.append(f"{name} has dtype {tensor.dtype}")
    return faults


def _widen(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor


def _is_finite(tensor: Tensor) -> bool:
    if not tensor.is_floating_point():
        return True
    low, high = tensor.aminmax()
    return bool(low.isfinite() and high.isfinite())
