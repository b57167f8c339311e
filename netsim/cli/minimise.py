"""`minimise`: from a seed that fails to the few things that make it fail."""

from dataclasses import replace
from pathlib import Path

import click

from netsim.cli.files import OutFile, refuse_overwriting, replacing
from netsim.cli.options import SEED, job_options
from netsim.job import Job, make_job
from netsim.minimise import minimise as find_smallest
from netsim.plan import Plan
from netsim.scenario import to_toml
from netsim.verdict import Verdict, verdict_of
from qbix_node.errors import LocalError


@click.command()
@job_options
@click.option("--seed", type=SEED, required=True, help="One that fails.")
@click.option("--out", type=OutFile(), help="Else it is printed.")
def minimise(
    *,
    scenario: str,
    nodes: int | None,
    settings: tuple[str, ...],
    driver: str | None,
    seed: int,
    out: Path | None,
) -> None:
    """The smallest plan that fails in the same way: fewer faults, nodes and operations, less time.

    It is a scenario by itself, for `run` and for the library.
    """
    job = make_job(scenario, driver=driver, nodes=nodes, settings=settings)
    refuse_overwriting(out, Path(scenario))
    match verdict_of(job.run(seed)):
        case Verdict.OK:
            raise LocalError(f"seed {seed} does not fail", hint=f"see {job.command(seed)}")
        case Verdict.MISSING:
            raise LocalError(
                f"seed {seed} only lacks an event: an empty plan lacks it as well, and is smallest",
                hint=f"compare it with a seed that has it; see {job.command(seed)}",
            )
        case _:
            pass
    smallest = find_smallest(job.plan(seed), job.driver, tell=_tell)
    text = _written(smallest, job, out)
    if out is None:
        click.echo(text, nl=False)
        return
    with replacing(out) as part:
        part.write_text(text, encoding="utf-8")
    click.echo(f"run it: python -m netsim run {out} --driver {job.driver}", err=True)


def _written(plan: Plan, job: Job, out: Path | None) -> str:
    """A scenario has the name of its file, which is how it is found in the library."""
    about = f"Written out from {job.scenario.name}, seed {plan.seed}."
    return to_toml(plan if out is None else replace(plan, scenario=out.stem), about=about)


def _tell(line: str) -> None:
    click.echo(line, err=True)
