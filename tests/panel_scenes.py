"""What tests of panels share: waiting for a loop, and errors that are shown instead of raised."""

import asyncio
import time

WAIT = 20


async def settled(condition):
    """Let the loop run until the condition holds."""
    deadline = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < deadline, "nothing happened"
        await asyncio.sleep(0.01)
