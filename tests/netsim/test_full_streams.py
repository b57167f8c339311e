import pytest
import trio

from netsim.full.clock import DeadlockError, LoopClock
from netsim.full.streams import FabricStream
from netsim.full.wires import DATAGRAMS_MAX
from netsim.loop import Loop
from netsim.site import PORT, host_of
from tests.netsim.virtual import LATENCY_S, Town, in_virtual_time


async def read_all(stream: trio.abc.Stream) -> bytes:
    data = b""
    while more := await stream.receive_some():
        data += more
    return data


def test_bytes_arrive_in_order_after_the_latency() -> None:
    async def main(town: Town, nursery: trio.Nursery) -> None:
        ours, theirs = await town.connect(nursery)
        began = trio.current_time()
        await ours.send_all(b"one ")
        await ours.send_all(b"two")
        assert await theirs.receive_some() == b"one "
        assert trio.current_time() - began == pytest.approx(LATENCY_S, abs=0.001)
        assert await theirs.receive_some() == b"two"

    in_virtual_time(main)


def test_no_more_is_read_than_asked_for() -> None:
    async def main(town: Town, nursery: trio.Nursery) -> None:
        ours, theirs = await town.connect(nursery)
        await ours.send_all(b"12345")
        assert [await theirs.receive_some(2) for _ in range(3)] == [b"12", b"34", b"5"]

    in_virtual_time(main)


def test_who_sends_waits_for_who_reads() -> None:
    async def main(town: Town, nursery: trio.Nursery) -> None:
        ours, theirs = await town.connect(nursery)
        window = town.fabric.window
        sent = 0

        async def send() -> None:
            nonlocal sent
            for _ in range(10):
                await ours.send_all(bytes(window // 4))
                sent += window // 4

        nursery.start_soon(send)
        await trio.sleep(100)
        assert sent == window
        assert len(await theirs.receive_some(window // 2)) == window // 2
        await trio.sleep(100)
        assert sent == window + window // 2

    in_virtual_time(main)


def test_one_direction_can_end_while_the_other_goes_on() -> None:
    async def main(town: Town, nursery: trio.Nursery) -> None:
        ours, theirs = await town.connect(nursery)
        assert isinstance(ours, FabricStream)
        await ours.send_all(b"question")
        await ours.send_eof()
        with pytest.raises(trio.ClosedResourceError):
            await ours.send_all(b"more")
        assert await read_all(theirs) == b"question"
        await theirs.send_all(b"answer")
        await theirs.aclose()
        assert await read_all(ours) == b"answer"

    in_virtual_time(main)


def test_what_was_sent_before_the_end_arrives_before_it() -> None:
    async def main(town: Town, nursery: trio.Nursery) -> None:
        ours, theirs = await town.connect(nursery)
        await ours.send_all(b"goodbye")
        await ours.aclose()
        assert await read_all(theirs) == b"goodbye"
        with pytest.raises(trio.BrokenResourceError):
            await theirs.send_all(b"wait")
        with pytest.raises(trio.ClosedResourceError):
            await ours.receive_some()

    in_virtual_time(main)


def test_to_close_without_having_read_is_a_reset() -> None:
    async def main(town: Town, nursery: trio.Nursery) -> None:
        ours, theirs = await town.connect(nursery)
        await ours.send_all(b"listen")
        await trio.sleep(1)
        await theirs.aclose()
        with pytest.raises(trio.BrokenResourceError):
            await ours.receive_some()
        with pytest.raises(trio.BrokenResourceError):
            await ours.send_all(b"listen")

    in_virtual_time(main)


def test_a_process_that_is_gone_neither_hears_nor_says_anything() -> None:
    async def main(town: Town, nursery: trio.Nursery) -> None:
        ours, theirs = await town.connect(nursery)
        await ours.send_all(b"too late")
        town.sockets.cut(1)
        await trio.sleep(1)
        with pytest.raises(trio.BrokenResourceError):
            await theirs.receive_some()
        with pytest.raises(trio.BrokenResourceError):
            await theirs.send_all(b"I was")
        await trio.sleep(1)

    in_virtual_time(main)


def test_two_tasks_on_one_stream_are_a_bug() -> None:
    async def main(town: Town, nursery: trio.Nursery) -> None:
        ours, _ = await town.connect(nursery)
        nursery.start_soon(ours.send_all, bytes(2 * town.fabric.window))
        nursery.start_soon(ours.receive_some)
        await trio.sleep(1)
        with pytest.raises(trio.BusyResourceError):
            await ours.send_all(b"I too")
        with pytest.raises(trio.BusyResourceError):
            await ours.receive_some()

    in_virtual_time(main)


def test_where_nobody_listens_a_dial_fails() -> None:
    async def main(town: Town, nursery: trio.Nursery) -> None:
        with pytest.raises(OSError, match="refused"):
            await town.wires(0).dial(host_of(1), PORT)
        with pytest.raises(OSError, match="refused"):
            await town.wires(0).dial(host_of(1), PORT + 1)
        with pytest.raises(OSError, match="no host"):
            await town.wires(0).dial("example.com", PORT)

    in_virtual_time(main)


def test_a_dial_that_is_given_up_leaves_no_connection() -> None:
    async def main(town: Town, nursery: trio.Nursery) -> None:
        ended: list[object] = []

        async def accept(stream: trio.abc.Stream, host: str) -> None:
            with pytest.raises(trio.BrokenResourceError):
                ended.append(await stream.receive_some())
            ended.append(b"broken")

        await nursery.start(town.wires(1).serve, host_of(1), PORT, accept)
        with trio.move_on_after(1.5 * LATENCY_S):
            await town.wires(0).dial(host_of(1), PORT)
        await trio.sleep(1)
        assert ended == [b"broken"]
        assert not town.sockets.streams

    in_virtual_time(main)


def test_a_shout_is_heard_by_all_who_listen() -> None:
    async def main(town: Town, nursery: trio.Nursery) -> None:
        async with town.wires(0).open() as here, town.wires(1).open() as there:
            await here.shout(lambda host: f"I am at {host}".encode())
            assert await there.hear(1000) == (b"I am at 10.0.0.0", "10.0.0.0")
            assert await here.hear(4) == (b"I am", "10.0.0.0")

    in_virtual_time(main)


def test_who_does_not_listen_loses_what_is_too_much() -> None:
    async def main(town: Town, nursery: trio.Nursery) -> None:
        async with town.wires(0).open() as here, town.wires(1).open() as there:
            for number in range(DATAGRAMS_MAX + 5):
                await here.shout(lambda host, number=number: b"%d" % number)  # type: ignore[misc]
                await trio.sleep(1)
            for number in range(DATAGRAMS_MAX):
                assert (await there.hear(10))[0] == b"%d" % number
            with trio.move_on_after(10) as waiting:
                await there.hear(10)
            assert waiting.cancelled_caught

    in_virtual_time(main)


def test_time_passes_only_in_the_loop() -> None:
    async def main(town: Town, nursery: trio.Nursery) -> None:
        happened: list[float] = []
        for at in (5.0, 2.0, 9.0):
            town.loop.at(at, lambda: happened.append(trio.current_time()))
        await trio.sleep(7)
        assert happened == [2, 5]
        assert trio.current_time() == town.loop.now == 7

    in_virtual_time(main)


def test_a_run_in_which_nothing_can_happen_is_told() -> None:
    clock = LoopClock(Loop(), over=lambda: False)
    trio.run(clock.ended.wait, clock=clock)
    assert isinstance(clock.failure, DeadlockError)


def test_what_fails_in_the_loop_ends_the_run() -> None:
    loop = Loop()
    clock = LoopClock(loop, over=lambda: False)
    loop.at(5, dict[str, str]().__getitem__, "missing")
    trio.run(clock.ended.wait, clock=clock)
    assert isinstance(clock.failure, KeyError)
    assert loop.now == 5
