"""What is to be run: a scenario with what the command line changed of it, without the seed.

It travels to worker processes and other machines, and so holds the scenario's text, not its path.
"""

import shlex
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256

from netsim.commit import code_commit
from netsim.drivers import NAMES, make_driver, refuse_unheeded
from netsim.plan import Plan
from netsim.running import Outcome, run
from netsim.scenario import Scenario, draw, load, load_named, names, read
from netsim.verdict import Result, Verdict, failed_result, result_of
from netsim.world import World
from qbix_node.errors import UsageError
from qbix_node.wire.v8json import JsonValue


@dataclass(frozen=True, slots=True)
class Job:
    given: str  # the scenario as the command line named it
    name: str  # of its file, for errors
    text: str
    driver: str
    nodes: int | None = None
    settings: tuple[tuple[str, str], ...] = ()
    options: tuple[str, ...] = ()  # as they were given

    def command(self, seed: int) -> str:
        """What repeats a run."""
        words = ("python", "-m", "netsim", "run", self.given, "--seed", str(seed))
        return shlex.join((*words, *self.options))

    @property
    def scenario(self) -> Scenario:
        return _load(self.text, self.name)

    @property
    def listed(self) -> tuple[str, ...]:
        """The events that the scenario speaks of."""
        scenario = self.scenario
        return tuple(dict.fromkeys((*scenario.sometimes, *scenario.in_sweep)))

    def plan(self, seed: int) -> Plan:
        """Raises BadInput, UsageError."""
        plan = draw(self.scenario, seed, nodes=self.nodes, settings=dict(self.settings))
        refuse_unheeded(self.driver, plan)
        return plan

    def run(
        self, seed: int, *, keep_trace: bool = False, watch: Callable[[World], None] | None = None
    ) -> Outcome:
        driver = make_driver(self.driver)
        return run(self.plan(seed), driver, keep_trace=keep_trace, watch=watch)

    def identity(self) -> Result:
        """Results that agree in all of it may stand side by side."""
        nodes: dict[str, JsonValue] = {} if self.nodes is None else {"nodes": self.nodes}
        settings: dict[str, JsonValue] = dict(self.settings)
        return {
            "scenario": self.scenario.name,
            "scenario_sha256": sha256(self.text.encode()).hexdigest(),
            "commit": code_commit(),
            "driver": self.driver,
            "overrides": {**nodes, "set": settings},
        }

    def result(self, seed: int, outcome: Outcome) -> Result:
        found = result_of(outcome, self.listed)
        return {"seed": seed, **self.identity(), **found, "command": self.command(seed)}

    def failure(self, seed: int, verdict: Verdict, what: str) -> Result:
        found = failed_result(verdict, what)
        return {"seed": seed, **self.identity(), **found, "command": self.command(seed)}

    def given_up(self, seed: int, patience_s: float) -> Result:
        what = f"no end after {patience_s:g} s of real time"
        return {**self.failure(seed, Verdict.LIVENESS, what), "patience_s": patience_s}

    def attempt(self, seed: int) -> Result:
        """A run among many: whatever happens in it is its result."""
        try:
            return self.result(seed, self.run(seed))
        # The other seeds go on: an exception here is a bug to be told with its seed.
        except Exception as error:  # noqa: BLE001
            place = traceback.extract_tb(error.__traceback__)[-1]
            what = f"{type(error).__name__}: {error} ({place.filename}:{place.lineno})"
            return self.failure(seed, Verdict.SAFETY, what)


def make_job(
    given: str, *, driver: str | None = None, nodes: int | None = None, settings: Sequence[str] = ()
) -> Job:
    """From a command line. Raises BadInput, UsageError."""
    name, text = read(given)
    if given in names():
        load_named(given)  # raises, if it calls itself otherwise
    drivers = _load(text, name).drivers
    if driver is not None and driver not in NAMES:
        raise UsageError(f"there is no driver {driver}", hint=f"there are: {', '.join(NAMES)}")
    options: list[str] = []
    for option, value in (("--nodes", nodes), ("--driver", driver)):
        options += [] if value is None else [option, str(value)]
    for setting in settings:
        options += ["--set", setting]
    pairs = tuple([_pair(setting) for setting in settings])
    return Job(given, name, text, driver or drivers[0], nodes, pairs, tuple(options))


def _pair(setting: str) -> tuple[str, str]:
    key, separator, value = setting.partition("=")
    if not separator or not key:
        raise UsageError(
            f"--set {setting}: key=value is expected", hint="e.g. --set links.loss=0.1"
        )
    return key, value


@cache
def _load(text: str, name: str) -> Scenario:
    return load(text, name)
