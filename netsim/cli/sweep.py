"""`sweep` and `summary`: many seeds, and what they say together."""

import sys
import time
from collections.abc import Generator, Iterable
from contextlib import closing
from pathlib import Path

import click

from netsim.cli.files import OutFile, refuse_overwriting
from netsim.cli.options import job_options, json_option, read_seeds
from netsim.cli.size import warn_of_size
from netsim.cli.summary import counted, summary_lines
from netsim.commit import code_commit
from netsim.job import Job, make_job
from netsim.summary import Summary, Tally, as_json, summarise
from netsim.sweep import ResultFile, Shard, open_results, read_results
from netsim.verdict import Result
from qbix_node.cli.output import Output, duration_text
from qbix_node.errors import Temporary

_FILE = click.Path(path_type=Path, dir_okay=False)
_PATIENCE_S = 0.1, 1e7
QUIET_S = 30.0  # between two lines of progress where nothing can be rewritten


def _patience(context: click.Context, parameter: click.Parameter, given: float) -> float:
    low, high = _PATIENCE_S
    if not low <= given <= high:  # nan is not, either
        raise click.BadParameter(f"seconds from {low:g} to {high:g} are expected")
    return given


def _shard(context: click.Context, parameter: click.Parameter, given: str) -> Shard:
    number, _, count = given.partition("/")
    if not (number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
        raise click.BadParameter("I/K is expected; the first of four is 1/4")
    return Shard(int(number), int(count))


@click.command()
@job_options
@click.option(
    "--seeds", callback=read_seeds, required=True, metavar="A:B", help="From A, without B."
)
@click.option("--jobs", type=click.IntRange(min=1), help="So many processes; else one a core.")
@click.option("--shard", callback=_shard, default="1/1", metavar="I/K", help="Part I of K of them.")
@click.option(
    "--out", "file", type=OutFile(), required=True, help="A line a seed; it is continued."
)
@click.option("--dask", metavar="ADDRESS", help="On the cluster of this scheduler.")
@click.option(
    "--patience", type=float, callback=_patience, default=600.0, help="Real seconds for a seed."
)
@json_option
def sweep(
    *,
    scenario: str,
    nodes: int | None,
    settings: tuple[str, ...],
    driver: str | None,
    seeds: range,
    jobs: int | None,
    shard: Shard,
    file: Path,
    dask: str | None,
    patience: float,
    out: Output,
) -> int:
    """Many seeds of a SCENARIO.

    Ends with 10, 11 or 12 if a seed failed (as `run` does), and with 12 if an event that the
    scenario lists happens in less than 2 % of the seeds; that is left to `summary` for a shard.
    """
    job = make_job(scenario, driver=driver, nodes=nodes, settings=settings)
    refuse_overwriting(file, Path(scenario))
    warn_of_size(job, seeds[0])  # raises if there is something wrong with its plan
    began, tally, wanted = time.monotonic(), Tally(), shard.of(seeds)

    def hear(result: Result) -> None:
        if result["seed"] in wanted:  # the file may have others, too
            tally.add(result)

    with closing(open_results(file, job.identity(), hear)) as results:
        left = results.lacking(wanted, patience)
        _say(job, seeds, shard, len(left), file)
        with closing(_results(job, left, jobs, patience, dask)) as coming:
            _collect(results, coming, len(left), began)
    took_s = time.monotonic() - began
    summed = tally.summary()
    click.echo(
        f"{counted(len(left), 'seed')} run in {duration_text(took_s)}{_rate(len(left), took_s)}",
        err=True,
    )
    out.show(as_json(summed, whole=shard.whole), summary_lines(summed, out, whole=shard.whole))
    return summed.verdict(whole=shard.whole)


@click.command()
@click.argument("files", nargs=-1, required=True, type=_FILE)
@json_option
def summary(files: tuple[Path, ...], out: Output) -> int:
    """What the FILES of a sweep's shards say together. Ends as `sweep` does."""
    summed = summarise(read_results(files))
    _warn_of_gaps(summed)
    out.show(as_json(summed), summary_lines(summed, out))
    return summed.verdict()


def _warn_of_gaps(summed: Summary) -> None:
    if summed.gaps:
        first = ", ".join(map(str, summed.lacking))
        more = " …" if summed.gaps > len(summed.lacking) else ""
        lacking = f"{counted(summed.gaps, 'seed')} between the first and the last"
        click.echo(f"warning: {lacking} without a result (a shard?): {first}{more}", err=True)


def _say(job: Job, seeds: range, shard: Shard, left: int, file: Path) -> None:
    part = "" if shard.whole else f", shard {shard.number}/{shard.count}"
    told = f"{job.scenario.name}: seeds {seeds[0]} to {seeds[-1]}{part}, {left} to run, "
    click.echo(f"{told}commit {code_commit()}, {job.driver} driver; results: {file}", err=True)


def _results(
    job: Job, seeds: list[int], jobs: int | None, patience_s: float, dask: str | None
) -> Generator[Result]:
    if dask is not None:
        from netsim import clusters  # noqa: PLC0415  (only who has a cluster needs it)

        return clusters.results(job, seeds, dask)
    from netsim import workers  # noqa: PLC0415

    return workers.results(job, seeds, jobs=jobs or workers.cores(), patience_s=patience_s)


def _collect(file: ResultFile, coming: Iterable[Result], count: int, began: float) -> None:
    progress = _Progress(count, began)
    done = 0
    try:
        for result in coming:
            if result["commit"] != code_commit():
                raise Temporary(
                    f"the code changed during the sweep: {result['commit']}, not {code_commit()}",
                    hint="run it in a checkout that nobody edits, e.g. one of git worktree",
                )
            file.add(result)
            progress.count(result)
            done += 1
    except KeyboardInterrupt:
        progress.clear()
        click.echo(f"{done} of {count} done; the same command goes on with the others", err=True)
        raise
    finally:
        progress.clear()


class _Progress:
    """A line that changes in place, or a new one now and then where that is not possible."""

    def __init__(self, count: int, began: float) -> None:
        self._count = count
        self._began = self._said = began
        self._done = self._failed = 0
        self._line = sys.stderr

    def count(self, result: Result) -> None:
        self._done += 1
        self._failed += result["exit"] != 0
        now = time.monotonic()
        pause_s = 0.2 if self._line.isatty() else QUIET_S
        if now - self._said >= pause_s:
            self._said = now
            self._show(now - self._began)

    def clear(self) -> None:
        if self._line.isatty():
            self._line.write("\r\x1b[K")

    def _show(self, took_s: float) -> None:
        left_s = took_s / self._done * (self._count - self._done)
        failed = f", {self._failed} failed" if self._failed else ""
        told = f"{self._done} of {counted(self._count, 'seed')}{failed}{_rate(self._done, took_s)}"
        told += f", {duration_text(left_s)} left"
        self._line.write(f"\r\x1b[K{told}" if self._line.isatty() else f"{told}\n")
        self._line.flush()


def _rate(done: int, took_s: float) -> str:
    return f", {done / took_s:.1f} a second" if done else ""
