"""Planted defects: known bugs, put into the product for one run, that the checks have to find.

A check that no defect can trip proves nothing; a defect that no check finds is a hole in them.
"""

from netsim.defects.hunting import Caught, Missed, complaints_without, hunt, names
from netsim.defects.searching import Found, TailoredOnly, search

__all__ = [
    "Caught",
    "Found",
    "Missed",
    "TailoredOnly",
    "complaints_without",
    "hunt",
    "names",
    "search",
]
