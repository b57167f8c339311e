"""Runs of entries as they are taken in."""

from dataclasses import replace

import pytest

from qbix_node.errors import Malformed
from qbix_node.streams.genesis import Uniqueness
from qbix_node.streams.succession import OWNERS_SET
from tests.streams.branches import Branch, genesis_of, keys_of, owned_by, signing
from tests.streams.takers import Taker

ALICE, BOB = keys_of("alice"), keys_of("bob")
OF_ALICE, OF_BOB = owned_by((ALICE, 1)), owned_by((BOB, 1))


def test_the_genesis_comes_without_another_content() -> None:
    log = Branch(genesis_of(OF_ALICE))
    segment = log.segment(signing(OF_ALICE, ALICE))
    with pytest.raises(Malformed, match="genesis"):
        Taker().take(replace(segment, contents=(b"",)).encoded)
    assert Taker().take(segment.encoded).length == 1


def test_who_comes_after_an_owner_isnt_bound_to_the_clock_of_that_one() -> None:
    log = Branch(genesis_of(OF_ALICE, Uniqueness.NONE))
    content = log.change(OF_BOB, signing(OF_ALICE, ALICE)).encoded
    log.own(ALICE, 9000, content, lambda each: each._replace(kind=OWNERS_SET))
    taker = Taker()
    taker.take(log.segment(signing(OF_ALICE, ALICE)).encoded)
    log.own(BOB, 3000)
    assert taker.take(log.segment(signing(OF_BOB, BOB), first=2).encoded).stamp_ms == 3000
    log.own(BOB, 2999)
    with pytest.raises(Malformed, match="backwards"):
        taker.take(log.segment(signing(OF_BOB, BOB), first=3).encoded)
