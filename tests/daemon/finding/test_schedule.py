"""When which search is due."""

import random

from qbix_node.daemon.finding.schedule import AGAIN_S, AGAIN_S_MAX, Schedule

RNG = random.Random(1)


def test_what_is_wanted_is_looked_for_at_once_or_after_its_patience() -> None:
    searches = Schedule[str]()
    searches.want([("stream", 0.0), ("peer", 15.0)], 100.0)
    assert searches.begin(100.0, 8) == ["stream"]
    assert searches.begin(114.9, 8) == []
    assert searches.begin(115.0, 8) == ["peer"]


def test_a_search_that_is_under_way_is_not_begun_again() -> None:
    searches = Schedule[str]()
    searches.want([("stream", 0.0)], 0.0)
    assert searches.begin(0.0, 8) == ["stream"]
    searches.want([("stream", 0.0)], 50.0)
    assert searches.begin(1000.0, 8) == []


def test_the_waits_between_searches_double_up_to_a_limit() -> None:
    searches, now, waits = Schedule[str](), 0.0, list[float]()
    searches.want([("stream", 0.0)], now)
    for _ in range(12):
        began = now
        while not searches.begin(now, 8):
            now += 0.5
        waits.append(now - began)
        searches.end("stream", now, RNG)
    waits = waits[1:]
    assert AGAIN_S * 0.75 <= waits[0] <= AGAIN_S * 1.25 + 0.5
    assert all(wait <= AGAIN_S_MAX * 1.25 + 0.5 for wait in waits)
    assert waits[-1] >= AGAIN_S_MAX * 0.75


def test_no_more_are_begun_than_there_is_room_for_and_the_longest_waiting_come_first() -> None:
    searches = Schedule[int]()
    searches.want([(number, 0.0) for number in range(5)], 0.0)
    assert searches.begin(0.0, 2) == [0, 1]
    searches.end(0, 0.0, RNG)
    assert searches.begin(2.0, 2) == [2, 3]
    assert searches.begin(60.0, 8) == [4, 0]


def test_what_is_wanted_no_longer_is_forgotten() -> None:
    searches = Schedule[str]()
    searches.want([("stream", 0.0)], 0.0)
    searches.begin(0.0, 8)
    searches.want([], 1.0)
    assert (len(searches), searches.wants("stream")) == (0, False)
    searches.end("stream", 1.0, RNG)  # nobody minds
    searches.want([("stream", 0.0)], 2.0)
    assert searches.begin(2.0, 8) == ["stream"]
