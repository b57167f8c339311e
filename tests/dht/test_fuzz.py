"""A short run of what `python -m tests.dht.fuzz` does for long."""

import pytest

from tests.dht.fuzz import LIMITS, Fuzz

DATAGRAMS = 12_000


@pytest.mark.parametrize("seed", [1, 2])
def test_a_node_lives_bounded_and_answers_among_bad_datagrams(seed: int) -> None:
    fuzz = Fuzz(seed)
    most = fuzz.run(DATAGRAMS)
    counted = fuzz.victim.dht.figures()
    reasons = {name for name, count in counted.items() if name.startswith("ignored") and count}
    assert {
        "ignored: malformed",
        "ignored: no address",
        "ignored: not for us",
        "ignored: not sealed",
        "ignored: not asked",
        "ignored: another answers",
        "ignored: replayed",
    } <= reasons
    assert most["peers"] == LIMITS.peers_max, "the bound was reached"
    assert counted["requests served"] > DATAGRAMS / 50
    assert counted["answers"] > 10
    assert most["contacts"] > 10
