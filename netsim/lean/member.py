"""An honest node over all its lives: its process is started, stopped and killed."""

import traceback
from pathlib import Path

from netsim import facts
from netsim.lean.node import Node
from netsim.plan import Operation
from netsim.site import Site
from netsim.world import Load, World


class LeanMember:
    def __init__(self, world: World, site: Site) -> None:
        self.site = site
        self._world = world
        self._node: Node | None = None
        self._stopping = False
        self._again = False  # to be started once it has stopped

    @property
    def up(self) -> bool:
        return self._node is not None

    def start(self) -> None:
        if self._node is not None:
            self._again = self._stopping
            return
        clean = self._open_disk()
        self._world.journal.tell(self.site.number, facts.Started(clean))
        try:
            self._node = Node(self._world, self.site, self._fail, clean=clean)
        except Exception as error:  # noqa: BLE001  (what the disk holds is not to be lived with)
            self._tell_failed(error)
            return
        self._node.start()

    def stop(self) -> None:
        self._again = False
        if self._node is None or self._stopping:
            return
        self._stopping = True
        self._node.stop(self._stopped)

    def crash(self, *, power: bool) -> None:
        if self._node is None:
            return
        self._again = False
        self._end()
        if power:
            self._world.fabric.vanish(self.site.number)
        else:
            self._world.fabric.kill(self.site.number)
        self._world.journal.tell(self.site.number, self.site.disk.crash(power=power))

    def ask(self, operation: Operation) -> None:
        if self._node is not None and not self._stopping:
            self._node.ask(operation)

    def load(self) -> Load:
        return self._node.load() if self._node is not None else Load()

    def _open_disk(self) -> bool:
        """Whether it was closed cleanly."""
        opening = self.site.disk.open()
        self.site.disk.was_clean = False
        if opening.rolled_back is not None:
            self._world.journal.tell(self.site.number, opening.rolled_back)
        return opening.clean

    def _stopped(self) -> None:
        self._end()
        self.site.disk.was_clean = True
        self._world.journal.tell(self.site.number, facts.Stopped())
        if self._again:
            self._again = False
            self.start()

    def _end(self) -> None:
        assert self._node is not None
        self._node.abandon()
        self._node = None
        self._stopping = False

    def _fail(self, error: Exception) -> None:
        self._tell_failed(error)
        self.crash(power=False)

    def _tell_failed(self, error: Exception) -> None:
        where = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{'/'.join(Path(where.filename).parts[-3:])}:{where.lineno}"
        what = f"{type(error).__name__}: {error} ({place})"
        self._world.journal.tell(self.site.number, facts.Failed(what))
