"""Works off the subscription "batch-retry", four events at a time, until SIGINT or SIGTERM.

  consume.py [HOST:PORT]

Make the subscription first: hookgate subscriptions create batch-retry --type batch.failed --from earliest
"""

import sys

import hookgate


async def retry(delivery):
    batch = delivery.event.subject
    if not batch:
        raise hookgate.DeadLetter("no batch is named")
    print("retrying", batch, "attempt", delivery.attempt, flush=True)
    # What raises here comes again; what returns is done.


async def main(target="127.0.0.1:50051"):
    async with hookgate.Client(target) as client:
        await client.consume("batch-retry", retry, concurrency=4)


hookgate.run(main(*sys.argv[1:]))
