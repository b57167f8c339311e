"""One seed is one run, in every process (docs/netsim.md)."""

import gc
import os
import subprocess
import sys

import pytest

from netsim.drivers import NAMES
from netsim.plan import Fault
from netsim.roles import ROLES
from tests.netsim.eventful import live, plan


def in_a_process_of_its_own(driver: str, seed: int, hash_seed: str) -> list[str]:
    found = subprocess.run(
        [sys.executable, "-m", "tests.netsim.eventful", driver, str(seed)],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return found.stdout.split()


def test_the_run_has_every_kind_of_fault_and_role() -> None:
    assert {planned.fault for planned in plan(1).faults} == set(Fault)
    assert {node.role for node in plan(1).nodes} == {"honest", *ROLES}


@pytest.mark.parametrize("driver", NAMES)
def test_a_seed_gives_one_trace_in_every_process(driver: str) -> None:
    first = in_a_process_of_its_own(driver, 1, "0")
    assert len(first) == 2
    assert in_a_process_of_its_own(driver, 1, "1") == first
    assert in_a_process_of_its_own(driver, 1, "random") == first


@pytest.mark.parametrize("driver", NAMES)
def test_a_seed_gives_one_trace_each_time_and_another_seed_another(driver: str) -> None:
    """Whatever ran before, and wherever in memory things have come to lie."""
    first = live(driver, 1).trace_sha256
    ballast = [bytearray(1000 + place) for place in range(5000)]
    assert live(driver, 2).trace_sha256 != first
    del ballast[::3]
    gc.collect()
    assert live(driver, 1).trace_sha256 == first
