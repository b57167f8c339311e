"""What must hold in every run: always, eventually, and sometimes."""

from netsim.checks.checks import Checks, Violation
from netsim.checks.complaining import Complaint

__all__ = ["Checks", "Complaint", "Violation"]
