"""Turn whatever stops a command into one line on stderr and an exit status."""

import os
import signal
import sys
import traceback
from collections.abc import Sequence
from types import FrameType

import click

from dcae_export.cli.command import Invocation
from dcae_export.cli.console import print_note
from dcae_export.errors import DcaeError, ProviderError, ResourceError, UsageError

_FAULT_OF_OURS = 1
_INTERRUPTED = 130
_REPORT = "please report it on the project's issue tracker, with what -v shows"

# The extra that brings what the base installation leaves out, by the name that an import misses.
_EXTRAS = {
    "torch": "export",
    "safetensors": "export",
    "onnx": "export",
    "onnx_ir": "export",
    "onnxscript": "export",
    "diffusers": "export",
    "accelerate": "train",
    "torchmetrics": "train",
    "webdataset": "train",
    "PIL": "train",
    "transformers": "evaluate",
    "onnxruntime": "cpu",
}
_RUNTIME = "onnxruntime"


def run(command: click.Command, *, prog_name: str, args: Sequence[str] | None = None) -> int:
    """Run a command to its end, whichever that is; SIGTERM is Ctrl-C by another name.

    Args:
        command: The program.
        prog_name: What help and messages call it.
        args: Its arguments; None takes those of this process.

    Returns:
        The exit status.
    """
    invocation = Invocation()
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        result: object = command.main(
            args=args, prog_name=prog_name, standalone_mode=False, obj=invocation
        )
        sys.stdout.flush()
    except BrokenPipeError:
        return _leave_pipe()
    # The one place that may: whatever it is, a user gets one line of it.
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001
        if invocation.verbose:
            traceback.print_exception(error)
        status, message = _explain(error)
        print_note(message)
        return status
    finally:
        signal.signal(signal.SIGTERM, before)
    # What a command left through ``Context.exit`` comes back as a number.
    return result if isinstance(result, int) else 0


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _explain(error: BaseException) -> tuple[int, str]:
    match error:
        case KeyboardInterrupt() | click.Abort():
            return _INTERRUPTED, "interrupted"
        case DcaeError():
            return error.exit_status, f"error: {error}"
        case click.ClickException():
            return error.exit_code, f"error: {_usage(error)}"
        case MemoryError():
            return (
                ResourceError.exit_status,
                "error: the memory is full; close other programs or choose a smaller size",
            )
        case ModuleNotFoundError() if (line := _install_line(error)) is not None:
            # What runs graphs is a provider; another extra is what the command line asks for.
            is_runtime = _package(error) == _RUNTIME
            return (
                (ProviderError if is_runtime else UsageError).exit_status,
                f"error: {error.name} is not installed; {line}",
            )
        case _:
            return (
                _FAULT_OF_OURS,
                f"error: a fault of dcae-export: {type(error).__name__}: {error}; {_REPORT}",
            )


def _usage(error: click.ClickException) -> str:
    message = error.format_message().rstrip(".")
    context = error.ctx if isinstance(error, click.UsageError) else None
    return message if context is None else f"{message}; see {context.command_path} --help"


def _install_line(error: ModuleNotFoundError) -> str | None:
    from dcae_export.extras import install_command

    extra = _EXTRAS.get(_package(error))
    return None if extra is None else install_command(extra)


def _package(error: ModuleNotFoundError) -> str:
    return (error.name or "").partition(".")[0]


def _leave_pipe() -> int:
    """End quietly where the reader of our output has ended before us."""
    # Python flushes once more on exit, which would fail again.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return _FAULT_OF_OURS
