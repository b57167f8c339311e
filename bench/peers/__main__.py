"""Processor time and disk of the node beside those of ssb-db2 and ssb-ebt on the same work, of
hypercore, or of HyperDHT.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import trio

from bench import Figure
from bench.__main__ import conclusion, row
from bench.catchup import ENTRIES
from bench.peers import dht, streams
from bench.peers.receiving import Receiving, Writing, measure
from tests.interop.jspeer import why_no_js_peers


def figures(
    messages: int, written: Writing, theirs: Receiving, ours: Receiving
) -> dict[str, Figure]:
    def cpu(ours_s: float, theirs_s: float, goal: float) -> Figure:
        return Figure(
            value=ours_s * 1e6 / messages,
            unit="us",
            limit=theirs_s * 1e6 / messages,
            limit_is="us of ssb-db2 and ssb-ebt",
            goal=goal,
        )

    def disk(limit: float, limit_is: str, goal: float) -> Figure:
        return Figure(
            value=ours.disk_bytes / messages,
            unit="bytes",
            limit=limit / messages,
            limit_is=limit_is,
            goal=goal,
        )

    start = Figure(
        value=ours.start_s * 1e3,
        unit="ms",
        limit=theirs.start_s * 1e3,
        limit_is="ms of ssb-db2 and ssb-ebt",
        goal=None,
    )
    return {
        "receive, a message": cpu(ours.receive_s, theirs.receive_s, 0.6),
        "serve, a message": cpu(ours.serve_s, theirs.serve_s, 0.15),
        "append, a message": cpu(written.ours_s, written.theirs_s, 0.35),
        "start, once": start,
        "disk, a message": disk(theirs.disk_bytes, "bytes of ssb-db2", 0.6),
        "disk, a message over raw": disk(written.encoded_bytes, "bytes encoded", 1.5),
    }


def beside_feeds(messages: int) -> dict[str, Figure]:
    with tempfile.TemporaryDirectory(prefix="qbix-bench-") as folder:
        measured = trio.run(measure, Path(folder), messages)
    return figures(messages, *measured)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.peers", description=__doc__)
    parser.add_argument("what", nargs="?", choices=["feeds", "streams", "dht"], default="feeds")
    parser.add_argument("--messages", type=int, metavar="N", help="or entries")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    why_not = {"feeds": why_no_js_peers, "streams": streams.why_not, "dht": dht.why_not}
    if reason := why_not[options.what]():
        print(reason, file=sys.stderr)
        return 2
    if options.what == "feeds":
        results = {"peers": beside_feeds(options.messages or 10_000)}
    elif options.what == "streams":
        results = {"peers": streams.figures(options.messages or ENTRIES)}
    else:
        results = {"peers": dht.figures()}
    if options.json:
        print(json.dumps(results, indent=2))
    else:
        print("\n".join([row(*each) for each in results["peers"].items()]))
        print(conclusion(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
