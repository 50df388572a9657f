"""The form of every command: help that ends with examples, and ``--verbose``."""

from collections.abc import Callable
from dataclasses import dataclass

import click


@dataclass(slots=True)
class Invocation:
    """What the handler of errors must know of a run that failed."""

    verbose: bool = False


def _set_verbose(context: click.Context, _: click.Parameter, value: bool) -> None:  # noqa: FBT001
    invocation = context.find_object(Invocation)
    if invocation is not None and value:
        invocation.verbose = True


def verbose_option() -> click.Option:
    """``-v``, which the program and each of its commands take."""
    return click.Option(
        ["-v", "--verbose"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_set_verbose,
        help="Show the traceback of an error.",
    )


def _write_examples(formatter: click.HelpFormatter, examples: tuple[str, ...]) -> None:
    # Written as it is: a command line is never wrapped.
    with formatter.section("Examples"):
        for example in examples:
            formatter.write(f"  {example}\n")


class GpuOption(click.Option):
    """An option that only an NVIDIA GPU has; help lists them apart."""


class Command(click.Command):
    """A command whose help ends with examples."""

    examples: tuple[str, ...] = ()

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, is_gpu in (("Options", False), ("Options of cuda and tensorrt", True)):
            records = [
                record
                for param in self.get_params(ctx)
                if isinstance(param, click.Option)
                and isinstance(param, GpuOption) is is_gpu
                and (record := param.get_help_record(ctx)) is not None
            ]
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        _write_examples(formatter, self.examples)


class Group(click.Group):
    """A group of commands whose help ends with examples, and is what the bare group prints."""

    examples: tuple[str, ...] = ()

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        # Click's own way is an error, whose message is the help.
        if not args and not ctx.resilient_parsing:
            click.echo(ctx.get_help())
            ctx.exit()
        return super().parse_args(ctx, args)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        _write_examples(formatter, self.examples)


def command_with(
    *, name: str, examples: tuple[str, ...]
) -> Callable[[Callable[..., None]], Command]:
    """Make a function the command ``name``; its docstring is the help."""

    def decorate(function: Callable[..., None]) -> Command:
        command = click.command(name, cls=Command)(function)
        command.examples = examples
        command.params.append(verbose_option())
        return command

    return decorate
