"""Asks for everything, and reads it slowly. `amount`: bytes a second from each connection; 0: 2000;
below 0: it never reads.
"""

from collections.abc import Iterable

from netsim.roles.role import Role, Stage
from netsim.roles.schemer import Scheme, scheming
from qbix_node import machines as m
from qbix_node.replication.messages import HistoryRequest

BYTES_S = 2000.0


class SlowReader(Scheme):
    def hear(self, event: m.Event) -> Iterable[m.Effect]:
        if isinstance(event, m.Connected):
            for feed in self.stage.feeds:
                yield m.Send(event.peer, HistoryRequest(feed, live=True, keys=False))


def make_slow_reader(stage: Stage) -> Role:
    return scheming(stage, SlowReader, reads_bytes_s=max(0.0, stage.amount or BYTES_S))
