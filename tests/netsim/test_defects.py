"""Every planted defect is caught by the check that is there for it, and by nothing else's noise:
the same runs without it are green. A check that no defect trips would prove nothing.
"""

import pytest

from netsim.checks.checks import ALWAYS
from netsim.defects import Caught, Missed, complaints_without, hunt, names
from netsim.defects.list import DEFECTS
from netsim.defects.planting import EVENTUALLY, replaced


@pytest.mark.parametrize("name", names())
def test_a_planted_defect_is_caught(name: str) -> None:
    found = hunt(name)
    assert isinstance(found, Caught), found


@pytest.mark.parametrize("name", names())
def test_without_it_the_same_runs_are_green(name: str) -> None:
    assert complaints_without(name) == {}


def test_every_check_catches_a_defect() -> None:
    known = {check.name for check in ALWAYS} | {EVENTUALLY}
    caught = {defect.check for defect in DEFECTS}
    assert known - caught == set()
    assert caught - known == set()


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
