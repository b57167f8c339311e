"""A defect is a decision of the product that is taken wrongly, for as long as a block runs."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass

from netsim.plan import Plan

Plant = Callable[[], AbstractContextManager[None]]
EVENTUALLY = "everything settles"  # the check of those that no single moment shows


@dataclass(frozen=True, slots=True)
class Defect:
    """`plan` is made for it, and `seeds` are the few of it that it takes. `ground`: what has to be
    so small that a short run reaches it, with the defect and without.
    """

    name: str
    what: str
    check: str  # the name of the one that has to catch it
    plan: Callable[[int], Plan]
    plant: Plant
    seeds: tuple[int, ...] = (1,)
    ground: Plant | None = None
    driver: str = "lean"  # `trio`: what it breaks is a service, or lies below one
    tailored_only: str = ""  # why no scenario of the library reaches it, if none does

    @contextmanager
    def planted(self) -> Iterator[None]:
        """On its ground, if it needs one."""
        with self.ground() if self.ground else nullcontext(), self.plant():
            yield


@contextmanager
def replaced(owner: object, name: str, value: object) -> Iterator[None]:
    """`owner`: a class or a module of the product."""
    missing = object()
    before = vars(owner).get(name, missing)
    assert before is not missing, f"{owner} has no {name}: what this defect was about has moved"
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


def planting(*mutations: tuple[object, str, object]) -> Plant:
    """All of them at once: owner, name and what takes its place."""

    @contextmanager
    def plant() -> Iterator[None]:
        with ExitStack() as stack:
            for owner, name, value in mutations:
                stack.enter_context(replaced(owner, name, value))
            yield

    return plant
