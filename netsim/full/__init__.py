"""The trio driver: the product's own services in virtual time."""

from netsim.full.driver import FullDriver

__all__ = ["FullDriver"]
