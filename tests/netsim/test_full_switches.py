"""The canary: it dies before a trio that changed its switches makes runs differ."""

import pytest
import trio

from netsim.full import switches


def test_this_trio_has_the_switches() -> None:
    switches.check()


@pytest.mark.parametrize(
    ("where", "name"),
    [
        (trio._core._run, "_r"),
        (trio._core._run, "_ALLOW_DETERMINISTIC_SCHEDULING"),
        (trio._core._run, "GLOBAL_RUN_CONTEXT"),
        (trio._core, "_run"),
        (trio, "_core"),
    ],
)
def test_a_trio_without_one_of_them_is_refused_with_its_name(
    monkeypatch: pytest.MonkeyPatch, where: object, name: str
) -> None:
    monkeypatch.delattr(where, name)
    with pytest.raises(switches.TrioChangedError, match=rf"{trio.__version__} .*{name}"):
        switches.check()


def order(seed: int | None) -> list[int]:
    """The order in which trio lets 20 tasks run."""
    ran: list[int] = []

    async def task(number: int) -> None:
        ran.append(number)

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            for number in range(20):
                nursery.start_soon(task, number)

    if seed is None:
        trio.run(main)
    else:
        with switches.deterministic_scheduling(seed):
            trio.run(main)
    return ran


def test_the_order_of_tasks_follows_from_the_seed() -> None:
    assert order(1) == order(1)
    assert order(1) != order(2)


def test_the_switches_are_as_before_afterwards() -> None:
    core = trio._core._run
    before = core._r.getstate(), core._ALLOW_DETERMINISTIC_SCHEDULING
    with pytest.raises(KeyError), switches.deterministic_scheduling(1):
        raise KeyError
    order(2)
    assert (core._r.getstate(), core._ALLOW_DETERMINISTIC_SCHEDULING) == before


async def test_it_is_known_whether_a_task_can_run(nursery: trio.Nursery) -> None:
    assert not switches.anybody_can_run()
    nursery.start_soon(trio.sleep, 0)
    assert switches.anybody_can_run()
