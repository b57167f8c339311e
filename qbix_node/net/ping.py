"""`gossip.ping`: peers send each other their clocks, which keeps a quiet connection alive.

As github.com/dominictarr/pull-ping does it: who receives a time on a stream that the other side
opened answers with its own.
"""

from typing import TYPE_CHECKING

from qbix_node.net.methods import Method
from qbix_node.net.packets import Body
from qbix_node.wire.v8json import JsonValue

if TYPE_CHECKING:
    from qbix_node.net.link import Link, Stream

NAME = "gossip.ping"


def clock(wall_s: float) -> Body:
    return Body.of_json(int(1000 * wall_s))


async def _answer(link: "Link", args: list[JsonValue], stream: "Stream | None") -> None:
    assert stream is not None
    while times := await stream.receive_many():
        await stream.send([clock(link.wall_clock())] * len(times))


METHOD = Method("duplex", _answer)
