"""Speed, each figure beside a limit of the same run: `python -m bench [NAME ...] [--json]`.

A bench is a module here with `run() -> dict[str, Figure]`. The limit is what the machine allows: a
bare signature check, a raw sync, another program on the same work.
"""

from typing import TypedDict


class Figure(TypedDict):
    value: float
    unit: str
    limit: float | None  # measured in the same run, in the same unit; None: the goal is absolute
    limit_is: str  # what was measured, for people
    goal: float | None  # value / limit (or value itself) should not be greater; None: no goal
