"""Waiting a moment without keeping others from running."""

import asyncio
import sys
import time


async def pause(seconds: float) -> None:
    """Lets others run for a while, in whichever loop this is."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        trio = sys.modules.get("trio")
        if trio is None:
            time.sleep(seconds)  # noqa: ASYNC251 - a loop that nobody knows how to wait in
        else:
            await trio.sleep(seconds)
    else:
        await asyncio.sleep(seconds)
