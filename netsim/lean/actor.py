"""A byzantine node over all its lives: its role is made once, a crash ends only connections."""

from netsim import facts
from netsim.fabric import End
from netsim.lean.face import FaceHost
from netsim.lean.process import Process
from netsim.lean.writer import Writer
from netsim.plan import Operation
from netsim.roles import make_role
from netsim.site import Site
from netsim.world import Load, World


class LeanActor:
    def __init__(self, world: World, site: Site) -> None:
        self.site = site
        self._world = world
        self._role = make_role(site.plan.role, site, world.sites)
        self._process: Process | None = None
        self._faces: list[FaceHost] = []

    @property
    def up(self) -> bool:
        return self._process is not None

    def start(self) -> None:
        if self._process is not None:
            return
        self._world.journal.tell(self.site.number, facts.Started(clean=True))
        self._process = process = Process(self._world, self.site, self._fail)
        writer = Writer(process)
        self._faces = [FaceHost(process, writer, face) for face in self._role.faces]
        process.enter(self._start)

    def _start(self) -> None:
        if self._role.listens:
            self._world.fabric.listen(self.site.number, self._accept)
        for face in self._faces:
            face.start()

    def _accept(self, end: End) -> None:
        if self._process is not None:
            self._process.enter(self._faces[0].accept, end)

    def stop(self) -> None:
        if self._process is not None:
            self._world.fabric.kill(self.site.number)
            self._end()
            self._world.journal.tell(self.site.number, facts.Stopped())

    def crash(self, *, power: bool) -> None:
        if self._process is not None:
            fabric = self._world.fabric
            (fabric.vanish if power else fabric.kill)(self.site.number)
            self._end()
            self._world.journal.tell(self.site.number, facts.Crashed(power))

    def ask(self, operation: Operation) -> None:
        if self._process is not None:
            for face in self._faces:
                self._process.enter(face.ask, operation)

    def load(self) -> Load:
        return Load()

    def _end(self) -> None:
        assert self._process is not None
        self._process.over = True
        for face in self._faces:
            face.end()
        self._process, self._faces = None, []

    def _fail(self, error: Exception) -> None:
        raise error  # a bug of the simulator, not of the product
