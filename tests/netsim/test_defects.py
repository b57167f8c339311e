"""Every planted defect is caught by the check that is there for it, and by nothing else's noise:
the same runs without it are green. A check that no defect trips would prove nothing.
"""

from dataclasses import replace

import pytest

from netsim.checks.checks import ALWAYS
from netsim.checks.dht import DHT_CHECKS
from netsim.defects import Caught, Missed, complaints_without, hunt, names, search
from netsim.defects.hunting import BY_NAME
from netsim.defects.list import DEFECTS
from netsim.defects.planting import EVENTUALLY, planting, replaced
from netsim.job import make_job

SWARM_SEEDS = 300


@pytest.mark.parametrize("name", names())
def test_a_planted_defect_is_caught(name: str) -> None:
    found = hunt(name)
    assert isinstance(found, Caught), str(found)


@pytest.mark.slow
def test_the_swarm_comes_across_each_of_them() -> None:
    """In far fewer seeds than the sweep that a release has to pass; each first one is measured."""
    found = list(search(make_job("swarm"), tuple(names()), range(SWARM_SEEDS)))
    missed = [each for each in found if isinstance(each, Missed)]
    assert missed == [], "\n".join(map(str, missed))
    assert len(found) == len(DEFECTS)


@pytest.mark.parametrize("name", names())
def test_without_it_the_same_runs_are_green(name: str) -> None:
    assert complaints_without(name) == {}


def test_every_check_catches_a_defect() -> None:
    known = {check.name for check in (*ALWAYS, *DHT_CHECKS)} | {EVENTUALLY}
    caught = {defect.check for defect in DEFECTS}
    assert known - caught == set()
    assert caught - known == set()


def test_whoever_misses_one_is_told_how_to_see_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    harmless = replace(DEFECTS[0], name="a harmless one", plant=planting())
    monkeypatch.setitem(BY_NAME, harmless.name, harmless)
    told = str(hunt(harmless.name))
    assert "in defects/forger, seed 1; commit " in told
    assert "lean driver" in told
    assert told.endswith("\n  repeat it: python -m netsim defects 'a harmless one'")


def test_each_defect_has_a_name_of_its_own() -> None:
    assert len(names()) == len(DEFECTS)


def test_a_defect_is_gone_after_its_run() -> None:
    class Product:
        answer = 1

    with replaced(Product, "answer", 2):
        assert Product.answer == 2
    assert Product.answer == 1


def test_a_defect_whose_place_has_moved_is_noticed() -> None:
    with pytest.raises(AssertionError, match="has moved"), replaced(Missed, "nowhere", None):
        pass
