"""Owns streams, announces them, and does not hand over all of them.

`amount`: 1 entries come without their contents, and who asks for some gets none, other bytes, or no
answer; 0 the same, but peers of odd numbers get all; 2 no entries come, but their Heads are told; 3
peers of odd numbers get all, the others get nothing.
"""

from collections.abc import Iterable
from dataclasses import replace

from netsim import facts
from netsim.roles.owning import Owner
from netsim.roles.role import Role, Stage
from netsim.roles.streaming import StreamScheme, scheming_about_streams
from qbix_node import machines as m
from qbix_node.replication.streams.contents.messages import Contents
from qbix_node.streams.messages import OfferedSegment

_SOME_CONTENTS, _CONTENTS, _SOME = 0, 1, 3


class StreamWithholder(StreamScheme):
    def __init__(self, stage: Stage, owner: Owner) -> None:
        super().__init__(stage, owner)
        self._answers = 0
        self._served = {site.peer for number, site in stage.sites.items() if number % 2}

    def change(self, send: m.Send) -> Iterable[m.Effect]:
        amount = int(self.stage.amount)
        if amount in (_SOME_CONTENTS, _SOME) and send.to in self._served:
            return (send,)
        if isinstance(send.message, Contents) and amount in (_SOME_CONTENTS, _CONTENTS):
            return self._answer(send.to, send.message)
        if not isinstance(send.message, OfferedSegment):
            return (send,)
        withheld = m.Emit(facts.Misdeed("withheld of a stream", send.to))
        if amount not in (_SOME_CONTENTS, _CONTENTS):
            return (withheld,)
        segment = send.message.segment
        bare = replace(segment, contents=(None,) * len(segment.contents))
        return (withheld, m.Send(send.to, OfferedSegment(bare)))

    def _answer(self, peer: m.PeerId, answer: Contents) -> Iterable[m.Effect]:
        self._answers += 1
        withheld = m.Emit(facts.Misdeed("withheld contents of a stream", peer))
        none = (None,) * len(answer.contents)
        match self._answers % 3:
            case 0:
                return (withheld,)
            case 1:
                return (withheld, m.Send(peer, Contents(none)))
            case _:
                return (withheld, m.Send(peer, Contents((b"something else", *none[1:]))))


def make_stream_withholder(stage: Stage) -> Role:
    return scheming_about_streams(stage, StreamWithholder)
