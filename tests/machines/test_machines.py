from dataclasses import FrozenInstanceError

import pytest

from qbix_node import machines as m


def test_parts_that_share_tokens_never_use_the_same() -> None:
    tokens = m.Tokens()
    first, second = [tokens.new() for _ in range(3)], [tokens.new() for _ in range(3)]
    assert len({*first, *second}) == 6


def test_effects_and_events_compare_by_what_they_say_and_do_not_change() -> None:
    effect = m.Persist(m.Token(1), (m.Put(b"k", b"v"), m.Delete(b"l")))
    assert effect == m.Persist(m.Token(1), (m.Put(b"k", b"v"), m.Delete(b"l")))
    assert effect != m.Persist(m.Token(1), (m.Delete(b"l"), m.Put(b"k", b"v")))
    with pytest.raises(FrozenInstanceError):
        effect.token = m.Token(2)  # type: ignore[misc]
