"""What a user says of a provider becomes its typed options, or an error that names the option."""

import click
import pytest
from click.testing import CliRunner

from dcae_export.cli.command import command_with
from dcae_export.cli.provider_choice import ProviderChoice
from dcae_export.cli.runtime_options import runtime_options
from dcae_export.errors import UsageError
from dcae_export.runtime import automatic_provider
from dcae_export.runtime.provider_options import (
    AxisProfile,
    CpuOptions,
    CudaOptions,
    CudnnSearch,
    TensorRtOptions,
)


@pytest.fixture
def parse():
    """What a command with ``runtime_options`` gets for these arguments."""
    got = {}

    @command_with(name="c", examples=())
    @runtime_options
    @click.option("--force", is_flag=True)
    def command(**values: object) -> None:
        got.update(values)

    def run(*arguments: str) -> dict:
        got.clear()
        result = CliRunner().invoke(command, arguments, catch_exceptions=False)
        got["output"] = result.output
        got["status"] = result.exit_code
        return dict(got)

    return run


def test_nothing_said_is_the_cpu(parse):
    found = parse("--force")
    assert found["provider"] == ProviderChoice(name="cpu", given={})
    assert found["provider"].resolve() == CpuOptions()
    assert (found["force"], found["threads"], found["verify_hashes"]) == (True, None, True)


def test_the_memory_of_a_run_is_bounded_on_the_cpu_too(parse):
    choice = parse("--memory-limit", "2GiB")["provider"]
    assert choice.resolve() == CpuOptions(memory_limit=2**31)
    assert choice.memory_limit == 2**31


def test_every_option_of_cuda_arrives(parse):
    line = (
        "--provider cuda --gpu 1 --memory-limit 8GiB --cudnn-search exhaustive --nhwc --tf32 "
        "--cuda-graph"
    )
    assert parse(*line.split())["provider"].resolve() == CudaOptions(
        device=1,
        memory_limit=2**33,
        cudnn_search=CudnnSearch.EXHAUSTIVE,
        prefer_nhwc=True,
        tf32=True,
        cuda_graph=True,
    )


def test_every_option_of_tensorrt_arrives(parse, tmp_path):
    line = (
        "--provider tensorrt --gpu 1 --memory-limit 8GiB --engine-precision bf16 --no-timing-cache "
        f"--engine-cache {tmp_path} --engine-workspace 4GiB --builder-level 5 --cuda-graph "
        "--engine-profile batch=2 --engine-profile height=16"
    )
    assert parse(*line.split())["provider"].resolve() == TensorRtOptions(
        device=1,
        memory_limit=2**33,
        precision="bf16",
        engine_cache=tmp_path,
        timing_cache=False,
        workspace=2**32,
        builder_level=5,
        cuda_graph=True,
        profile=(
            AxisProfile(axis="batch", least=2, best=2, most=2),
            AxisProfile(axis="height", least=16, best=16, most=16),
        ),
    )


def test_a_profile_of_tensorrt_may_be_a_range(parse):
    options = parse(*["--provider", "tensorrt", "--engine-profile", "batch=1:2:8"])[
        "provider"
    ].resolve()
    assert options.profile == (AxisProfile(axis="batch", least=1, best=2, most=8),)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--gpu 1", "--gpu goes with --provider cuda, tensorrt or auto"),
        ("--no-nhwc", "--nhwc goes with --provider cuda or auto"),
        ("--provider cuda --builder-level 3", "--builder-level goes with --provider tensorrt"),
        ("--provider auto --engine-cache x", "--engine-cache goes with --provider tensorrt"),
        ("--provider tensorrt --tf32", "--tf32 goes with --provider cuda or auto"),
        ("--provider cuda --engine-profile batch=1", "--engine-profile goes with --provider tens"),
    ],
)
def test_an_option_of_another_provider_is_refused_by_name(parse, line, message):
    choice = parse(*line.split())["provider"]
    with pytest.raises(UsageError, match=f"^{message}"):
        choice.resolve()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--engine-profile depth=1", "an axis is batch, height, width"),
        ("--engine-profile batch=4:2:1", "do not rise"),
        ("--engine-profile batch", "a range as in batch=1:4:8"),
        ("--provider directml", "'cpu', 'cuda', 'tensorrt', 'auto'"),
    ],
)
def test_a_value_that_is_none_is_a_usage_error(parse, line, message):
    found = parse(*line.split())
    assert found["status"] == 2
    assert message in found["output"]


@pytest.mark.parametrize(
    ("line", "expected", "note"),
    [
        ("--gpu 1", CudaOptions(device=1), "--provider auto: cuda\n"),
        ("", CpuOptions(), "--provider auto: cpu; cuda: no driver\n"),
        (
            "--gpu 1 --memory-limit 8GB --cuda-graph --no-tf32",
            CpuOptions(),
            "--provider auto: cpu; cuda: no driver\ndcae: no effect on the cpu: --cuda-graph, --gpu, --tf32\n",
        ),
    ],
)
def test_auto_says_what_it_took_and_what_has_no_effect_there(
    monkeypatch, parse, capsys, line, expected, note
):
    choice = parse("--provider", "auto", *line.split())["provider"]
    monkeypatch.setattr(
        automatic_provider,
        "automatic_provider",
        lambda cuda: (cuda, "") if cuda == expected else (CpuOptions(), "no driver"),
    )
    assert choice.resolve() == expected
    assert capsys.readouterr().err == f"dcae: {note}"


def test_help_lists_the_options_of_gpus_apart(parse):
    general, _, gpu = parse("--help")["output"].partition("Options of cuda and tensorrt:")
    assert "--provider" in general
    assert "--cudnn-search" not in general
    assert "--cudnn-search" in gpu
    assert "TensorRT's own is not counted" in " ".join(general.split())
    assert "--force" not in gpu
