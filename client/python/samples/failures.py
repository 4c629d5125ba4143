"""Prints what failed within the last day, without asyncio.

  failures.py [HOST:PORT]
"""

import sys

import hookgate.sync

with hookgate.sync.Client(*(sys.argv[1:] or ["127.0.0.1:50051"])) as client:
    for event in client.list_failures():
        print(event.sequence, event.type, event.subject)
