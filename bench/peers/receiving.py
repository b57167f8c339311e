"""Write a feed; receive one over EBT, store it and hand it on: processor time, and the disk."""

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

import trio

from tests.interop.jspeer import JsPeer, open_js_peer
from tests.interop.node import make_home, open_node, write_feed

TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
TEXT_BYTES = 200


@dataclass(frozen=True, slots=True)
class Receiving:
    """Seconds of processor time, all threads of the process; bytes on disk once it has ended."""

    start_s: float  # until it was ready
    receive_s: float  # from then on until the feed was stored
    serve_s: float  # handing the same feed on to a JavaScript peer
    disk_bytes: int


@dataclass(frozen=True, slots=True)
class Writing:
    """Seconds of processor time for a feed of their own, several messages at once."""

    theirs_s: float
    ours_s: float
    encoded_bytes: int  # the messages alone, as they are hashed


def cpu_s(process: trio.Process) -> float:
    """User and system time of a process so far (proc(5): fields 14 and 15 of stat)."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_A_SECOND


def disk_bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


async def javascript(alice: JsPeer, folder: Path, messages: int) -> Receiving:
    """ssb-db2 and ssb-ebt."""
    async with open_js_peer("db2", folder / "js", replicate=alice.id) as receiver:
        start_s = cpu_s(receiver.process)
        await receiver.tell("connect", address=alice.address)
        await receiver.reach(alice.id, messages)
        await receiver.tell("stats")  # answered once everything is on disk
        received_s = cpu_s(receiver.process)
        await receiver.tell("disconnect", id=alice.id)
        await hand_on(receiver.address, alice.id, folder / "from-js", messages)
        served_s = cpu_s(receiver.process)
    return Receiving(
        start_s, received_s - start_s, served_s - received_s, disk_bytes(folder / "js")
    )


async def ours(alice: JsPeer, folder: Path, messages: int) -> Receiving:
    """This node."""
    await make_home(folder / "node")
    async with open_node(folder / "node") as receiver:
        start_s = cpu_s(receiver.process)
        await receiver.follow(alice.id)
        await receiver.dial(alice.address)
        await receiver.reach(alice.id, messages)
        received_s = cpu_s(receiver.process)
        await alice.tell("disconnect", id=receiver.id)
        await hand_on(receiver.address, alice.id, folder / "from-node", messages)
        served_s = cpu_s(receiver.process)
    return Receiving(
        start_s, received_s - start_s, served_s - received_s, disk_bytes(folder / "node")
    )


async def hand_on(address: str, feed: str, folder: Path, messages: int) -> None:
    async with open_js_peer("db2", folder, replicate=feed, connect=address) as peer:
        await peer.reach(feed, messages)


async def append(folder: Path, messages: int) -> float:
    """Our own service in this process, so that no requests are measured."""
    post = json.dumps({"type": "post", "text": "x" * TEXT_BYTES}).encode()
    await make_home(folder / "author")
    started_s = time.process_time()
    await write_feed(folder / "author", [post] * messages)
    return time.process_time() - started_s


async def measure(folder: Path, messages: int) -> tuple[Writing, Receiving, Receiving]:
    """How ssb-db2 and our node write, and how either receives what ssb-db2 wrote."""
    feed = {"seed": "alice", "messages": messages, "content": "bulk", "size": TEXT_BYTES}
    async with open_js_peer("db2", folder / "alice", **feed) as alice:
        encoded_bytes = sum(len(each.encoded.encode()) for each in (await alice.log()).values())
        theirs = await javascript(alice, folder, messages)
        mine = await ours(alice, folder, messages)
        created_s = alice.ready["created_cpu_s"]
    return Writing(created_s, await append(folder, messages), encoded_bytes), theirs, mine
