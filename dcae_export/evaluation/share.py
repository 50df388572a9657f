"""Measure a number of items: each process its share, kept on the way, and the sum of all in the main one."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from dcae_export.errors import CancelledError, InputError
from dcae_export.evaluation.kept_tally import KeptTally
from dcae_export.evaluation.processes import JoinedProcesses
from dcae_export.evaluation.tally import Measured, Tally
from dcae_export.training.engine.interruption import Interruption

Work = Callable[[range], Iterator[Measured]]
"""Measures the items of a range in their order, a batch at a time."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Course:
    """How an evaluation runs: by which processes, and where it keeps how far it is.

    ``out`` is a folder, None to keep nothing; ``restart`` begins anew where an evaluation is kept there.
    ``on_progress`` is called with the number of this process's items that were done since the last call.
    """

    processes: JoinedProcesses
    out: Path | None
    restart: bool
    on_progress: Callable[[int], None]

    def make_folder(self) -> None:
        """Make ``out``.

        Raises:
            InputError: It cannot be made.
        """
        if self.out is None:
            return
        try:
            self.out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{self.out}: cannot be made: {error.strerror}") from error


def measure_items(
    work: Work, *, items: int, settings: Mapping[str, str], course: Course
) -> Tally | None:
    """Measure ``items`` items, numbered from 0.

    Args:
        work: Measures some of them.
        items: How many there are.
        settings: All that decides what is measured; what is kept of an evaluation with others is refused.
        course: How it runs.

    Returns:
        The sum of all processes in the main one, None in the others.

    Raises:
        CancelledError: A signal stopped it after a batch; what was done is kept.
        InputError: What is kept is of another evaluation, or damaged.
        DcaeError: As ``work``.
    """
    processes = course.processes
    kept = None
    if course.out is not None:
        name = f"progress-{processes.rank}-of-{processes.count}.npz"
        kept = KeptTally(course.out / name, settings, restart=course.restart)
    tally = _measure(work, processes.share(items), kept, course)
    tallies = processes.gather(tally)
    if tallies is None:
        return None
    whole, *others = tallies
    for other in others:
        whole.merge(other)
    return whole


def _measure(work: Work, share: range, kept: KeptTally | None, course: Course) -> Tally:
    tally = Tally() if kept is None else kept.read()
    course.on_progress(tally.done)
    with Interruption() as interruption:
        for measured in work(share[tally.done :]):
            tally.add(measured)
            course.on_progress(measured.items)
            if interruption.requested:
                raise _stopped(tally, share, kept)
            if kept is not None:
                kept.keep(tally)
    if kept is not None:
        kept.write(tally)
    return tally


def _stopped(tally: Tally, share: range, kept: KeptTally | None) -> CancelledError:
    how_far = f"stopped after {tally.done} of {len(share)}"
    if kept is None:
        return CancelledError(f"{how_far}; with --out, the next run goes on from there")
    kept.write(tally)
    return CancelledError(f"{how_far}; the same command goes on from there")
