"""Runs a program until it ends or is asked to."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

_Result = TypeVar("_Result")


def run(main: Coroutine[Any, Any, _Result]) -> _Result | None:
    """As asyncio.run, but SIGINT and SIGTERM cancel `main` alone, each time that they come.

    So consume() stops in good order when a container is stopped, and a second signal gives back
    what still runs. (asyncio.run cancels every task at once on SIGINT before Python 3.11, so that
    streams break off, and knows nothing of SIGTERM.) Returns None if a signal ended it.
    """
    return asyncio.run(_run(main))


async def _run(main: Coroutine[Any, Any, _Result]) -> _Result | None:
    loop = asyncio.get_running_loop()
    task = loop.create_task(main)
    asked = False

    def on_signal() -> None:
        nonlocal asked
        asked = True
        task.cancel()

    signals = (signal.SIGINT, signal.SIGTERM)
    for number in signals:
        with contextlib.suppress(NotImplementedError):  # Windows: as asyncio.run.
            loop.add_signal_handler(number, on_signal)
    try:
        return await task
    except asyncio.CancelledError:
        if asked and task.cancelled():
            return None
        raise
    finally:
        for number in signals:
            with contextlib.suppress(NotImplementedError):
                loop.remove_signal_handler(number)
