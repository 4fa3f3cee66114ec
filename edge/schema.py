"""Strict JSON → dataclass: unknown keys, missing keys and wrong types are named by their path."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


def read_dataclass(cls: type[T], data: Any, error: type[Exception], where: str = "") -> T:
    """Build a dataclass tree from parsed JSON, converting nothing but lists to tuples.

    Args:
        cls: a dataclass whose fields are int, float, str, bool, Literal, Optional, tuple,
            Mapping[str, ...] or further dataclasses.
        data: what `json.loads` or `tomllib.loads` returned.
        error: the exception class to raise, with a message `path: what is wrong`.
        where: path of `data` itself, "" at the top.
    """
    if not isinstance(data, dict):
        raise error(f"{where or 'top level'}: must be an object, is {_kind(data)}")
    hints = get_type_hints(cls)
    known = {f.name: f for f in fields(cls)}  # type: ignore[arg-type]
    for key in data:
        if key not in known:
            raise error(f"{_join(where, str(key))}: unknown key{_suggest(str(key), known)}")
    values: dict[str, Any] = {}
    for name, spec in known.items():
        if name in data:
            values[name] = _value(hints[name], data[name], error, _join(where, name))
        elif spec.default is MISSING and spec.default_factory is MISSING:
            raise error(f"{_join(where, name)}: missing")
    return cls(**values)


def _value(hint: Any, data: Any, error: type[Exception], where: str) -> Any:
    origin, args = get_origin(hint), get_args(hint)
    if is_dataclass(hint):
        return read_dataclass(typing.cast(type[Any], hint), data, error, where)
    if origin is Literal:
        if data not in args:
            raise error(f"{where}: must be one of {', '.join(map(repr, args))}, is {data!r}")
        return data
    if origin in (Union, types.UnionType):
        if data is None and type(None) in args:
            return None
        inner = [a for a in args if a is not type(None)]
        chosen = inner[0] if len(inner) == 1 else _of_kind(inner, data, error, where)
        return _value(chosen, data, error, where)
    if origin is tuple:
        if not isinstance(data, list):
            raise error(f"{where}: must be a list, is {_kind(data)}")
        return tuple(_value(args[0], v, error, f"{where}[{i}]") for i, v in enumerate(data))
    if origin in (Mapping, dict):
        if not isinstance(data, dict):
            raise error(f"{where}: must be an object, is {_kind(data)}")
        return {k: _value(args[1], v, error, _join(where, k)) for k, v in data.items()}
    if hint is float and isinstance(data, int | float) and not isinstance(data, bool):
        return float(data)
    if hint is Any:
        return data
    if isinstance(data, bool) != (hint is bool) or not isinstance(data, hint):
        raise error(f"{where}: must be {hint.__name__}, is {_kind(data)}")
    return data


def _of_kind(classes: list[Any], data: Any, error: type[Exception], where: str) -> Any:
    """Return the dataclass whose default `kind` the data names; without one, that without one."""
    kinds = {next((f.default for f in fields(c) if f.name == "kind"), None): c for c in classes}
    kind = data.get("kind") if isinstance(data, dict) else None
    if kind not in kinds:
        known = ", ".join(repr(k) for k in kinds if k is not None)
        raise error(f"{_join(where, 'kind')}: must be one of {known}, is {str(kind)[:40]!r}")
    return kinds[kind]


def _join(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _kind(data: Any) -> str:
    return f"{type(data).__name__} {str(data)[:40]!r}"


def _suggest(key: str, known: Mapping[str, Any]) -> str:
    import difflib

    close = difflib.get_close_matches(key, known, n=1)
    return f", did you mean '{close[0]}'?" if close else ""
