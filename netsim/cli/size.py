"""Warns of networks that are larger than their driver is made for."""

import click

from netsim.job import Job

TRIO_NODES_MAX = 200


def warn_of_size(job: Job, seed: int) -> None:
    """`seed`: one of those that are run."""
    count = len(job.plan(seed).nodes)
    if job.driver == "trio" and count > TRIO_NODES_MAX:
        click.echo(
            f"warning: {count} nodes; the trio driver is made for {TRIO_NODES_MAX} at most, "
            "and may take very long or all memory (--driver lean is not)",
            err=True,
        )
