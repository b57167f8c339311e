"""Branches of one log, to be shown under Heads over more than is shown."""

from tests.streams.branches import Branch, genesis_of, keys_of, owned_by, signing

ALICE = keys_of("alice")
OWNERS = owned_by((ALICE, 1))
SIGNED = signing(OWNERS, ALICE)
GENESIS = genesis_of(OWNERS)
STREAM = GENESIS.stream
LONGEST = 40
COMMON = Branch(GENESIS)
while COMMON.length < LONGEST:
    COMMON.own(ALICE, content=b"common")


def branch_off(common: int, length: int = LONGEST) -> Branch:
    """Another log, with so many leaves in common."""
    log = COMMON.branch(common)
    while log.length < length:
        log.own(ALICE, content=b"other")
    return log
