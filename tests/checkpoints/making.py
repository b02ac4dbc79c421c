"""Weight files made by hand, without PyTorch: zip archives of a pickle and storages, as hostile or broken as needed."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

from nanwatch.checkpoints.base import Contents
from nanwatch.checkpoints.pickles import load
from nanwatch.checkpoints.picklestream import Stream
from nanwatch.checkpoints.scan import scan_file
from nanwatch.checkpoints.witness import Suspicion
from nanwatch.model.checkpoint import Checkpoint

FINITE = struct.pack("<4f", 1.0, -2.0, 0.5, 3e38)
POISONED = struct.pack("<4f", 1.0, float("nan"), float("-inf"), 0.0)


def text(value: str) -> bytes:
    """The opcodes that push *value*."""
    raw = value.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def name(module: str, what: str) -> bytes:
    """The opcodes that push a name."""
    return f"c{module}\n{what}\n".encode()


def tensor(key: str = "0", count: int = 4, shape: tuple[int, ...] = (4,), strides: tuple[int, ...] = (1,)) -> bytes:
    """The opcodes that push a tensor of float32, as `torch.save` writes them."""
    numbers = [b"(" + b"".join(b"J" + struct.pack("<i", n) for n in values) + b"t" for values in (shape, strides)]
    storage = b"(" + text("storage") + name("torch", "FloatStorage") + text(key) + text("cpu")
    storage += b"J" + struct.pack("<i", count) + b"tQ"
    hooks = name("collections", "OrderedDict") + b")R"
    return (
        name("torch._utils", "_rebuild_tensor_v2")
        + b"("
        + storage
        + b"K\0"
        + b"".join(numbers)
        + b"\x89"
        + hooks
        + b"tR"
    )


def state_dict(entries: Mapping[str, bytes]) -> bytes:
    """A pickle of a dictionary of such."""
    return b"\x80\x02}(" + b"".join(text(key) + value for key, value in entries.items()) + b"u."


def archive(
    path: Path, pickle: bytes, storages: Mapping[str, bytes] | None = None, packed: bool = False, root: str = "archive"
) -> Path:
    """A file as `torch.save` writes it: the pickle, the byte order, the storages."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED) as made:
        made.writestr(f"{root}/data.pkl", pickle)
        made.writestr(f"{root}/byteorder", "little")
        for key, raw in (storages or {}).items():
            made.writestr(f"{root}/data/{key}", raw)
        made.writestr(f"{root}/version", "3\n")
    return path


def small(path: Path, raw: bytes = FINITE) -> Path:
    """The smallest file with a tensor: `weight`, of four numbers."""
    return archive(path, state_dict({"weight": tensor()}), {"0": raw})


def tried(pickle: bytes) -> Contents:
    """What loading this pickle would try."""
    contents, suspicion = Contents("made"), Suspicion()
    load(Stream(io.BytesIO(pickle), 0, len(pickle)), suspicion)
    suspicion.report(contents)
    return contents


def scanned(path: Path, pickle: bytes, storages: Mapping[str, bytes] | None = None) -> Checkpoint:
    """What is found in an archive of this pickle."""
    return scan_file(archive(path / "made.pt", pickle, storages))
