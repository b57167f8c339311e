"""Carries out on trio what machines decide."""

from qbix_node.runtime.runner import Executor, Runner, ThreadExecutor, World, verify_checks

__all__ = ["Executor", "Runner", "ThreadExecutor", "World", "verify_checks"]
