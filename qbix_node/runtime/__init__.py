"""Carries out on trio what machines decide."""

from qbix_node.runtime.runner import (
    Executor,
    InlineExecutor,
    Runner,
    ThreadExecutor,
    Verifier,
    World,
    verify_checks,
)

__all__ = [
    "Executor",
    "InlineExecutor",
    "Runner",
    "ThreadExecutor",
    "Verifier",
    "World",
    "verify_checks",
]
