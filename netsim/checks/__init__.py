"""What must hold in every run: always, eventually, and sometimes."""

from netsim.checks.checks import Checks, Violation

__all__ = ["Checks", "Violation"]
