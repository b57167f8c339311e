"""How much memory a node's machine takes: the sizes of all that only it can reach.

Keys and ids of others count as well, although the nodes of a simulated network share them: in a
process of its own a node would have them for itself. Code and constants don't count.
"""

import gc
import sys
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType

_SHARED = (type, ModuleType, FunctionType, BuiltinFunctionType, MethodType)


def kib_of(root: object, *, but: tuple[object, ...] = ()) -> float:
    """`but`: what it reaches, and is not its own."""
    seen = {id(each) for each in but}
    waiting, total = [root], 0
    while waiting:
        each = waiting.pop()
        if id(each) in seen or isinstance(each, _SHARED):
            continue
        seen.add(id(each))
        total += sys.getsizeof(each)
        waiting += gc.get_referents(each)
    return total / 1024
