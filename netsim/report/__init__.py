"""Reports that a person understands without a manual: one HTML file of a run or of a sweep."""

from netsim.report.render import render

__all__ = ["render"]
