"""Requests and streams between two sessions, and between one and a peer that misbehaves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qbix_node.errors import Malformed, Temporary
from qbix_node.net import muxrpc, packets
from qbix_node.net.limits import Limits
from qbix_node.net.muxrpc import (
    Answered,
    Asked,
    Brought,
    Channel,
    Ended,
    Goodbye,
    Incoming,
    Kind,
    Session,
)
from qbix_node.net.packets import END, STREAM, Body, BodyKind, Packet, PacketParser
from qbix_node.wire.v8json import JsonValue

KINDS: dict[str, Kind] = {
    "whoami": "sync",
    "blobs.has": "async",
    "blobs.get": "source",
    "ebt.replicate": "duplex",
}
ONE = Body.of_json(1)
TWO = Body.of_json(2)


class Peers:
    """Alice asks, Bob serves; what one says is heard at once when `pass_on` is called."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.alice = Session(KINDS, limits or Limits())
        self.bob = Session(KINDS, limits or Limits())

    def to_bob(self) -> list[Incoming]:
        return self.bob.receive(self.alice.take(10**9))

    def to_alice(self) -> list[Incoming]:
        return self.alice.receive(self.bob.take(10**9))


def session(**limits: int) -> Session:
    return Session(KINDS, Limits(**limits))


def request(name: JsonValue, *, kind: JsonValue = None, args: JsonValue = None) -> Body:
    value: dict[str, JsonValue] = {"name": name, "args": [] if args is None else args}
    return Body.of_json(value | ({} if kind is None else {"type": kind}))


def said(speaker: Session) -> list[Packet]:
    return PacketParser(10**6).feed(speaker.take(10**9))


def refusal_of(packet: Packet) -> JsonValue:
    flags, _, data = packet
    assert flags & END
    return Body(BodyKind.JSON, data).json("error")


# ---- how requests go ----


def test_a_call_is_answered() -> None:
    peers = Peers()
    called = peers.alice.call("blobs.has", ["&x"])
    (asked,) = peers.to_bob()
    assert asked == Asked(Channel(-called), "blobs.has", ["&x"], "async")
    peers.bob.answer(asked.channel, ONE)
    assert peers.to_alice() == [Answered(called, ONE)]


def test_a_call_is_refused_with_a_sentence() -> None:
    peers = Peers()
    called = peers.alice.call("blobs.has", [])
    (asked,) = peers.to_bob()
    assert isinstance(asked, Asked)
    peers.bob.refuse(asked.channel, "no")
    assert peers.to_alice() == [Answered(called, peers_error("no"), "no")]


def peers_error(message: str) -> Body:
    return Body.of_json({"message": message, "name": "Error", "stack": ""})


def test_what_a_source_sends_together_arrives_together() -> None:
    peers = Peers()
    opened = peers.alice.open("blobs.get", ["&x"], "source")
    assert peers.to_bob() == [Asked(Channel(-opened), "blobs.get", ["&x"], "source")]
    for body in (ONE, TWO):
        peers.bob.send(Channel(-opened), body)
    peers.bob.end(Channel(-opened))
    assert peers.to_alice() == [Brought(opened, [ONE, TWO]), Ended(opened, None)]


def test_streams_are_told_apart() -> None:
    peers = Peers()
    first = peers.alice.open("ebt.replicate", [], "duplex")
    second = peers.alice.open("ebt.replicate", [], "duplex")
    for channel, body in ((first, ONE), (second, ONE), (second, TWO), (first, TWO)):
        peers.alice.send(channel, body)
    assert peers.to_bob()[2:] == [
        Brought(Channel(-first), [ONE]),
        Brought(Channel(-second), [ONE, TWO]),
        Brought(Channel(-first), [TWO]),
    ]


def test_an_end_ends_both_directions() -> None:
    peers = Peers()
    opened = peers.alice.open("ebt.replicate", [], "duplex")
    peers.to_bob()
    peers.alice.end(opened, "enough")
    peers.bob.send(Channel(-opened), ONE)  # on its way when Alice ended the stream
    assert peers.to_bob() == [Ended(Channel(-opened), "enough")]
    assert peers.to_alice() == []
    peers.alice.end(opened)
    peers.bob.end(Channel(-opened))
    assert (peers.alice.queued_bytes, peers.bob.queued_bytes) == (0, 0)


def test_ends_that_cross_are_no_news() -> None:
    peers = Peers()
    opened = peers.alice.open("ebt.replicate", [], "duplex")
    peers.to_bob()
    peers.alice.end(opened)
    peers.bob.end(Channel(-opened))
    crossing = peers.alice.take(10**9)
    assert peers.to_alice() == []
    assert peers.bob.receive(crossing) == []
    assert (peers.alice.queued_bytes, peers.bob.queued_bytes) == (0, 0)


def test_goodbye_comes_after_what_is_queued_and_nothing_after_it() -> None:
    peers = Peers()
    peers.alice.call("blobs.has", [])
    peers.alice.goodbye()
    peers.alice.goodbye()
    peers.alice.call("blobs.has", [])
    asked, goodbye = peers.to_bob()
    assert isinstance(asked, Asked)
    assert goodbye == Goodbye()


def test_the_answer_to_a_call_that_nobody_waits_for_is_ignored() -> None:
    peers = Peers()
    called = peers.alice.call("blobs.has", [])
    peers.to_bob()
    peers.alice.forget(called)
    peers.bob.answer(Channel(-called), ONE)
    assert peers.to_alice() == []


def test_an_error_answers_a_stream_of_any_packet_kind() -> None:
    peers = Peers()
    opened = peers.alice.open("blobs.get", [], "source")
    answer = packets.encode(END, -opened, peers_error("no such command"))  # without STREAM
    assert peers.alice.receive(answer) == [Ended(opened, "no such command")]


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"true", None),
        (b"null", None),
        (b'"bad"', "bad"),
        (b"{}", "an error without a message"),
        (b'{"message":7}', "an error without a message"),
        (b'{"message":"' + b"x" * 1000 + b'"}', "x" * muxrpc.ERROR_TEXT_MAX),
    ],
)
def test_the_reason_of_an_end_is_read(body: bytes, text: str | None) -> None:
    alice = session()
    opened = alice.open("blobs.get", [], "source")
    end = packets.encode(STREAM | END, -opened, Body(BodyKind.JSON, body))
    assert alice.receive(end) == [Ended(opened, text)]


def test_old_messages_without_a_number_are_ignored() -> None:
    assert session().receive(packets.encode(0, 0, ONE)) == []


def test_queued_bytes_are_taken_in_pieces() -> None:
    alice, bob = session(), session()
    for _ in range(10):
        alice.call("blobs.has", ["x" * 100])
    whole = alice.queued_bytes
    pieces = [alice.take(300) for _ in range(whole // 300 + 1)]
    assert [len(piece) for piece in pieces] == [300] * (whole // 300) + [whole % 300]
    assert alice.queued_bytes == 0
    assert len(bob.receive(b"".join(pieces))) == 10


# ---- what is refused without asking anybody ----


@pytest.mark.parametrize(
    ("flags", "body", "message"),
    [
        (0, request(["a", "b"]), "method:a,b is not in list of allowed methods"),
        (0, request("a"), "method:a is not in list of allowed methods"),
        (STREAM, request(["a", "b"], kind="duplex"), "method:a,b is not in list of allowed"),
        (STREAM, request(["blobs", "get"], kind="duplex"), "no duplex:blobs,get"),
        (STREAM, request(["blobs", "get"], kind=["source"]), "no kind:blobs,get"),
        (STREAM, request(["blobs", "has"], kind="async"), None),
        (0, request(["blobs", "get"]), "no async:blobs,get"),
        (0, request(["blobs", "has"], args={}), "invalid request, args should be array"),
    ],
)
def test_requests_that_no_method_serves_are_refused_as_javascript_peers_do(
    flags: int, body: Body, message: str | None
) -> None:
    bob = session()
    events = bob.receive(packets.encode(flags, 5, body))
    if message is None:
        assert len(events) == 1
        return
    assert events == []
    (answer,) = said(bob)
    assert (answer[1], answer[0] & STREAM) == (-5, flags)
    error = refusal_of(answer)
    assert isinstance(error, dict)
    assert str(error["message"]).startswith(message)
    assert error["stack"] == ""


def test_sync_methods_are_called_like_async_ones() -> None:
    (asked,) = session().receive(packets.encode(0, 1, request("whoami")))
    assert asked == Asked(Channel(-1), "whoami", [], "sync")


def test_data_that_follows_a_refused_stream_is_ignored_until_it_ends() -> None:
    bob = session()
    bob.receive(packets.encode(STREAM, 3, request("nothing", kind="duplex")))
    assert bob.receive(packets.encode(STREAM, 3, ONE)) == []
    assert bob.receive(packets.encode(STREAM | END, 3, Body.of_json(None))) == []
    with pytest.raises(Malformed, match="no JSON object"):
        bob.receive(packets.encode(STREAM, 3, ONE))  # a new request by now, and no proper one


def test_more_open_requests_than_allowed_are_refused_until_one_ends() -> None:
    bob = session(streams_per_peer_max=2)
    ask = request(["blobs", "get"], kind="source")
    for number in (1, 2, 3):
        bob.receive(packets.encode(STREAM, number, ask))
    (answer,) = said(bob)
    assert answer[1] == -3
    assert refusal_of(answer) == {
        "message": "too many open requests, at most 2",
        "name": "Error",
        "stack": "",
    }
    bob.receive(packets.encode(STREAM | END, 1, Body.of_json(None)))
    bob.done(Channel(-1))
    assert len(bob.receive(packets.encode(STREAM, 4, ask))) == 1


def test_a_request_that_the_peer_ended_counts_while_we_work_on_it() -> None:
    bob = session(streams_per_peer_max=2)
    ask, end = request(["ebt", "replicate"], kind="duplex"), Body.of_json(None)
    for number in (1, 2):
        bob.receive(packets.encode(STREAM, number, ask))
        assert bob.receive(packets.encode(STREAM | END, number, end)) == [
            Ended(Channel(-number), None)
        ]
        assert bob.receive(packets.encode(STREAM | END, number, end)) == []
    said(bob)
    assert bob.receive(packets.encode(STREAM, 3, ask)) == []
    assert refusal_of(said(bob)[0])
    with pytest.raises(Malformed, match="data on request 2, which the peer ended"):
        bob.receive(packets.encode(STREAM, 2, ask))


def test_a_peer_that_ends_nothing_of_ours_is_asked_nothing_more() -> None:
    alice = session(streams_per_peer_max=2)
    for _ in range(4):
        alice.end(alice.open("blobs.get", [], "source"))
    with pytest.raises(Temporary, match="does not end streams"):
        alice.open("blobs.get", [], "source")
    alice.receive(packets.encode(STREAM | END, -1, Body.of_json(True)))
    alice.open("blobs.get", [], "source")


def test_answered_calls_do_not_count() -> None:
    bob = session(streams_per_peer_max=1)
    for number in range(1, 10):
        (asked,) = bob.receive(packets.encode(0, number, request(["blobs", "has"])))
        assert isinstance(asked, Asked)
        bob.answer(asked.channel, ONE)


def test_a_peer_that_never_ends_what_was_refused_is_cut_off() -> None:
    bob = session(streams_per_peer_max=2)
    ask = request("nothing", kind="duplex")
    for number in range(1, 5):
        bob.receive(packets.encode(STREAM, number, ask))
    with pytest.raises(Malformed, match="4 requests"):
        bob.receive(packets.encode(STREAM, 5, ask))


def test_refused_sources_cost_nothing_and_never_cut_off() -> None:
    bob = session(streams_per_peer_max=2)
    for number in range(1, 1000):  # as a peer asks that wants the history of each feed at once
        bob.receive(packets.encode(STREAM, number, request(["blobs", "get"], kind="source")))
    assert len(said(bob)) == 997


# ---- what is malformed ----


def test_data_from_who_opened_a_source_is_malformed() -> None:
    bob = session()
    bob.receive(packets.encode(STREAM, 1, request(["blobs", "get"], kind="source")))
    with pytest.raises(Malformed, match="data on request 1, which takes none"):
        bob.receive(packets.encode(STREAM, 1, ONE))


def test_a_number_that_is_in_use_is_malformed() -> None:
    bob = session()
    bob.receive(packets.encode(0, 1, request(["blobs", "has"])))
    with pytest.raises(Malformed, match="does not fit the open request 1"):
        bob.receive(packets.encode(0, 1, request(["blobs", "has"])))


@pytest.mark.parametrize(
    "body",
    [
        Body(BodyKind.JSON, b"{"),
        Body(BodyKind.BINARY, b"{}"),
        Body.of_json([]),
        Body.of_json({"args": []}),
        Body.of_json({"name": [], "args": []}),
        Body.of_json({"name": ["a"] * 5, "args": []}),
        Body.of_json({"name": ["a" * 65], "args": []}),
        Body.of_json({"name": [["a"]], "args": []}),
        Body.of_json({"name": None, "args": []}),
    ],
)
def test_what_is_no_request_is_malformed(body: Body) -> None:
    with pytest.raises(Malformed):
        session().receive(packets.encode(0, 1, body))


def test_request_numbers_run_out() -> None:
    alice = Session(KINDS, Limits(), requests_max=1)
    alice.call("blobs.has", [])
    with pytest.raises(Temporary, match="used up its request numbers"):
        alice.call("blobs.has", [])


REQUEST_BODIES = st.sampled_from(
    [
        request(["blobs", "has"]),
        request(["blobs", "get"], kind="source"),
        request(["ebt", "replicate"], kind="duplex"),
        request("nothing", kind="duplex"),
        ONE,
        peers_error("no"),
        Body(BodyKind.JSON, b"true"),
        Body(BodyKind.BINARY, b"\xff"),
    ]
)
SOME_PACKETS = st.builds(
    packets.encode,
    st.sampled_from([0, END, STREAM, STREAM | END]),
    st.integers(-4, 4),
    REQUEST_BODIES,
)


@given(st.lists(SOME_PACKETS | st.binary(max_size=20), max_size=30))
def test_whatever_a_peer_says_is_understood_or_malformed(pieces: list[bytes]) -> None:
    bob = session(streams_per_peer_max=3)
    bob.call("blobs.has", [])
    bob.open("blobs.get", [], "source")
    bob.open("ebt.replicate", [], "duplex")
    try:
        for piece in pieces:
            for event in bob.receive(piece):
                match event:
                    case Asked(channel, kind="async"):
                        bob.answer(channel, ONE)
                    case Asked(channel, kind="duplex"):
                        bob.send(channel, ONE)
                        bob.end(channel)
                    case _:
                        pass
    except Malformed:
        pass
