"""Contents that did not come with their entries: left out, fetched, dropped, filled."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import trio
import trio.testing

from qbix_node import machines as m
from qbix_node.errors import BadInput
from qbix_node.net.link import Body, BodyKind, Link, RemoteRefusal, Stream
from qbix_node.net.methods import Method
from qbix_node.replication.streams.contents import messages as c
from qbix_node.replication.streams.contents.allowance import (
    BURST_BYTES,
    BYTES_A_SECOND,
    PEERS_MAX,
    QUESTION_BYTES,
    Allowances,
)
from qbix_node.replication.streams.contents.service import ANSWER_S
from qbix_node.streams.messages import NewEntry
from qbix_node.streams.shelf import READ_BYTES_MAX, AskFor, Drop, Fill
from qbix_node.wire.references import StreamId
from qbix_node.wire.v8json import JsonValue
from tests.replication.network import keys_of
from tests.replication.streams.content_peers import CALL, Peer, answered, nothing
from tests.replication.streams.holders import Holder, joined, peer_of, running, segments_of

PEER = m.PeerId(bytes(32))


@pytest.fixture
def alice() -> Holder:
    return Holder("alice")


@pytest.fixture
def bob() -> Holder:
    return Holder("bob")


@pytest.fixture
def carol() -> Holder:
    return Holder("carol")


def contents(holder: Holder, stream: StreamId) -> list[bytes | None]:
    return [content for _, content in holder.log(stream)]


async def whole(holder: Holder, stream: StreamId) -> None:
    """Wait until no content is missing."""
    length = holder.length(stream)
    kept = holder.streams.contents
    with trio.fail_after(600):
        while (await kept.gaps(stream, 1, length)).missing:
            await kept.coming(stream).wait()


async def test_who_follows_headers_only_is_sent_no_contents(
    alice: Holder, bob: Holder, autojump_clock: trio.testing.MockClock
) -> None:
    async with running(alice, bob):
        stream = await alice.create()
        await bob.streams.follow(stream, headers_only=True)
        async with joined(alice, bob) as links:
            await alice.streams.append(stream, (NewEntry("post", b"x" * 50_000),))
            await bob.streams.wait_beyond(stream, 1)
            await trio.sleep(60)
            assert links[1].bytes_in < 10_000
        assert contents(bob, stream) == [None, None]
        assert bob.streams.status(stream).headers_only
    bob = Holder("bob", bob.store)
    assert bob.streams.status(stream).headers_only
    async with running(alice, bob), joined(bob, alice):
        await trio.sleep(1)  # for the conversation to begin
        await bob.streams.follow(stream)
        await whole(bob, stream)
        assert bob.log(stream) == alice.log(stream)
        assert not bob.streams.status(stream).headers_only
        questions = len(asked_by(bob))
        await alice.append(stream, 1)
        await bob.streams.wait_beyond(stream, 2)
        assert bob.log(stream) == alice.log(stream)
        await trio.sleep(60)
        assert len(asked_by(bob)) == questions  # it came with its entry


async def test_a_stream_that_is_unfollowed_is_not_followed_in_any_way(
    bob: Holder, autojump_clock: trio.testing.MockClock
) -> None:
    stream = StreamId(b"stream".ljust(32, b"."))
    async with running(bob):
        await bob.streams.follow(stream, headers_only=True)
        await bob.streams.unfollow(stream)
        assert not bob.streams.status(stream).headers_only
    assert not Holder("bob", bob.store).streams.status(stream).following


async def test_contents_come_from_somebody_else_where_a_source_has_headers_only(
    alice: Holder, bob: Holder, carol: Holder, autojump_clock: trio.testing.MockClock
) -> None:
    async with running(alice, bob, carol):
        stream = await alice.create()
        for _ in range(3):
            await alice.append(stream, 200)
        await bob.streams.follow(stream, headers_only=True)
        await carol.streams.follow(stream)
        async with joined(alice, bob), joined(bob, carol):
            await carol.streams.wait_beyond(stream, 600)
            await trio.sleep(600)
            assert contents(carol, stream) == [None] * 601
            assert asked_by(carol) == []  # bob has said that he keeps none
            async with joined(alice, carol):
                await whole(carol, stream)
                assert {*asked_by(carol)} == {alice.keys.public}
                # Bob stays the one whom new entries come from.
                await alice.append(stream, 1)
                await carol.streams.wait_beyond(stream, 601)
                await trio.sleep(1)
                assert carol.log(stream) == alice.log(stream)
    assert contents(bob, stream) == [None] * 602


def asked_by(holder: Holder) -> list[bytes]:
    """The peers that it asked for contents."""
    sends = [each for each in holder.findings if isinstance(each, m.Send)]
    return [send.to for send in sends if isinstance(send.message, c.WantContents)]


async def test_contents_that_come_unwanted_are_left_out(
    alice: Holder, bob: Holder, autojump_clock: trio.testing.MockClock
) -> None:
    async with running(alice, bob):
        stream = await alice.create()
        await alice.append(stream, 5)
        sent = segments_of(alice, stream)

        async def talk(link: Link, _: list[JsonValue], talk: Stream | None) -> JsonValue:
            assert talk is not None
            await talk.send([Body(BodyKind.BINARY, each.encoded) for each in sent])
            while await talk.receive_many():
                pass
            return None

        await bob.streams.follow(stream, headers_only=True)
        async with peer_of(bob, {CALL: Method("duplex", talk)}):
            await bob.streams.wait_beyond(stream, 5)
    assert contents(bob, stream) == [None] * 6


async def test_the_owner_hears_who_has_its_entries(
    alice: Holder, bob: Holder, autojump_clock: trio.testing.MockClock
) -> None:
    async with running(alice, bob), joined(alice, bob):
        stream = await alice.create()
        await bob.streams.follow(stream)
        for length in range(2, 5):
            await alice.append(stream, 1)
            await bob.streams.wait_beyond(stream, length - 1)
            await trio.sleep(3)
            assert alice.streams.status(stream).claimed == length
            assert alice.streams.holders(stream) == {bob.keys.public: length}


# ---- peers that withhold, lie, or say nothing ----


async def bare_log(alice: Holder, bob: Holder, entries: int) -> StreamId:
    """Bob has alice's entries, and has followed them whole only since she has left."""
    stream = await alice.create()
    await alice.append(stream, entries)
    await bob.streams.follow(stream, headers_only=True)
    async with joined(alice, bob):
        await bob.streams.wait_beyond(stream, entries)
    await bob.streams.follow(stream)
    return stream


async def test_a_peer_that_withholds_is_passed_by_and_rests(
    alice: Holder, bob: Holder, autojump_clock: trio.testing.MockClock
) -> None:
    async with running(alice, bob):
        stream = await bare_log(alice, bob, 5)
        peer = Peer(stream, 6, nothing)
        async with peer_of(bob, peer.methods(), name="mallory"):
            await trio.sleep(59)
            assert [each.places for each in peer.questions] == [(5, 4, 3, 2, 1)]
            await trio.sleep(3600)
            assert 4 <= len(peer.questions) <= 7  # after 60 s, 120 s, 240 s ...
            asked = len(peer.questions)
            async with joined(bob, alice):
                await whole(bob, stream)
            assert len(peer.questions) <= asked + 1
    assert bob.log(stream) == alice.log(stream)


async def test_a_peer_that_sends_wrong_bytes_is_not_asked_again_in_this_connection(
    alice: Holder, bob: Holder, autojump_clock: trio.testing.MockClock
) -> None:
    true = b"3" * 20

    def lies(question: c.WantContents) -> list[Body]:
        return answered([true if place == 4 else b"lie" for place in question.places])

    async with running(alice, bob):
        stream = await bare_log(alice, bob, 5)
        peer = Peer(stream, 6, lies)
        async with peer_of(bob, peer.methods(), name="mallory"):
            await trio.sleep(1000)
            assert len(peer.questions) == 1
            [refused] = [f for f in bob.findings if isinstance(f, c.ContentsRefused)]
            assert refused.peer == keys_of("mallory").public
            assert contents(bob, stream) == [None, None, None, None, true, None]  # what is right
        async with peer_of(bob, peer.methods(), name="mallory"):
            await trio.sleep(1)
            assert len(peer.questions) == 2
        async with joined(bob, alice):
            await whole(bob, stream)
    assert bob.log(stream) == alice.log(stream)


@pytest.mark.parametrize(
    "answer",
    [
        lambda question: answered([None] * (len(question.places) - 1)),
        lambda question: answered([None] * (len(question.places) + 1)),
    ],
    ids=["shorter", "longer"],
)
async def test_an_answer_of_another_length_is_a_wrong_one(
    alice: Holder,
    bob: Holder,
    answer: Callable[..., list[Body]],
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with running(alice, bob):
        stream = await bare_log(alice, bob, 5)
        peer = Peer(stream, 6, answer)
        async with peer_of(bob, peer.methods()):
            await trio.sleep(1000)
    assert len(peer.questions) == 1


@pytest.mark.parametrize(
    "bodies",
    [
        [Body(BodyKind.JSON, b"[1,[]]")],
        [Body(BodyKind.BINARY, b"\x93no")],
        [*answered([None] * 5), *answered([None] * 5)],
    ],
    ids=["json", "no msgpack", "two answers"],
)
async def test_what_is_no_answer_ends_the_link(
    alice: Holder, bob: Holder, bodies: list[Body], autojump_clock: trio.testing.MockClock
) -> None:
    async with running(alice, bob):
        stream = await bare_log(alice, bob, 5)
        async with peer_of(bob, Peer(stream, 6, lambda _: bodies).methods()) as link:
            await trio.sleep(2)
            assert link.closed_because is not None


async def test_a_peer_that_never_answers_is_asked_later_again(
    alice: Holder, bob: Holder, autojump_clock: trio.testing.MockClock
) -> None:
    async with running(alice, bob):
        stream = await bare_log(alice, bob, 5)
        peer = Peer(stream, 6, lambda _: [])
        async with peer_of(bob, peer.methods()):
            await trio.sleep(140)
            assert len(peer.questions) == 1
            await trio.sleep(20)
            assert len(peer.questions) == 2
            assert peer.ended == 1  # of the first question
            async with joined(bob, alice):
                await whole(bob, stream)
    assert bob.log(stream) == alice.log(stream)


async def test_a_peer_without_the_method_is_left_alone(
    alice: Holder, bob: Holder, autojump_clock: trio.testing.MockClock
) -> None:
    calls = 0

    async def refuse(_: Link, __: list[JsonValue], ___: Stream | None) -> JsonValue:
        nonlocal calls
        calls += 1
        raise RemoteRefusal("method:qbix,contents is not in list of allowed methods")

    async with running(alice, bob):
        stream = await bare_log(alice, bob, 5)
        methods = {**Peer(stream, 6, nothing).methods(), c.METHOD: Method("duplex", refuse)}
        async with peer_of(bob, methods) as link:
            await trio.sleep(1000)
            assert link.closed_because is None
    assert calls == 1


async def test_two_peers_that_have_a_half_each_make_a_whole(
    alice: Holder, bob: Holder, autojump_clock: trio.testing.MockClock
) -> None:
    async with running(alice, bob):
        stream = await bare_log(alice, bob, 200)
        here = contents(alice, stream)
        halves = [
            Peer(stream, 201, lambda q, odd=odd: answered(half_of(here, q, odd))) for odd in (0, 1)
        ]
        async with (
            peer_of(bob, halves[0].methods(), name="odd"),
            peer_of(bob, halves[1].methods(), name="even"),
        ):
            await whole(bob, stream)
    assert bob.log(stream) == alice.log(stream)


def half_of(here: list[bytes | None], question: c.WantContents, odd: int) -> list[bytes | None]:
    return [here[place] if place % 2 == odd else None for place in question.places]


# ---- what is asked of us ----


async def asked(link: Link, question: c.WantContents) -> tuple[bytes | None, ...]:
    talk = await link.open(c.METHOD, c.ARGUMENTS, "duplex")
    await talk.send([Body(BodyKind.BINARY, c.encode_question(question))])
    [body] = await talk.receive_many()
    await talk.end()
    return c.read_answer(body.data).contents


async def test_contents_are_answered_by_place(
    alice: Holder, autojump_clock: trio.testing.MockClock
) -> None:
    async with running(alice):
        stream = await alice.create()
        await alice.append(stream, 30)
        here = contents(alice, stream)
        async with peer_of(alice, {}, dials=True) as peer:
            got = await asked(peer, c.WantContents(stream, (3, 29, 1, 31, 100_000, 3)))
    assert got == (here[3], here[29], here[1], None, None, here[3])


async def test_an_answer_has_a_mebibyte_at_most(
    alice: Holder, autojump_clock: trio.testing.MockClock
) -> None:
    async with running(alice):
        stream = await alice.create()
        for _ in range(20):
            await alice.streams.append(stream, (NewEntry("post", bytes(65_000)),))
        async with peer_of(alice, {}, dials=True) as peer:
            got = await asked(peer, c.WantContents(stream, tuple(range(1, 21))))
    assert [content is not None for content in got] == [True] * 15 + [False] * 5


async def test_who_may_not_read_a_stream_is_answered_as_if_it_were_not_there(
    alice: Holder, autojump_clock: trio.testing.MockClock
) -> None:
    async with running(alice):
        private = await alice.create(readers=[keys_of("bob").public])
        await alice.append(private, 3)
        absent = StreamId(b"absent".ljust(32, b"."))
        async with peer_of(alice, {}, dials=True) as stranger:
            for stream in (private, absent):
                got = await asked(stranger, c.WantContents(stream, (1, 2)))
                assert got == (None, None)
        async with peer_of(alice, {}, dials=True, name="bob") as reader:
            assert None not in await asked(reader, c.WantContents(private, (1, 2)))


async def test_an_unfollowed_stream_is_not_answered_about(
    alice: Holder, bob: Holder, autojump_clock: trio.testing.MockClock
) -> None:
    async with running(alice, bob):
        stream = await alice.create()
        await alice.append(stream, 3)
        await bob.streams.follow(stream)
        async with joined(alice, bob):
            await bob.streams.wait_beyond(stream, 3)
        async with peer_of(bob, {}, dials=True) as peer:
            assert None not in await asked(peer, c.WantContents(stream, (1, 2)))
            await bob.streams.unfollow(stream)
            assert await asked(peer, c.WantContents(stream, (1, 2))) == (None, None)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x93no",
        c.encode_question(c.WantContents(StreamId(b"s" * 32), ())),
        c.encode_question(c.WantContents(StreamId(b"s" * 32), (0,))),
        c.encode_question(c.WantContents(StreamId(b"s" * 31), (1,))),
        c.encode_question(c.WantContents(StreamId(b"s" * 32), (2**30 - 1,))),
        c.encode_question(c.WantContents(StreamId(b"s" * 32), tuple(range(1, 258)))),
        bytes(4097),
    ],
)
async def test_what_is_no_question_ends_the_conversation(
    alice: Holder, data: bytes, autojump_clock: trio.testing.MockClock
) -> None:
    async with running(alice), peer_of(alice, {}, dials=True) as peer:
        talk = await peer.open(c.METHOD, c.ARGUMENTS, "duplex")
        await talk.send([Body(BodyKind.BINARY, data or b"\0")])
        with pytest.raises(RemoteRefusal, match=c.METHOD):
            await talk.receive_many()


# ---- dropped, fetched, filled ----


async def test_what_was_dropped_comes_again_only_when_it_is_asked_for(
    alice: Holder, bob: Holder, autojump_clock: trio.testing.MockClock
) -> None:
    async with running(alice, bob):
        stream = await alice.create()
        for _ in range(3):
            await alice.append(stream, 100)
        await bob.streams.follow(stream)
        async with joined(alice, bob):
            await bob.streams.wait_beyond(stream, 300)
            before = bob.log(stream)
            done = await bob.streams.contents.change(Drop(stream, 50, 250))
            assert (done.contents, done.bytes) == (
                200,
                sum(len(x or b"") for _, x in before[50:250]),
            )
            assert contents(bob, stream)[50:250] == [None] * 200
            assert contents(bob, stream)[1:50] == [x for _, x in before[1:50]]
            await trio.sleep(1000)
            assert contents(bob, stream)[50:250] == [None] * 200
    bob = Holder("bob", bob.store)
    async with running(alice, bob), joined(bob, alice):
        await trio.sleep(1000)
        assert contents(bob, stream)[50:250] == [None] * 200
        assert (await bob.streams.contents.gaps(stream, 1, 301)).dropped == 200
        done = await bob.streams.contents.change(AskFor(stream, 100, 120))
        assert done.contents == 20
        await whole(bob, stream)
        gaps = await bob.streams.contents.gaps(stream, 1, 301)
        assert (gaps.missing, gaps.dropped) == (0, 180)
        assert contents(bob, stream)[100:120] == [x for _, x in before[100:120]]
        await bob.streams.contents.change(AskFor(stream, 1, 301))
        await whole(bob, stream)
    assert bob.log(stream) == before


async def test_of_a_stream_without_contents_some_can_be_asked_for(
    alice: Holder, bob: Holder, autojump_clock: trio.testing.MockClock
) -> None:
    async with running(alice, bob):
        stream = await alice.create()
        await alice.append(stream, 10)
        await bob.streams.follow(stream, headers_only=True)
        async with joined(alice, bob):
            await bob.streams.wait_beyond(stream, 10)
            await bob.streams.contents.change(AskFor(stream, 4, 6))
            await bob.streams.contents.coming(stream).wait()
            await trio.sleep(1000)
    here = contents(alice, stream)
    assert contents(bob, stream) == [None] * 4 + here[4:6] + [None] * 5


async def test_an_import_fills_what_is_missing(
    alice: Holder, bob: Holder, autojump_clock: trio.testing.MockClock
) -> None:
    async with running(alice, bob):
        stream = await bare_log(alice, bob, 200)
        await bob.streams.contents.change(Drop(stream, 10, 20))
        filled = [await bob.streams.take(each) for each in segments_of(alice, stream)]
    assert sum(filled) == 200
    assert bob.log(stream) == alice.log(stream)


async def test_an_import_with_other_contents_is_refused(
    alice: Holder, bob: Holder, autojump_clock: trio.testing.MockClock
) -> None:
    async with running(alice, bob):
        stream = await bare_log(alice, bob, 5)
        [segment] = segments_of(alice, stream)
        false = replace(segment, contents=(None, None, b"false", *segment.contents[3:]))
        with pytest.raises(BadInput, match="entry 2: this is not its content"):
            await bob.streams.take(false)
    assert contents(bob, stream)[:3] == [None] * 3


async def test_an_answer_that_is_late_does_not_bring_back_what_was_dropped(
    alice: Holder, bob: Holder, autojump_clock: trio.testing.MockClock
) -> None:
    async with running(alice, bob):
        stream = await bare_log(alice, bob, 5)
        here = contents(alice, stream)
        await bob.streams.contents.change(Drop(stream, 1, 6))
        done = await bob.streams.contents.change(Fill(stream, {2: here[2] or b""}))
    assert done.contents == 0
    assert contents(bob, stream) == [None] * 6


async def test_who_asks_for_large_contents_for_ever_is_slowed_and_others_are_not(
    alice: Holder, autojump_clock: trio.testing.MockClock
) -> None:
    """Also over a new connection; nothing is refused. Contents that lie far apart make a node read
    more than it answers.
    """
    async with running(alice):
        stream = await alice.create()
        for _ in range(11):
            await alice.streams.append(stream, (NewEntry("post", bytes(60_000)),) * 8)
        far_apart = c.WantContents(stream, tuple(range(1, 89, 8)))
        began = trio.current_time()
        for _ in range(2):
            async with peer_of(alice, {}, dials=True, name="greedy") as greedy:
                for _ in range(40):
                    assert None not in (await asked(greedy, far_apart))[:5]
        read_too_much = 80 * READ_BYTES_MAX - BURST_BYTES
        assert trio.current_time() - began >= read_too_much / BYTES_A_SECOND > 3
        async with peer_of(alice, {}, dials=True, name="honest") as honest:
            began = trio.current_time()
            assert None not in (await asked(honest, far_apart))[:5]
            assert trio.current_time() == began


def test_a_peer_never_waits_for_longer_than_one_question_cost() -> None:
    allowances, now = Allowances(), 0.0
    for _ in range(1000):
        waits = allowances.wait_s(PEER, now)
        assert waits <= (READ_BYTES_MAX + 2**20) / BYTES_A_SECOND < ANSWER_S
        now += waits
        allowances.charge(PEER, READ_BYTES_MAX + 2**20, now)
    assert now == pytest.approx(
        (1000 * (READ_BYTES_MAX + 2**20) - BURST_BYTES) / BYTES_A_SECOND, rel=0.02
    )


def test_questions_about_nothing_cost_something_too_and_peers_are_remembered_in_bounds() -> None:
    allowances = Allowances()
    for number in range(3 * PEERS_MAX):
        allowances.charge(m.PeerId(number.to_bytes(32)), 0, 0.0)
    assert len(allowances._accounts) == PEERS_MAX
    for _ in range(BURST_BYTES // QUESTION_BYTES + 1):
        allowances.charge(PEER, 0, 0.0)
    assert allowances.wait_s(PEER, 0.0) > 0
