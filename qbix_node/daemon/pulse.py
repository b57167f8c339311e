"""Does the node do its work? Found out by doing some: a small durable write, now and then."""

import trio

from qbix_node.ports import Put, Store

KEY = b"d/pulse"
EVERY_S = 10.0  # asked more often, the last answer holds
PATIENCE_S = 5.0


class Pulse:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._felt_at = -EVERY_S
        self._wrong: list[str] = []

    async def wrong(self) -> list[str]:
        """What does not work, in sentences; empty: all well."""
        if reason := self._store.degraded:
            return [reason]
        if trio.current_time() - self._felt_at >= EVERY_S or self._wrong:
            self._felt_at = trio.current_time()
            self._wrong = await self._feel()
        return self._wrong

    async def _feel(self) -> list[str]:
        with trio.move_on_after(PATIENCE_S):
            await self._store.write([Put(KEY, b"")])
            return []
        return [f"the disk did not confirm a write within {PATIENCE_S:.0f} s"]
