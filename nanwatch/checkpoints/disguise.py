"""What loading a file as another format than it seems would do: one file can be several at once."""

from __future__ import annotations

import tarfile
from contextlib import suppress
from typing import BinaryIO

from nanwatch.checkpoints.base import BadFile
from nanwatch.checkpoints.pickles import load
from nanwatch.checkpoints.picklestream import Stream
from nanwatch.checkpoints.witness import Suspicion


def is_tar(head: bytes) -> bool:
    """Tell whether a file that begins with *head* is a tar archive: `torch.load` runs the pickles in one."""
    try:
        tarfile.TarInfo.frombuf(head[: tarfile.BLOCKSIZE], "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


def tried_as_pickle(file: BinaryIO, offset: int, size: int) -> list[str]:
    """Return what would be run if the *size* bytes of *file* from *offset* on were loaded as a pickle."""
    suspicion = Suspicion()
    with suppress(BadFile):  # what it has run before it breaks is run
        load(Stream(file, offset, size), suspicion)
    return suspicion.hostile
