"""TXT records, asked of a name server of this machine."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import dns.message
import dns.rcode
import dns.rrset
import pytest
import trio

from qbix_node.net import txt
from qbix_node.net.txt import TEXTS_MAX, DnsTexts

NAME = "_qbix.example.org."


@asynccontextmanager
async def serving(*texts: str, junk: bytes = b"") -> AsyncIterator[DnsTexts]:
    """A server that has these texts of every name, or answers junk."""
    with trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_DGRAM) as udp:
        await udp.bind(("127.0.0.1", 0))

        async def serve() -> None:
            while True:
                data, source = await udp.recvfrom(4096)
                await udp.sendto(junk or answer_to(data), source)

        def answer_to(data: bytes) -> bytes:
            asked = dns.message.from_wire(data)
            answer = dns.message.make_response(asked)
            if texts:
                name = asked.question[0].name
                answer.answer.append(dns.rrset.from_text_list(name, 60, "IN", "TXT", texts))
            else:
                answer.set_rcode(dns.rcode.NXDOMAIN)
            return answer.to_wire(max_size=4096)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve)
            yield DnsTexts([udp.getsockname()])
            nursery.cancel_scope.cancel()


async def test_texts_come_whole() -> None:
    async with serving('"qbix1 key=A"', '"in two " "parts"') as names:
        assert sorted(await names.texts(NAME)) == ["in two parts", "qbix1 key=A"]


async def test_bytes_that_are_no_text_do_no_harm() -> None:
    async with serving('"\\255"') as names:
        assert await names.texts(NAME) == ["\N{REPLACEMENT CHARACTER}"]


async def test_of_many_texts_some_are_taken() -> None:
    async with serving(*[f'"{number}"' for number in range(TEXTS_MAX + 5)]) as names:
        assert len(await names.texts(NAME)) == TEXTS_MAX


async def test_a_name_without_texts_has_none() -> None:
    async with serving() as names:
        assert await names.texts(NAME) == []


async def test_a_server_that_answers_junk_or_nothing_says_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(txt, "PATIENCE_S", 0.2)
    async with serving(junk=b"junk") as names:
        assert await names.texts(NAME) == []
    assert await DnsTexts([("127.0.0.1", 9)]).texts(NAME) == []
