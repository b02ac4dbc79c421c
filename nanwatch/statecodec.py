"""State as JSON text and back: known dataclasses only, so that a file from elsewhere can build nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

_SAFE_INT = 1 << 53


class BadState(ValueError):
    """The text is no state of this version."""


def dump(value: object) -> str:
    """Return *value* (dataclasses, containers, numbers, text, bytes) as one line of JSON."""
    return json.dumps(_encode(value), separators=(",", ":"), ensure_ascii=True)


def load(text: str, kinds: Mapping[str, type[Any]]) -> Any:
    """Return the value that *text* holds; dataclasses are looked up by name in *kinds*.

    Raises:
        BadState: the text is damaged, or holds a class or a field that is not known.
    """
    try:
        return _decode(json.loads(text), kinds)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise BadState(str(error)) from error


def _encode(value: object) -> object:
    if value is None or isinstance(value, str | bool | float):
        return value
    if isinstance(value, int):
        return value if -_SAFE_INT < value < _SAFE_INT else {"~": "int", "v": hex(value)}
    if isinstance(value, list):
        return [_encode(item) for item in value]
    if isinstance(value, tuple):
        return {"~": "tuple", "v": [_encode(item) for item in value]}
    if isinstance(value, dict):
        if all(isinstance(key, str) for key in value) and "~" not in value:
            return {key: _encode(item) for key, item in value.items()}
        return {"~": "dict", "v": [[_encode(k), _encode(v)] for k, v in value.items()]}
    if isinstance(value, bytes):
        return {"~": "bytes", "v": value.decode("latin-1")}
    if is_dataclass(value) and not isinstance(value, type):
        return {"~": type(value).__name__, "v": [_encode(getattr(value, f.name)) for f in fields(value)]}
    raise TypeError(f"cannot keep a {type(value).__name__}")


def _decode(value: Any, kinds: Mapping[str, type[Any]]) -> Any:
    if isinstance(value, list):
        return [_decode(item, kinds) for item in value]
    if not isinstance(value, dict):
        return value
    kind = value.get("~")
    if kind is None:
        return {key: _decode(item, kinds) for key, item in value.items()}
    content = value["v"]
    if kind == "int":
        return int(content, 16)
    if kind == "tuple":
        return tuple(_decode(item, kinds) for item in content)
    if kind == "dict":
        return {_decode(k, kinds): _decode(v, kinds) for k, v in content}
    if kind == "bytes":
        return content.encode("latin-1")
    made = kinds[kind]
    if len(content) != len(fields(made)):
        raise BadState(f"{kind} has other fields")
    return made(*(_decode(item, kinds) for item in content))
