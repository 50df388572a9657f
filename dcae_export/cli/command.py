"""The form of every command: help that ends with examples, and ``--verbose``."""

from collections import Counter
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
    """A command whose help ends with examples, and which takes an option of one value once."""

    examples: tuple[str, ...] = ()

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        given = list(args)
        rest = super().parse_args(ctx, args)
        if not ctx.resilient_parsing:
            _refuse_repetition(self, ctx, given)
        return rest

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


def _refuse_repetition(command: click.Command, ctx: click.Context, args: list[str]) -> None:
    # Click takes the last and says nothing; the order in which it met the options names each as often as it stood there.
    *_, order = command.make_parser(ctx).parse_args(args)
    for option, count in Counter(order).items():
        if not isinstance(option, click.Option) or count == 1 or option.multiple:
            continue
        # A flag without an opposite says the same again.
        if not option.is_flag or option.secondary_opts:
            raise click.UsageError(f"Option '{option.opts[0]}' is given more than once", ctx)


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
