"""What moves in each phase, and that leaving out the rest changes nothing of it."""

import copy
import dataclasses

import pytest
import torch
from autoencoders import random_input, shrink
from torch import nn

from dcae_export.errors import ConfigError
from dcae_export.models.autoencoder import Autoencoder, DecoderConfig, EncoderConfig
from dcae_export.models.presets import PRESETS
from dcae_export.models.random_weights import random_state
from dcae_export.training.autoencoder.parts import parts
from dcae_export.training.autoencoder.phases import Phase, PhaseNetwork


def first_stages(side):
    """Three stages of at most two blocks: one of convolutions, with batch norms in the decoder, and attention."""
    stages = tuple(
        dataclasses.replace(side.stages[n], depth=min(side.stages[n].depth, 2)) for n in (0, 1, 3)
    )
    return dataclasses.replace(side, stages=stages)


def tiny() -> Autoencoder:
    config = shrink(PRESETS["dc-ae-f32c32-in-1.0"].config)
    config = dataclasses.replace(
        config, encoder=first_stages(config.encoder), decoder=first_stages(config.decoder)
    )
    assert isinstance(config.encoder, EncoderConfig)
    assert isinstance(config.decoder, DecoderConfig)
    network = Autoencoder(config)
    network.load_state_dict(random_state(network, seed=2))
    return network


IMAGE = random_input(2, 3, 16, 24)

ENCODER_BLOCK = [
    f"encoder.stages.2.1.{name}"
    for name in (
        "attention.qkv.weight",
        "attention.proj.weight",
        "attention.norm.weight",
        "attention.norm.bias",
        "mlp.inverted_conv.weight",
        "mlp.inverted_conv.bias",
        "mlp.depth_conv.weight",
        "mlp.depth_conv.bias",
        "mlp.point_conv.weight",
        "mlp.norm.weight",
        "mlp.norm.bias",
    )
]
ENCODER_OUT = ["encoder.conv_out.conv.weight", "encoder.conv_out.conv.bias"]
DECODER_IN = ["decoder.conv_in.conv.weight", "decoder.conv_in.conv.bias"]
DECODER_BLOCK = [
    name.replace("encoder.stages.2.1.", "decoder.stages.2.0.") for name in ENCODER_BLOCK
]
CONVOLUTIONS = [
    f"decoder.stages.1.2.{name}"
    for name in (
        "conv1.weight",
        "conv1.bias",
        "conv2.weight",
        "norm.weight",
        "norm.bias",
        "norm.running_mean",
        "norm.running_var",
        "norm.num_batches_tracked",
    )
]
DECODER_OUT = [
    "decoder.norm_out.weight",
    "decoder.norm_out.bias",
    "decoder.conv_out.conv.weight",
    "decoder.conv_out.conv.bias",
]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    phase: Phase
    heads: dict[str, int]
    moves: list[str]


CASES = [
    Case(phase=Phase.FULL, heads={}, moves=list(tiny().state_dict())),
    Case(phase=Phase.LATENT_ADAPTATION, heads={}, moves=ENCODER_OUT + DECODER_IN),
    Case(
        phase=Phase.LATENT_ADAPTATION,
        heads={"encoder_head": 2, "decoder_input": 2},
        moves=ENCODER_BLOCK + ENCODER_OUT + DECODER_IN + DECODER_BLOCK,
    ),
    Case(phase=Phase.LOCAL_REFINEMENT, heads={}, moves=DECODER_OUT),
    Case(phase=Phase.LOCAL_REFINEMENT, heads={"decoder_head": 2}, moves=CONVOLUTIONS + DECODER_OUT),
]
of_every_phase = pytest.mark.parametrize(
    "case", CASES, ids=lambda case: "-".join([case.phase.value, *map(str, case.heads.values())])
)
with_and_without_checkpoints = pytest.mark.parametrize("checkpoint", [False, True])


def prepared(case: Case, *, checkpoint: bool = False) -> PhaseNetwork:
    return PhaseNetwork(tiny(), case.phase, checkpoint_activations=checkpoint, **case.heads)


def loss_of(network: nn.Module) -> torch.Tensor:
    return (network(IMAGE) - IMAGE).square().mean()


def frozen_modules(network: PhaseNetwork) -> list[nn.Module]:
    """All modules of parts without a trained parameter."""
    halves = parts(network.network)
    frozen = [
        part
        for part in (*halves.encoder, *halves.decoder)
        if not any(parameter.requires_grad for parameter in part.parameters())
    ]
    own = set(network.modules())
    return [module for part in frozen for module in part.modules() if module in own]


@with_and_without_checkpoints
@of_every_phase
def test_one_step_moves_exactly_what_the_phase_trains(case, checkpoint):
    network = prepared(case, checkpoint=checkpoint)
    before = copy.deepcopy(network.network.state_dict())
    optimizer = torch.optim.SGD([p for _, p in network.trained_parameters()], lr=0.1)
    loss_of(network).backward()
    optimizer.step()
    after = network.network.state_dict()
    moved = [name for name in after if not torch.equal(after[name], before[name])]
    assert sorted(moved) == sorted(case.moves)


@with_and_without_checkpoints
@of_every_phase
def test_gradients_are_those_of_the_whole_network(case, checkpoint):
    network = prepared(case, checkpoint=checkpoint)
    # Every weight has a gradient here, every activation is kept; batch norms stand as in the phase.
    whole = copy.deepcopy(network.network).requires_grad_(requires_grad=True)
    expected_loss = loss_of(whole)
    expected_loss.backward()
    expected = {name: parameter.grad for name, parameter in whole.named_parameters()}
    loss = loss_of(network)
    loss.backward()
    assert torch.equal(loss, expected_loss)
    for name, parameter in network.trained_parameters():
        assert torch.equal(parameter.grad, expected[name]), name


@with_and_without_checkpoints
@of_every_phase
def test_running_statistics_see_each_batch_once(case, checkpoint):
    network = prepared(case, checkpoint=checkpoint)
    whole = copy.deepcopy(network.network)
    loss_of(whole)
    loss_of(network).backward()
    for (name, buffer), expected in zip(
        network.network.named_buffers(), whole.buffers(), strict=True
    ):
        assert torch.equal(buffer, expected), name


@of_every_phase
def test_what_is_frozen_gets_no_gradient(case):
    network = prepared(case)
    loss_of(network).backward()
    trained = {name for name, _ in network.trained_parameters()}
    with_gradient = {name for name, p in network.network.named_parameters() if p.grad is not None}
    assert with_gradient == trained


@of_every_phase
def test_no_part_before_the_first_trained_one_has_a_graph(case):
    network = prepared(case)
    halves = parts(network.network)
    in_graph: list[bool] = []
    for part in (*halves.encoder, *halves.decoder):
        part.register_forward_hook(lambda _part, _x, y: in_graph.append(y.requires_grad))
    network.network.decoder.conv_out.register_forward_hook(
        lambda _part, _x, y: in_graph.append(y.requires_grad)
    )
    network(IMAGE)
    num_before = {
        Phase.FULL: 0,
        Phase.LATENT_ADAPTATION: len(halves.encoder) - case.heads.get("encoder_head", 1),
        # The last part is made anew by each call of ``parts``; its convolution stands for it.
        Phase.LOCAL_REFINEMENT: len(halves.encoder)
        + len(halves.decoder)
        - case.heads.get("decoder_head", 1),
    }[case.phase]
    assert in_graph == [place >= num_before for place in range(len(in_graph))]
    assert len(in_graph) == len(halves.encoder) + len(halves.decoder)


def saved_bytes(network: nn.Module) -> int:
    """Of all tensors that the graph of a forward pass keeps, weights included."""
    sizes: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        output = network(IMAGE)
        assert output.requires_grad
    return sum(sizes.values())


def test_adapting_the_latent_keeps_fewer_activations_than_training_everything():
    full = prepared(CASES[0])
    adaptation = prepared(CASES[1])
    assert saved_bytes(adaptation) < saved_bytes(full) / 2


def test_a_frozen_part_after_a_trained_one_is_computed_again_on_the_way_back():
    network = prepared(CASES[1])
    frozen = network.network.decoder.stages[1][1]
    runs: list[nn.Module] = []
    frozen.register_forward_pre_hook(lambda part, _x: runs.append(part))
    loss = loss_of(network)
    assert len(runs) == 1
    loss.backward()
    assert len(runs) == 2


@of_every_phase
def test_frozen_parts_never_enter_training_mode(case):
    network = prepared(case)
    frozen = frozen_modules(network)
    assert bool(frozen) is (case.phase is not Phase.FULL)
    for mode in (True, False, True):
        network.train(mode)
        assert not any(module.training for module in frozen)
        trained = [m for m in network.network.modules() if isinstance(m, nn.BatchNorm2d)]
        trained = [m for m in trained if m.weight.requires_grad]
        assert all(module.training is mode for module in trained)


def test_without_a_gradient_the_network_is_the_network():
    for case in CASES:
        network = prepared(case, checkpoint=True).eval()
        with torch.inference_mode():
            assert torch.equal(network(IMAGE), network.network(IMAGE))


def test_the_last_weight_is_that_of_the_decoders_last_convolution():
    network = prepared(CASES[3])
    assert network.last_weight is network.network.decoder.conv_out.conv.weight


def test_gradients_at_the_last_weight_can_be_taken_before_the_backward_pass():
    network = prepared(CASES[0], checkpoint=True)
    loss = loss_of(network)
    (early,) = torch.autograd.grad(loss, network.last_weight, retain_graph=True)
    loss.backward()
    assert torch.equal(network.last_weight.grad, early)


def test_a_deep_copy_runs_on_its_own_weights():
    network = prepared(CASES[3])
    copied = copy.deepcopy(network)
    with torch.no_grad():
        expected = network(IMAGE)
        copied.last_weight.zero_()
        assert torch.equal(network(IMAGE), expected)
        assert not torch.equal(copied(IMAGE), expected)
    assert copied.last_weight is copied.network.decoder.conv_out.conv.weight


def test_the_names_of_trained_parameters_are_those_of_the_state_dict():
    network = prepared(CASES[2])
    state = network.network.state_dict(keep_vars=True)
    assert all(state[name] is parameter for name, parameter in network.trained_parameters())


@pytest.mark.parametrize(
    ("phase", "heads", "message"),
    [
        (
            Phase.LATENT_ADAPTATION,
            {"encoder_head": 8},
            "encoder_head is 8: from 1 to 7 parts of this encoder",
        ),
        (
            Phase.LATENT_ADAPTATION,
            {"decoder_input": 0},
            "decoder_input is 0: from 1 to 7 parts of this decoder",
        ),
        (
            Phase.LOCAL_REFINEMENT,
            {"decoder_head": 99},
            "decoder_head is 99: from 1 to 7 parts of this decoder",
        ),
    ],
)
def test_asking_for_more_parts_than_there_are_names_their_number(phase, heads, message):
    with pytest.raises(ConfigError, match=f"^{message} can train$"):
        PhaseNetwork(tiny(), phase, **heads)


def test_the_whole_of_a_half_may_train():
    network = PhaseNetwork(tiny(), Phase.LATENT_ADAPTATION, encoder_head=7, decoder_input=7)
    assert len(network.trained_parameters()) == len(list(network.network.parameters()))
