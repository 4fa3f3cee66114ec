"""Reads what a pickle says without doing it: no import, no call, no attribute is ever touched.

A pickle is a program for a small stack machine. This interpreter knows the instructions that build
plain data. Where the program asks for a call, the result is a `Call` that records the name and the
arguments; whoever wants to interprets it, and nobody else does.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO

from edge.errors import InputError

LONGEST = 5_000_000  # instructions; a state_dict of 653 tensors has about 20,000


@dataclass(frozen=True, slots=True, eq=False)
class Global:
    """A name the pickle refers to; never imported."""

    name: str  # "torch.FloatStorage"


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """A call the pickle asks for; never made."""

    name: str  # "torch._utils._rebuild_tensor_v2"
    arguments: tuple[Any, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """Something the pickle keeps outside itself: for PyTorch, a tensor's storage."""

    key: Any


_MARK = object()
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_EMPTY: dict[str, Callable[[], Any]] = {
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "EMPTY_SET": list,
}
_IGNORED = ("PROTO", "FRAME", "STOP")


def read_pickle(stream: BinaryIO) -> Any:
    """Return the data of one pickle, leaving the stream behind its last byte.

    Returns:
        Nested dict, list, tuple, str, bytes, int, float, bool and None, with `Global`, `Call` and
        `Reference` where the pickle wanted more. Sets are lists; an OrderedDict is a dict.

    Raises:
        InputError: it is not a pickle, or uses an instruction that plain data does not need.
    """
    machine = _Machine()
    try:
        for count, (instruction, argument, _) in enumerate(pickletools.genops(stream)):
            if count > LONGEST:
                raise InputError(f"its pickle has more than {LONGEST} instructions")
            machine.step(instruction.name, argument)
        return machine.stack.pop()
    except InputError:
        raise
    except Exception as exc:  # hostile bytes raise anything in the parser and on the stack
        raise InputError(f"its pickle is damaged ({type(exc).__name__})") from exc


class _Machine:
    """Stack and memo of one pickle."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def step(self, name: str, argument: Any) -> None:
        stack = self.stack
        if name in _IGNORED:
            return
        if name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in _EMPTY:
            stack.append(_EMPTY[name]())
        elif name == "MARK":
            stack.append(_MARK)
        elif name == "POP":
            stack.pop()
        elif name == "POP_MARK":
            self._since_mark()
        elif name == "DUP":
            stack.append(stack[-1])
        elif name in ("PUT", "BINPUT", "LONG_BINPUT"):
            self._memo[argument] = stack[-1]
        elif name == "MEMOIZE":
            self._memo[len(self._memo)] = stack[-1]
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            stack.append(self._memo[argument])
        elif name.startswith(("TUPLE", "LIST", "DICT", "FROZENSET")):
            stack.append(self._collection(name))
        elif name in ("APPEND", "APPENDS", "SETITEM", "SETITEMS", "ADDITEMS"):
            self._fill(name)
        elif name in ("GLOBAL", "STACK_GLOBAL"):
            stack.append(Global(self._qualified(name, argument)))
        elif name in ("REDUCE", "NEWOBJ", "NEWOBJ_EX"):
            self._call(name)
        elif name == "BUILD":
            stack.pop()  # attributes of an object: plain data has none
        elif name == "BINPERSID":
            stack.append(Reference(stack.pop()))
        elif argument is not None:  # every instruction that pushes its own argument
            stack.append(argument)
        else:
            raise InputError(f"its pickle uses {name}, which plain data does not need")

    def _since_mark(self) -> list[Any]:
        items: list[Any] = []
        while (item := self.stack.pop()) is not _MARK:
            items.append(item)
        return items[::-1]

    def _collection(self, name: str) -> Any:
        if name in ("TUPLE1", "TUPLE2", "TUPLE3"):
            count = int(name[-1])
            items = self.stack[-count:]
            del self.stack[-count:]
            return tuple(items)
        items = self._since_mark()
        if name == "DICT":
            return dict(zip(items[::2], items[1::2], strict=True))
        return tuple(items) if name == "TUPLE" else items

    def _fill(self, name: str) -> None:
        count = {"APPEND": 1, "SETITEM": 2}.get(name)
        if count is None:
            items = self._since_mark()
        else:
            items = self.stack[-count:]
            del self.stack[-count:]
        target = self.stack[-1]
        if isinstance(target, dict) and name.startswith("SET"):
            target.update(zip(items[::2], items[1::2], strict=True))
        elif isinstance(target, list) and not name.startswith("SET"):
            target.extend(items)
        # else: items of something that was not made

    def _qualified(self, name: str, argument: Any) -> str:
        if name == "GLOBAL":
            return ".".join(str(argument).split(" ", 1))
        attribute, module = self.stack.pop(), self.stack.pop()
        return f"{module}.{attribute}"

    def _call(self, name: str) -> None:
        keywords = self.stack.pop() if name == "NEWOBJ_EX" else {}
        arguments, function = self.stack.pop(), self.stack.pop()
        called = function.name if isinstance(function, Global) else type(function).__name__
        if called == "collections.OrderedDict" and not keywords:
            self.stack.append(dict(*arguments))
        else:
            self.stack.append(Call(called, tuple(arguments)))
