"""Two processes on loopback: one serves what it wrote until its input ends, one gets it.

Both are a module of this package, called with `author FOLDER COUNT` and with `reader FOLDER COUNT`
and what the author printed first. Each prints what it spent, as JSON.
"""

import json
import subprocess
import sys
import tempfile
import time
from typing import Any

import trio

from qbix_node.crypto.keys import KeyPair

NETWORK_KEY = b"bench".ljust(32, b".")
AUTHOR, READER = KeyPair.from_seed(b"a" * 32), KeyPair.from_seed(b"r" * 32)


async def serve(*where: str) -> None:
    """By the author, once it can be called: says where, and what serving took."""
    print(*where, flush=True)
    start_s = time.process_time()
    await trio.to_thread.run_sync(sys.stdin.read)
    print(json.dumps({"cpu_s": time.process_time() - start_s}))


def exchange(module: str, count: int) -> tuple[dict[str, Any], float]:
    """What the reader printed, and seconds of the author's processor time for it."""
    me = [sys.executable, "-m", module]
    with tempfile.TemporaryDirectory(prefix="qbix-bench-") as folder:
        serving = subprocess.Popen(  # noqa: S603  (a module of ours)
            [*me, "author", f"{folder}/author", str(count)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        with serving:
            assert serving.stdout is not None
            where = serving.stdout.readline().split()
            command = [*me, "reader", f"{folder}/reader", str(count), *where]
            received = subprocess.check_output(command, text=True)  # noqa: S603  (the same)
            served, _ = serving.communicate()
    return json.loads(received), json.loads(served)["cpu_s"]
