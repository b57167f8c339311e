"""`qbix-node domain`: whose a domain's name is, and which nodes speak for it."""

from collections.abc import Iterator

import click

from qbix_node.cli.frame import Context, Group
from qbix_node.cli.output import Output
from qbix_node.http.domain_api import DomainRow, PublishedDomain
from qbix_node.http.rows import read_row, read_rows
from qbix_node.wire.references import format_feed, parse_feed


@click.group(cls=Group)
def domain() -> None:
    """Whose a domain's name is, and which nodes speak for it."""


@domain.command()
@click.argument("name")
@click.pass_obj
def lookup(context: Context, name: str) -> None:
    """Ask the settings, the DHT and DNS. Ends with 1 if no key is known for it."""
    with context.client() as client:
        answer = client.get("/domains/lookup", {"name": name})
    found = read_row(answer, DomainRow)
    context.out.show(answer, _lines(found, context.out))
    if found.key is None:
        raise click.exceptions.Exit(1)


def _lines(found: DomainRow, out: Output) -> Iterator[str]:
    if found.key is None and not found.claims:
        yield f"nobody speaks for {found.name}"
    elif found.key is None:
        yield out.paint(f"{len(found.claims)} keys claim {found.name}, nobody decides:", "yellow")
        yield from [f"  {claim.key}" for claim in found.claims]
    else:
        yield f"key       {found.key}  {_trust(found, out)}"
    yield from [f"node      {node}" for node in found.nodes]
    yield from [f"address   {address}" for address in found.addresses]


def _trust(found: DomainRow, out: Output) -> str:
    match found.confirmed_by:
        case "settings":
            return out.paint("by the settings of this node", "green")
        case "dns":
            return out.paint("by DNS", "green")
        case _:
            return out.paint("which only claims the name: nobody confirms it", "yellow")


@domain.command(name="list")
@click.pass_obj
def list_(context: Context) -> None:
    """The domains that this node speaks for."""
    with context.client() as client:
        answer = client.get("/domains")
    rows = read_rows(answer, PublishedDomain)
    lines = [f"{row.name}  {' '.join(row.nodes)}" for row in rows]
    context.out.show(answer, lines or "none is published by this node")


@domain.command()
@click.argument("name")
@click.option("--node", "nodes", metavar="KEY", multiple=True, help="Else this node; repeatable.")
@click.pass_obj
def publish(context: Context, name: str, nodes: tuple[str, ...]) -> None:
    """Say in the DHT, by this node's key, which nodes speak for a domain."""
    keys = [format_feed(parse_feed(each)) for each in nodes]
    with context.client() as client:
        answer = client.post("/domains/publish", {"name": name, "nodes": [*keys]})
    row = read_row(answer, PublishedDomain)
    record = f'_qbix.{row.name}. TXT "qbix1 key={row.key[1:].removesuffix(".ed25519")}"'
    context.out.show(answer, [f"published {row.name}", f"others believe it by DNS: {record}"])


@domain.command()
@click.argument("name")
@click.pass_obj
def withdraw(context: Context, name: str) -> None:
    """Say it no longer. Copies end within the hour."""
    with context.client() as client:
        client.post("/domains/withdraw", {"name": name})
    context.out.show({"withdrawn": name}, f"withdrawn {name}")
