"""What peers say to have of streams that are nothing to us (spec/gossip.md 6)."""

import trio
import trio.testing

from qbix_node.machines import PeerId
from qbix_node.replication.streams.messages import PeerHolds
from qbix_node.replication.streams.naming import NAMED_MAX, Named
from qbix_node.wire.references import StreamId
from tests.replication.network import keys_of
from tests.replication.streams.holders import Holder, peer_of, running
from tests.replication.streams.test_readers import Talker

BOB = PeerId(keys_of("bob").public)


def stream_of(number: int) -> StreamId:
    return StreamId(number.to_bytes(32, "big"))


def test_the_newest_are_remembered_and_what_is_forgotten_is_said() -> None:
    named = Named()
    assert named.note(BOB, {stream_of(0): 4, stream_of(1): -1}) == {
        stream_of(0): True,
        stream_of(1): False,
    }
    assert named.by(BOB) == [stream_of(0)]
    said = named.note(BOB, {stream_of(number): 0 for number in range(1, NAMED_MAX + 2)})
    assert not said[stream_of(0)]
    assert not said[stream_of(1)]
    assert len(named.by(BOB)) == NAMED_MAX
    named.note(BOB, {stream_of(2): -1})
    assert stream_of(2) not in named.by(BOB)
    named.forget(BOB)
    assert named.by(BOB) == []


async def test_it_lasts_as_long_as_the_conversation(
    autojump_clock: trio.testing.MockClock,
) -> None:
    alice, mallory = Holder("alice"), Talker()
    found: list[object] = []
    alice.streams.listen(found.append)
    async with running(alice):
        async with peer_of(alice, mallory.methods(), name="mallory"):
            await mallory.began.wait()
            await mallory.says(stream_of(1), 4)
            await trio.sleep(1)
            peer = PeerId(keys_of("mallory").public)
            assert alice.streams.announced_by(peer) == [stream_of(1)]
            assert PeerHolds(peer, {stream_of(1): True}) in found
        await trio.sleep(1)
        assert alice.streams.announced_by(peer) == []


async def test_what_is_followed_later_is_not_forgotten_for_others(
    autojump_clock: trio.testing.MockClock,
) -> None:
    alice, mallory = Holder("alice"), Talker()
    found: list[object] = []
    alice.streams.listen(found.append)
    async with running(alice), peer_of(alice, mallory.methods(), name="mallory"):
        await mallory.began.wait()
        await mallory.says(stream_of(0), 4)
        await trio.sleep(1)
        await alice.streams.follow(stream_of(0))
        await mallory.says(stream_of(0), 4)
        await trio.sleep(1)
        peer = PeerId(keys_of("mallory").public)
        assert alice.streams.announced_by(peer).count(stream_of(0)) == 1
        for number in range(1, NAMED_MAX + 2):
            await mallory.says(stream_of(number), 4)
        await trio.sleep(1)
        told = [each for each in found if isinstance(each, PeerHolds)]
        assert PeerHolds(peer, {stream_of(NAMED_MAX + 1): True, stream_of(1): False}) in told
        assert all(each.streams.get(stream_of(0), True) for each in told)
