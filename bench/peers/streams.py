"""A stream beside a hypercore: 300 bytes an entry or block, between two processes over TCP on
loopback, stored. Hypercore is installed when it is first wanted, in a folder of its own.
"""

import json
import subprocess
import tempfile
from pathlib import Path
from statistics import median

from bench import Figure
from bench.catchup import CONTENT_BYTES, ENTRIES, catch_up
from bench.peers import installed

HYPERCORE = Path(__file__).parent / "hypercore"
ROUNDS = 3


def why_not() -> str | None:
    """Installs what is missing."""
    return installed.why_not(HYPERCORE)


def hypercore(blocks: int) -> tuple[float, float]:
    """Seconds of processor time of the receiver, and on the clock."""
    me = ["node", str(HYPERCORE / "peer.cjs")]
    with tempfile.TemporaryDirectory(prefix="qbix-bench-") as folder:
        serving = subprocess.Popen(  # noqa: S603  (our program)
            [*me, "author", f"{folder}/author", str(blocks), str(CONTENT_BYTES)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        with serving:
            assert serving.stdout is not None
            where = json.loads(serving.stdout.readline())
            command = [*me, "reader", f"{folder}/reader", str(blocks)]
            command += [str(where["port"]), where["key"]]
            received = json.loads(subprocess.check_output(command, text=True))  # noqa: S603  (the same)
            serving.communicate()
    return received["cpu_s"], received["wall_s"]


def figures(count: int = ENTRIES) -> dict[str, Figure]:
    rounds = [(catch_up(count)[0], *hypercore(count)) for _ in range(ROUNDS)]

    def figure(ours_s: list[float], theirs_s: list[float], goal: float | None) -> Figure:
        return Figure(
            value=1e6 * median(ours_s) / count,
            unit="us",
            limit=1e6 * median(theirs_s) / count,
            limit_is="us of hypercore",
            goal=goal,
        )

    return {
        "receive, an entry": figure(
            [ours.cpu_s for ours, _, _ in rounds], [cpu_s for _, cpu_s, _ in rounds], 0.1
        ),
        "the same, time on the clock": figure(
            [ours.wall_s for ours, _, _ in rounds], [wall_s for _, _, wall_s in rounds], None
        ),
    }
