"""Waits that end: what a scenario expects comes, or the scenario fails and says what it waited for."""

import asyncio
import time

# How long anything may take on a busy machine. What passes takes a fraction of it.
PATIENCE = 60.0


class Failure(Exception):
    """What a person is told."""


def check(condition, what):
    if not condition:
        raise Failure(what)


def check_equal(actual, expected, what):
    if actual != expected:
        raise Failure(f"{what}: {actual!r}, expected {expected!r}")


async def within(awaitable, what, patience=PATIENCE):
    try:
        return await asyncio.wait_for(awaitable, patience)
    except (asyncio.TimeoutError, TimeoutError) as late:
        raise Failure(f"{what}: not within {patience:.0f} s") from late


async def poll(look, what, patience=PATIENCE):
    """Looks again and again until there is something; that."""
    end = time.monotonic() + patience
    while True:
        found = await look()
        if found:
            return found
        if time.monotonic() > end:
            raise Failure(f"{what}: not within {patience:.0f} s")
        await asyncio.sleep(0.02)
