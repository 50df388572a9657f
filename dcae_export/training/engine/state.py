"""What a checkpoint holds of modules, optimizers and random states: tensors by name."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from dcae_export.errors import WeightsError
from dcae_export.training.engine.whole_tensors import put

_CPU, _CUDA = "cpu", "cuda"


def load_module(module: nn.Module, tensors: Mapping[str, Tensor], *, of: str) -> None:
    """Put whole tensors into a module.

    Raises:
        WeightsError: They are not exactly the module's; ``of`` names them in the message.
    """
    targets = module.state_dict()
    check_names_and_shapes(tensors, targets, of=of)
    for name, target in targets.items():
        put(tensors[name], target)


def optimizer_tensors(module: nn.Module, optimizer: Optimizer) -> dict[str, Tensor]:
    """The optimizer's state as ``<entry>.<parameter>``, e.g. ``exp_avg.conv.weight``; empty before its first step."""
    names = {parameter: name for name, parameter in _parameters(module).items()}
    tensors: dict[str, Tensor] = {}
    for parameter, state in optimizer.state.items():
        for entry, value in state.items():
            assert isinstance(value, Tensor), f"{type(optimizer).__name__} keeps more than tensors"
            tensors[f"{entry}.{names[parameter]}"] = value
    return tensors


def load_optimizer(
    module: nn.Module, optimizer: Optimizer, tensors: Mapping[str, Tensor], *, of: str
) -> None:
    """Put whole tensors, named as by ``optimizer_tensors``, into an optimizer; its settings stay.

    Raises:
        WeightsError: One belongs to no parameter of the optimizer, or has another shape; ``of`` names them.
    """
    parameters = _parameters(module)
    places = {
        parameter: index
        for index, parameter in enumerate(p for g in optimizer.param_groups for p in g["params"])
    }
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        entry, _, parameter_name = name.partition(".")
        parameter = parameters.get(parameter_name)
        if parameter is None or parameter not in places:
            raise WeightsError(f"{of}: {name} is of no parameter that trains here")
        state.setdefault(places[parameter], {})[entry] = _like(
            tensor, parameter, of=f"{of}: {name}"
        )
    groups = [
        {**group, "params": [places[parameter] for parameter in group["params"]]}
        for group in optimizer.param_groups
    ]
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def random_states(device: torch.device) -> dict[str, Tensor]:
    """The states of torch's own generators in this process: the CPU's, and the device's."""
    states = {_CPU: torch.get_rng_state()}
    if device.type == _CUDA:
        states[_CUDA] = torch.cuda.get_rng_state(device)
    return states


def set_random_states(states: Mapping[str, Tensor], device: torch.device) -> None:
    """Continue from ``random_states``; a device that had none keeps its own."""
    torch.set_rng_state(states[_CPU])
    if device.type == _CUDA and _CUDA in states:
        torch.cuda.set_rng_state(states[_CUDA], device)


@contextmanager
def unchanged_random_states(device: torch.device) -> Generator[None]:
    """Set torch's own generators of the CPU and of ``device`` back to what they were."""
    states = random_states(device)
    try:
        yield
    finally:
        set_random_states(states, device)


def check_names_and_shapes(
    found: Mapping[str, Tensor], expected: Mapping[str, Tensor], *, of: str
) -> None:
    """Require tensors to have the names and shapes of others.

    Raises:
        WeightsError: They have not; one name is given.
    """
    if odd := sorted(found.keys() ^ expected.keys()):
        fault = "is missing" if odd[0] in expected else "is unknown"
        raise WeightsError(f"{of}: {odd[0]} {fault}; this is a checkpoint of another training")
    for name, tensor in expected.items():
        _check_shape(found[name], tensor, of=f"{of}: {name}")


def _parameters(module: nn.Module) -> dict[str, Tensor]:
    # By way of a state dict: FSDP2 gives its parameters back, whole for a forward pass, to their shares there.
    return module.state_dict(keep_vars=True)


def _like(tensor: Tensor, parameter: Tensor, *, of: str) -> Tensor:
    """A state of an optimizer, shared out and laid out in memory as its parameter is; counters as they are."""
    if not tensor.ndim:
        return tensor.clone()
    _check_shape(tensor, parameter, of=of)
    # The same strides as before: with others an element-wise kernel may take another path to other last bits.
    like = torch.empty_like(parameter, dtype=tensor.dtype, requires_grad=False)
    put(tensor, like)
    return like


def _check_shape(found: Tensor, expected: Tensor, *, of: str) -> None:
    if found.shape != expected.shape:
        raise WeightsError(
            f"{of} has shape {list(found.shape)} for {list(expected.shape)}; "
            "this is a checkpoint of another training"
        )
