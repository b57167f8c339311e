"""`minimise`: from a seed that fails to the few things that make it fail."""

from pathlib import Path

import click

from netsim.cli.options import job_options
from netsim.job import make_job
from netsim.minimise import minimise as find_smallest
from netsim.scenario import to_toml
from netsim.verdict import Verdict, verdict_of
from qbix_node.errors import LocalError, Temporary


@click.command()
@job_options
@click.option("--seed", type=click.IntRange(min=0), required=True, help="One that fails.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Else it is printed.")
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
    text = to_toml(smallest)
    if out is None:
        click.echo(text, nl=False)
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Temporary(f"{out}: {error.strerror}") from error
    click.echo(f"run it: python -m netsim run {out} --driver {job.driver}", err=True)


def _tell(line: str) -> None:
    click.echo(line, err=True)
