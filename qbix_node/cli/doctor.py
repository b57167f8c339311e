"""`qbix-node doctor`."""

from dataclasses import asdict

import click

from qbix_node.cli.frame import Command, Context
from qbix_node.daemon.doctor import Finding, examine
from qbix_node.errors import ExitCode

_MARKS = {"good": ("ok", "green"), "note": ("note", "yellow"), "bad": ("BAD", "red")}


@click.command(cls=Command)
@click.pass_obj
def doctor(context: Context) -> int:
    """Look at all that a node needs, and say what to do. Ends with 1 if something is wrong."""
    findings = []
    with context.out.progress("looking through the store") as progress:
        for finding in examine(
            context.home, context.config_path, lambda count: progress.at(f"{count} records")
        ):
            findings.append(finding)
            if not context.out.json:
                progress.clear()
                context.out.text(_line(context, finding))
    bad = [finding for finding in findings if finding.verdict == "bad"]
    rows = [asdict(finding) for finding in findings]
    context.out.show({"healthy": not bad, "findings": list(rows)}, _closing(len(bad)))
    return ExitCode.REFUSED if bad else ExitCode.DONE


def _closing(wrong: int) -> str:
    match wrong:
        case 0:
            return "nothing is wrong"
        case 1:
            return "1 thing is wrong"
        case _:
            return f"{wrong} things are wrong"


def _line(context: Context, finding: Finding) -> str:
    mark, colour = _MARKS[finding.verdict]
    line = f"{context.out.paint(f'{mark:<4}', colour)}  {finding.subject:<9} {finding.said}"
    return f"{line}\n{'':<16}{finding.advice}" if finding.advice else line
