"""Which report a file asks for, and the page that shows it."""

import zipfile
from collections.abc import Sequence
from pathlib import Path

from netsim.report.page import make_page
from netsim.report.runs import read_run
from netsim.report.sweeps import read_sweep
from qbix_node.errors import BadInput


def render(paths: Sequence[Path]) -> str:
    """The page for one trace, or for one or several files of a sweep."""
    traces = [path for path in paths if zipfile.is_zipfile(path)]
    if not traces:
        sweep = read_sweep(paths)
        return make_page(f"sweep of {sweep.name}", sweep.data, b"", entry="sweep")
    if len(paths) > 1:
        raise BadInput(
            "a trace is shown alone", hint=f"report {traces[0]} --html {traces[0].stem}.html"
        )
    run = read_run(traces[0])
    return make_page(run.name, run.data, run.records, entry="run")
