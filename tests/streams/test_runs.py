"""Runs of entries as they are taken in."""

from dataclasses import replace

import pytest

from qbix_node.errors import Malformed
from tests.streams.branches import Branch, genesis_of, keys_of, owned_by, signing
from tests.streams.takers import Taker

ALICE = keys_of("alice")
OF_ALICE = owned_by((ALICE, 1))


def test_the_genesis_comes_without_another_content() -> None:
    log = Branch(genesis_of(OF_ALICE))
    segment = log.segment(signing(OF_ALICE, ALICE))
    with pytest.raises(Malformed, match="genesis"):
        Taker().take(replace(segment, contents=(b"",)).encoded)
    assert Taker().take(segment.encoded).length == 1
