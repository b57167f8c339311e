"""`run`: one run of a scenario, and what came out of it."""

from pathlib import Path

import click

from netsim import tracefile
from netsim.cli.files import OutFile, refuse_overwriting, replacing
from netsim.cli.options import SEED, job_options, json_option
from netsim.cli.outcome import failure_lines, outcome_lines
from netsim.cli.progress import shown
from netsim.cli.size import warn_of_size
from netsim.job import Job, make_job
from netsim.verdict import Verdict, verdict_of
from qbix_node.cli.output import Output
from qbix_node.cli.program import confess
from qbix_node.errors import ExitCode, QbixError


@click.command()
@job_options
@click.option("--seed", type=SEED, help="Repeats a run; else the scenario's, or 0.")
@click.option("--trace", type=OutFile(), help="Keep it all here.")
@json_option
def run(
    *,
    scenario: str,
    nodes: int | None,
    settings: tuple[str, ...],
    driver: str | None,
    seed: int | None,
    trace: Path | None,
    out: Output,
) -> int:
    """One run of a SCENARIO: a name of `list`, or a TOML file.

    Ends with 0 if all is well, 10 if something happened that never may, 11 if it did not come
    right after the faults, 12 if an expected event never happened.
    """
    job = make_job(scenario, driver=driver, nodes=nodes, settings=settings)
    refuse_overwriting(trace, Path(scenario))
    return _run(job, job.scenario.seed or 0 if seed is None else seed, trace, out)


def _run(job: Job, seed: int, trace: Path | None, out: Output) -> int:
    identity = job.identity()
    told = f"{identity['scenario']}: seed {seed}, commit {identity['commit']}, {job.driver} driver"
    click.echo(told, err=True)  # at once: should the process die, it is known in what
    click.echo(f"  {job.command(seed)}", err=True)
    warn_of_size(job, seed)
    try:
        with shown(out, "  running") as watch:
            outcome = job.run(seed, keep_trace=trace is not None, watch=watch)
    except QbixError:
        raise
    # The outermost place but one: it is known here what repeats the bug.
    except Exception as error:  # noqa: BLE001
        return _confess(job, seed, error)
    result = job.result(seed, outcome)
    if trace is not None:
        file = tracefile.make_trace(outcome, job.driver, job.command(seed), result)
        with replacing(trace) as part:
            tracefile.write(part, file)
        click.echo(f"  the trace is in {trace}", err=True)
    verdict = verdict_of(outcome)
    if verdict is not Verdict.OK and out.json:
        for line in failure_lines(result):
            click.echo(line, err=True)
    out.show(result, outcome_lines(result, out))
    return verdict


def _confess(job: Job, seed: int, error: Exception) -> int:
    identity = job.identity()
    lines = [
        f"FAILED: a bug of the simulator (exit {ExitCode.BUG})",
        f"  scenario {identity['scenario']}, seed {seed}, commit {identity['commit']}",
        f"  repeat it: {job.command(seed)}",
    ]
    click.echo("\n".join(lines), err=True)
    code = confess("python -m netsim", error)
    click.echo("\n".join(lines), err=True)
    return code
