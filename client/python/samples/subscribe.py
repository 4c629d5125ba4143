"""Prints the id of each batch that failed: all that a gateway holds, then what comes.

  subscribe.py [HOST:PORT [CURSOR_FILE]]

Run it again, and it goes on after the last one that it printed.
"""

import sys

import hookgate


async def main(target="127.0.0.1:50051", cursor_file="subscribe.cursor"):
    async with hookgate.Client(target) as client:
        async for event in client.subscribe(types=["batch.failed"], start=hookgate.EARLIEST,
                                            cursors=hookgate.FileCursorStore(cursor_file)):
            print(event.batch_failed.data.id, "failed", flush=True)


hookgate.run(main(*sys.argv[1:]))
