"""Where a subscriber keeps its position while it is not running."""

from __future__ import annotations

import asyncio
import inspect
import os
import stat
from collections.abc import Awaitable, Callable
from typing import Protocol, Union

from hookgate.errors import CursorStoreError

# No gateway's cursor comes near; a file that is larger holds something else.
_MOST_BYTES = 4096
# Not every system has each of them.
_CLOEXEC, _NONBLOCK, _NOFOLLOW, _DIRECTORY = (
    getattr(os, name, 0) for name in ("O_CLOEXEC", "O_NONBLOCK", "O_NOFOLLOW", "O_DIRECTORY"))


class CursorStore(Protocol):
    """Holds one cursor. Implement it over what the service has already.

    A row that is written in the transaction that handles the event makes the handling exactly once.
    One call is made at a time. What a call raises ends the subscription.
    """

    async def load(self) -> str | None:
        """The cursor saved last; None if none ever was."""

    async def save(self, cursor: str) -> None:
        """Returns only when `cursor` survives a crash."""


class MemoryCursorStore:
    """Keeps the position for as long as the object lives, such as over two subscriptions."""

    def __init__(self, cursor: str | None = None) -> None:
        self.cursor = cursor

    async def load(self) -> str | None:
        return self.cursor

    async def save(self, cursor: str) -> None:
        self.cursor = cursor


class CallbackCursorStore:
    """Two functions of yours, plain or async. A plain one holds up the event loop while it runs."""

    def __init__(self, load: Callable[[], Union[str, None, Awaitable[str | None]]],
                 save: Callable[[str], Union[None, Awaitable[None]]]) -> None:
        self._load = load
        self._save = save

    async def load(self) -> str | None:
        loaded = self._load()
        return await loaded if inspect.isawaitable(loaded) else loaded

    async def save(self, cursor: str) -> None:
        saved = self._save(cursor)
        if inspect.isawaitable(saved):
            await saved


class FileCursorStore:
    """A file that holds the cursor and a line feed, as the clients in other languages keep it.

    It is replaced as a whole and synced: a crash leaves the old cursor or the new one. `path` is
    the file, or a symbolic link to it, which stays; its folder must exist. A neighbour of the file,
    called as it is with .tmp at the end, is used while saving. For one writer at a time. Reads and
    writes in a worker thread of the event loop, so that a slow disk holds up nobody.

    Raises CursorStoreError if the file holds no cursor (empty, cut off, not text), or cannot be
    read or written.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = os.fspath(path)

    async def load(self) -> str | None:
        return await asyncio.to_thread(self._load)

    async def save(self, cursor: str) -> None:
        await asyncio.to_thread(self._save, cursor)

    def _load(self) -> str | None:
        try:
            # A pipe would be waited for.
            file = os.open(self._path, os.O_RDONLY | _CLOEXEC | _NONBLOCK)
            try:
                plain = stat.S_ISREG(os.fstat(file).st_mode)
                content = _read(file) if plain else b""
            finally:
                os.close(file)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise CursorStoreError(f"cannot read the cursor file {self._path}: "
                                   f"{error.strerror}") from error
        if not plain:
            raise CursorStoreError(f"the cursor file {self._path} is not a plain file, which could "
                                   "be replaced by one with the next cursor")
        # The line feed is the proof that the file was not cut off.
        if not content.endswith(b"\n") or not _looks_like_cursor(content[:-1]):
            how = "damaged" if content else "empty"
            raise CursorStoreError(
                f"the cursor file {self._path} is {how}: it must hold one cursor and a line feed. "
                "Restore it, or move it away to start again, at the price of missing or repeating "
                "events")
        return content[:-1].decode("ascii")

    def _save(self, cursor: str) -> None:
        content = cursor.encode("utf-8", "replace")
        if not _looks_like_cursor(content):
            raise CursorStoreError(f"not a cursor to save in {self._path}")
        try:
            # Renaming over a link would leave the file that it leads to as it was.
            path = os.path.realpath(self._path)
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | _NOFOLLOW | _CLOEXEC
            with open(os.open(path + ".tmp", flags, 0o644), "wb") as file:
                file.write(content + b"\n")
                file.flush()
                os.fsync(file.fileno())
            os.replace(path + ".tmp", path)
            _sync_folder(os.path.dirname(path))
        except OSError as error:
            raise CursorStoreError(f"cannot write the cursor file {self._path}: "
                                   f"{error.strerror}") from error


def _sync_folder(path: str) -> None:
    """A renamed file is sure to be found after a crash only when its folder has been synced."""
    if not _DIRECTORY:
        return  # A system that opens no folders.
    folder = os.open(path, os.O_RDONLY | _DIRECTORY | _CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _read(file: int) -> bytes:
    """At most one byte more than a file with a cursor can have."""
    content = b""
    while len(content) < _MOST_BYTES + 2:
        more = os.read(file, _MOST_BYTES + 2 - len(content))
        if not more:
            break
        content += more
    return content


def _looks_like_cursor(text: bytes) -> bool:
    return 0 < len(text) <= _MOST_BYTES and all(0x21 <= byte <= 0x7E for byte in text)
