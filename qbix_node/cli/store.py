"""`qbix-node store`: look through the store, or repair it, while the daemon is stopped."""

from dataclasses import asdict

import click

from qbix_node.cli.frame import Context, Group
from qbix_node.cli.output import size_text
from qbix_node.errors import ExitCode
from qbix_node.store.check import check as check_store
from qbix_node.store.check import repair as repair_store


@click.group(cls=Group)
def store() -> None:
    """The database in the home; the daemon must be stopped."""


@store.command()
@click.pass_obj
def check(context: Context) -> int:
    """Read every record and its checksum. Ends with 78 when there is damage."""
    home = context.home
    home.require()
    with context.out.progress("checked") as progress:
        found = check_store(home.store, progress=lambda count: progress.at(f"{count} records"))
    told = [f"{found.records} records, {size_text(found.bytes)}, {found.commit} batches"]
    if found.damage:
        told = [context.out.paint(found.damage, "red"), *told]
        told += [f"  damaged: {file}" for file in found.damaged_files]
        told += ["  qbix-node store repair keeps what can be read"]
    data = asdict(found) | {"damaged_files": list(found.damaged_files)}
    context.out.show(data, told)
    return ExitCode.CONFIG if found.damage else ExitCode.DONE


@store.command()
@click.pass_obj
def repair(context: Context) -> None:
    """Keep what can be read; the files as they were are put aside. Peers fill what is missing."""
    home = context.home
    home.require()
    with context.out.progress("kept") as progress:
        done = repair_store(home.store, progress=lambda count: progress.at(f"{count} records"))
    told = [
        f"kept {done.records} records; the files as they were are in {done.put_aside}",
        f"at least {done.batches_lost_min} batches are lost; peers have what was replicated",
    ]
    data = asdict(done) | {
        "damaged_files": list(done.damaged_files),
        "put_aside": str(done.put_aside),
    }
    context.out.show(data, told)
