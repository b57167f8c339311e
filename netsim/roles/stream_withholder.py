"""Owns streams, announces them, and does not hand over all of them.

`amount`: 0 or 1 entries come without their contents; 2 no entries come, but their Heads are told;
3 peers of odd numbers get all, the others get nothing.
"""

from collections.abc import Iterable
from dataclasses import replace

from netsim import facts
from netsim.roles.owning import Owner
from netsim.roles.role import Role, Stage
from netsim.roles.streaming import StreamScheme, scheming_about_streams
from qbix_node import machines as m
from qbix_node.streams.messages import OfferedSegment

_CONTENTS, _SOME = 1, 3


class StreamWithholder(StreamScheme):
    def __init__(self, stage: Stage, owner: Owner) -> None:
        super().__init__(stage, owner)
        self._served = {site.peer for number, site in stage.sites.items() if number % 2}

    def change(self, send: m.Send) -> Iterable[m.Effect]:
        if not isinstance(send.message, OfferedSegment):
            return (send,)
        amount = int(self.stage.amount) or _CONTENTS
        if amount == _SOME and send.to in self._served:
            return (send,)
        withheld = m.Emit(facts.Misdeed("withheld of a stream", send.to))
        if amount != _CONTENTS:
            return (withheld,)
        segment = send.message.segment
        bare = replace(segment, contents=(None,) * len(segment.contents))
        return (withheld, m.Send(send.to, OfferedSegment(bare)))


def make_stream_withholder(stage: Stage) -> Role:
    return scheming_about_streams(stage, StreamWithholder)
