"""Hold a program to the suite.

python -m runtimes.conformance.run --program dcae-run --suite FOLDER
"""

import fnmatch
import shlex
import shutil
import sys
import tempfile
from pathlib import Path

import click

from runtimes.conformance.cases import read_cases
from runtimes.conformance.checks import Runtime, all_checks
from runtimes.conformance.make import make_suite
from runtimes.conformance.program import Program, process
from runtimes.conformance.suite import Suite


def find_program(command: str) -> Program:
    """The program that a command line names; ``dcae`` is this repository's own."""
    if command == "dcae":
        return process([sys.executable, "-m", "runtimes.conformance.python_runtime"])
    first, *rest = shlex.split(command)
    found = shutil.which(first)
    if found is None:
        raise click.BadParameter(f"{first}: no such program", param_hint="--program")
    return process([found, *rest])


@click.command()
@click.option("--program", required=True, help="Its command line; `dcae` is the Python runtime.")
@click.option(
    "--suite",
    "folder",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="A suite made by runtimes.conformance.make.  [default: one is made, which needs PyTorch]",
)
@click.option("--only", default="*", help="Checks whose name is like this, as in 'hostile: *'.")
@click.option(
    "--without",
    multiple=True,
    metavar="OPTION",
    help="An option or command that the program does not have: checks that need it are left out.",
)
@click.option(
    "--rounding",
    is_flag=True,
    help="Let graphs differ by rounding, as another build of ONNX Runtime makes them.",
)
def main(
    *, program: str, folder: Path | None, only: str, without: tuple[str, ...], rounding: bool
) -> None:
    """Hold a program to every case of the suite; status 1 where it misses one."""
    runtime = Runtime(program=find_program(program), bits=not rounding, without=frozenset(without))
    with tempfile.TemporaryDirectory() as temporary:
        suite = make_suite(Path(temporary)) if folder is None else Suite(folder)
        checks = [c for c in all_checks(read_cases()) if fnmatch.fnmatchcase(c.name, only)]
        left_out = [check for check in checks if check.options & runtime.without]
        missed = 0
        for check in checks:
            if check in left_out:
                continue
            problems = check.problems(suite, runtime)
            missed += bool(problems)
            for problem in problems:
                click.echo(f"MISSED  {check.name}: {problem}")
    kept = len(checks) - len(left_out)
    click.echo(f"{program}: {kept - missed} of {kept} checks passed, {len(left_out)} left out")
    if missed:
        sys.exit(1)


if __name__ == "__main__":
    main()
