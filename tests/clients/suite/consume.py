"""Scenarios of Consume: verdicts, leases, limits, and the two ways to stop."""

import asyncio

from waiting import Failure, check, check_equal, poll
from world import scenario


async def await_state(world, sequence, state, what, **more):
    """Until ExplainEvent tells this state of the event, and what is in `more`; what it tells."""
    expected = {"state": f"DELIVERY_STATE_{state}", **more}

    async def look():
        fate = await world.fate(sequence)
        return fate if all(fate.get(name) == value for name, value in expected.items()) else None

    return await poll(look, what)


async def await_settled(world):
    async def look():
        subscription = await world.subscription()
        return subscription.get("backlog", {}).get("events", "0") == "0" and not int(subscription.get("inFlight", 0))

    try:
        await poll(look, "every event is settled")
    except Failure as failure:
        listed = await world.call(
            "SubscriptionService.ListDeliveries",
            {"subscription": "work", "states": ["DELIVERY_STATE_LEASED", "DELIVERY_STATE_WAITING"], "pageSize": 5},
        )
        raise Failure(f"{failure}: {listed.get('deliveries')}") from failure


# Verdicts.


@scenario("consume")
async def acked_events_are_settled(world):
    await world.start()
    await world.create_subscription()
    await world.gateway.send(5)
    adapter = await world.adapter()
    consumer = adapter.consume(include_raw_body=True, consumer_name="mailer-1")
    await consumer.state("opened")
    for number in range(1, 6):
        delivery = await consumer.delivery()
        check_equal(delivery["event"]["sequence"], number, "the sequence")
        check_equal((delivery["attempt"], delivery["reason"]), (1, "NEW"), "attempt and reason")
        check_equal(delivery["event"]["payload"], "batch_failed", "the payload's field")
        check(delivery["event"]["raw_body"], "there is no raw body")
        consumer.settle(delivery)
    await await_settled(world)
    check_equal((await world.fate(3))["consumer"], "mailer-1", "who acked the third")
    await consumer.state("heartbeat")
    await consumer.stop()


@scenario("consume")
async def a_nack_brings_it_again(world):
    await world.start()
    await world.create_subscription(minimumBackoff="0.1s", maximumBackoff="0.1s", maxAttempts=3)
    await world.gateway.send()
    consumer = (await world.adapter()).consume()
    consumer.settle(await consumer.delivery(), "nack", reason="no answer")
    again = await consumer.delivery()
    check_equal((again["attempt"], again["reason"]), (2, "NACKED"), "attempt and reason")
    check_equal(again["nack_reason"], "no answer", "the reason of the nack")
    consumer.settle(again, "nack", reason="later", delay_ms=3_600_000)
    await await_state(world, 1, "WAITING", "the event waits for an hour", reason="later")
    await consumer.stop()


@scenario("consume")
async def a_dead_letter_is_asked_for(world):
    await world.start()
    await world.create_subscription()
    await world.gateway.send(2)
    consumer = (await world.adapter()).consume()
    consumer.settle(await consumer.delivery(), "dead_letter", reason="never")
    consumer.settle(await consumer.delivery())
    await await_state(world, 2, "ACKED", "the second is acked")
    listed = await world.call("SubscriptionService.ListDeadLetters", {"subscription": "work"})
    letters = [(letter["cause"], letter["nackReason"]) for letter in listed["deadLetters"]]
    check_equal(letters, [("CAUSE_CONSUMER_DECIDED", "never")], "dead letters")
    await consumer.stop()


@scenario("consume")
async def no_more_run_than_its_concurrency(world):
    await world.start()
    await world.create_subscription()
    await world.gateway.send(12)
    consumer = (await world.adapter()).consume(concurrency=3)
    held = await consumer.deliveries(3)
    for left in range(9, 0, -1):
        check_equal(int((await world.subscription())["inFlight"]), 3, "events in flight")
        consumer.settle(held.pop(0))
        held.append(await consumer.delivery())
        check_equal(len({d["event"]["sequence"] for d in held}), 3, f"handlers with {left} left")
    for delivery in held:
        consumer.settle(delivery)
    await await_settled(world)
    await consumer.stop()


@scenario("consume")
async def consumers_share_the_events(world):
    await world.start()
    await world.create_subscription()
    adapters = [await world.adapter(), await world.adapter()]
    consumers = [
        # A stream that is taken for dead brings its events twice.
        adapter.consume(consumer_name=f"c{i}", concurrency=4, heartbeat_ms=15_000)
        for i, adapter in enumerate(adapters)
    ]
    for consumer in consumers:
        await consumer.state("opened")
    count = 300
    handled = []

    async def work(consumer):
        while True:
            delivery = await consumer.delivery()
            handled.append(delivery["event"]["sequence"])
            consumer.settle(delivery)

    workers = [asyncio.ensure_future(work(consumer)) for consumer in consumers]
    await world.gateway.send_many(count)
    await await_settled(world)
    for worker in workers:
        worker.cancel()
    await asyncio.gather(*workers, return_exceptions=True)
    twice = sorted({sequence for sequence in handled if handled.count(sequence) > 1})
    check_equal(twice, [], "events that were handled twice")
    check_equal(len(handled), count, "events that were handled")
    for consumer in consumers:
        await consumer.stop()


@scenario("consume")
async def five_thousand_events_are_acked_over_broken_streams(world):
    await world.start()
    await world.create_subscription()
    count = 5000
    adapter = await world.adapter()
    consumer = adapter.consume(concurrency=16)
    sending = asyncio.ensure_future(world.gateway.send_many(count))
    handled = set()
    deliveries = 0
    try:
        while len(handled) < count:
            delivery = await consumer.delivery()
            deliveries += 1
            handled.add(delivery["event"]["sequence"])
            consumer.settle(delivery)
            if deliveries in (1000, 2000):
                world.proxy.cut()
            if deliveries == 3000:
                await world.gateway.kill()
                await world.restart()
        await sending
    finally:
        sending.cancel()

    # What came twice is still on its way.
    async def drain():
        while True:
            consumer.settle(await consumer.delivery())

    rest = asyncio.ensure_future(drain())
    try:
        await await_settled(world)
    finally:
        rest.cancel()
        await asyncio.gather(rest, return_exceptions=True)
    await consumer.stop()


# Leases.


@scenario("consume")
async def a_lease_is_extended_while_its_handler_runs(world):
    await world.start()
    await world.create_subscription(ackDeadline="5s")
    await world.gateway.send()
    consumer = (await world.adapter()).consume()
    delivery = await consumer.delivery()
    first = (await world.fate(1))["untilTime"]

    async def extended():
        fate = await world.fate(1)
        check_equal(fate["state"], "DELIVERY_STATE_LEASED", "the state while its handler runs")
        return fate["untilTime"] > first

    await poll(extended, "the lease is extended")
    first = (await world.fate(1))["untilTime"]
    await poll(extended, "the lease is extended again")
    consumer.settle(delivery)
    fate = await await_state(world, 1, "ACKED", "the event is acked")
    check_equal(fate["attempt"], 1, "the attempt")
    check_equal([m for m in consumer.seen if "lost" in m], [], "losses")
    await consumer.stop()


@scenario("consume")
async def a_lease_is_not_extended_for_ever(world):
    await world.start()
    await world.create_subscription(ackDeadline="5s", minimumBackoff="0.1s", maximumBackoff="0.1s")
    await world.gateway.send()
    consumer = (await world.adapter()).consume(longest_lease_ms=100)
    delivery = await consumer.delivery()
    check_equal(await consumer.lost(), delivery["delivery_id"], "the delivery that is lost")
    consumer.settle(delivery, "give_back")
    again = await consumer.delivery()
    check_equal((again["attempt"], again["reason"]), (2, "DEADLINE_PASSED"), "attempt and reason")
    consumer.settle(again)
    await await_settled(world)
    await consumer.stop()


@scenario("consume")
async def a_handler_hears_that_its_lease_is_gone(world):
    """A seek takes the event away; the next extension finds out."""
    await world.start()
    await world.create_subscription(ackDeadline="5s")
    await world.gateway.send()
    consumer = (await world.adapter()).consume()
    delivery = await consumer.delivery()
    await world.call(
        "SubscriptionService.SeekSubscription",
        {"name": "work", "target": {"startPosition": "START_POSITION_LATEST"}},
    )
    check_equal(await consumer.lost(), delivery["delivery_id"], "the delivery that is lost")
    consumer.settle(delivery)
    await world.gateway.send()
    delivery = await consumer.delivery()
    check_equal(delivery["event"]["sequence"], 2, "the next event")
    consumer.settle(delivery)
    await await_settled(world)
    await consumer.stop()


@scenario("consume")
async def the_verdict_of_a_handler_whose_stream_broke_still_counts(world):
    await world.start()
    await world.create_subscription()
    await world.gateway.send()
    consumer = (await world.adapter()).consume()
    delivery = await consumer.delivery()
    world.proxy.cut()
    check_equal(await consumer.lost(), delivery["delivery_id"], "the delivery that is lost")
    await consumer.state("opened")
    # It comes again while its handler runs: no second one begins.
    await await_state(world, 1, "LEASED", "the event is delivered again")
    consumer.settle(delivery)
    await await_settled(world)
    await world.gateway.send()
    delivery = await consumer.delivery()
    check_equal(delivery["event"]["sequence"], 2, "the next event that is handled")
    consumer.settle(delivery)
    await await_settled(world)
    check_equal(len([m for m in consumer.seen if "lost" in m]), 1, "losses")
    await consumer.stop()


@scenario("consume")
async def what_a_handler_gives_back_after_its_stream_broke_is_handled_again(world):
    await world.start()
    await world.create_subscription()
    await world.gateway.send()
    consumer = (await world.adapter()).consume()
    delivery = await consumer.delivery()
    world.proxy.cut()
    await consumer.lost()
    consumer.settle(delivery, "give_back")
    again = await consumer.delivery()
    check_equal(again["event"]["sequence"], 1, "the event that comes again")
    check(again["delivery_id"] != delivery["delivery_id"], "it is the same delivery")
    consumer.settle(again)
    await await_settled(world)
    await consumer.stop()


@scenario("consume")
async def a_crash_is_forgiven_once(world):
    await world.start()
    await world.create_subscription()
    await world.gateway.send()
    adapter = await world.adapter()
    await adapter.consume().delivery()
    await adapter.kill()
    consumer = (await world.adapter()).consume()
    again = await consumer.delivery()
    check_equal((again["attempt"], again["reason"]), (1, "STREAM_LOST"), "attempt and reason")
    consumer.settle(again)
    await await_settled(world)
    await consumer.stop()


# Reconnecting.


@scenario("consume")
async def verdicts_survive_a_drain(world):
    await world.start()
    await world.create_subscription()
    await world.gateway.send(2)
    consumer = (await world.adapter()).consume()
    delivery = await consumer.delivery()
    await world.gateway.stop()
    draining = lost = None
    while draining is None or lost is None:
        message = await consumer.next("draining and lost")
        draining = message if message.get("state") == "draining" else draining
        lost = message if "lost" in message else lost
    check_equal(lost["lost"]["delivery_id"], delivery["delivery_id"], "the delivery that is lost")
    if not consumer.states("disconnected"):
        await consumer.state("disconnected")
    check_equal(consumer.states("disconnected")[0]["delay_ms"], draining["delay_ms"], "the wait after a drain")
    consumer.settle(delivery)
    await world.restart()
    second = await consumer.delivery()
    while second["event"]["sequence"] == 1:  # Its ack and the new stream's first delivery have crossed.
        consumer.settle(second)
        second = await consumer.delivery()
    check_equal(second["attempt"], 1, "the attempt after a drain")
    consumer.settle(second)
    await await_settled(world)
    await consumer.stop()


@scenario("consume")
async def a_silent_consume_stream_is_given_up(world):
    await world.start()
    await world.create_subscription()
    consumer = (await world.adapter()).consume(heartbeat_ms=400)
    await consumer.state("heartbeat")
    world.proxy.stall()
    check_equal((await consumer.state("disconnected"))["error"]["retryable"], True, "whether silence is retryable")
    world.proxy.cut()
    world.proxy.flow()
    await world.gateway.send()
    consumer.settle(await consumer.delivery())
    await await_settled(world)
    await consumer.stop()


@scenario("consume")
async def a_consumer_waits_longer_after_each_failure(world):
    await world.start()
    await world.create_subscription()
    world.proxy.refusing = True
    consumer = (await world.adapter()).consume(backoff_initial_ms=40, backoff_maximum_ms=100)
    for ceiling in (40, 80, 100, 100):
        delay = (await consumer.state("disconnected"))["delay_ms"]
        check(ceiling / 2 - 1 <= delay <= ceiling + 1, f"waits {delay} ms where {ceiling} ms is the most")
    world.proxy.refusing = False
    await consumer.state("opened")
    await consumer.stop()


@scenario("consume")
async def a_subscription_that_is_not_there_is_final(world):
    await world.start()
    adapter = await world.adapter()
    await adapter.consume().expect_call_error("NOT_FOUND", "SUBSCRIPTION_NOT_FOUND")
    await world.create_subscription()
    consumer = adapter.consume()
    await consumer.state("opened")
    await world.call("SubscriptionService.DeleteSubscription", {"name": "work"})
    await consumer.expect_call_error("NOT_FOUND", "SUBSCRIPTION_NOT_FOUND")


# Two ways to stop.


@scenario("consume")
async def a_stop_waits_for_handlers(world):
    await world.start()
    await world.create_subscription()
    await world.gateway.send(5)
    consumer = (await world.adapter()).consume(concurrency=2)
    held = await consumer.deliveries(2)
    consumer.begin_stop()
    consumer.settle(held[0])
    await await_state(world, held[0]["event"]["sequence"], "ACKED", "the first is acked")
    consumer.settle(held[1])
    check_equal(await consumer.end(), {"ok": True}, "the end")
    check_equal([m for m in consumer.seen if "lost" in m], [], "losses")
    fate = await world.fate(held[1]["event"]["sequence"])
    check_equal(fate["state"], "DELIVERY_STATE_ACKED", "the second once it has ended")
    # What had not begun was given back, and costs no attempt.
    other = (await world.adapter()).consume(concurrency=3)
    for delivery in await other.deliveries(3):
        check_equal(delivery["attempt"], 1, "the attempt of what was given back")
        other.settle(delivery)
    await await_settled(world)
    await other.stop()


@scenario("consume")
async def a_stop_gives_back_at_once(world):
    await world.start()
    await world.create_subscription()
    await world.gateway.send(2)
    consumer = (await world.adapter()).consume(concurrency=2)
    held = await consumer.deliveries(2)
    consumer.begin_stop("give_back")
    lost = {await consumer.lost(), await consumer.lost()}
    check_equal(lost, {delivery["delivery_id"] for delivery in held}, "the deliveries that are lost")
    # One ends with an ack all the same, which counts.
    consumer.settle(held[0])
    consumer.settle(held[1], "give_back")
    check_equal(await consumer.end(), {"ok": True}, "the end")
    other = (await world.adapter()).consume()
    again = await other.delivery()
    check_equal(again["event"]["sequence"], held[1]["event"]["sequence"], "the event that was given back")
    check_equal((again["attempt"], again["reason"]), (1, "STREAM_ENDED"), "attempt and reason")
    other.settle(again)
    await await_settled(world)
    await other.stop()


@scenario("consume")
async def a_stop_that_has_waited_long_enough_gives_back(world):
    await world.start()
    await world.create_subscription()
    await world.gateway.send()
    consumer = (await world.adapter()).consume(stop_grace_ms=200)
    delivery = await consumer.delivery()
    consumer.begin_stop()
    check_equal(await consumer.lost(), delivery["delivery_id"], "the delivery that is lost")
    consumer.settle(delivery, "give_back")
    check_equal(await consumer.end(), {"ok": True}, "the end")
    other = (await world.adapter()).consume()
    again = await other.delivery()
    check_equal((again["attempt"], again["reason"]), (1, "STREAM_ENDED"), "attempt and reason")
    other.settle(again)
    await other.stop()


@scenario("consume")
async def a_handler_that_does_not_end_keeps_its_event_from_nobody(world):
    await world.start()
    await world.create_subscription()
    await world.gateway.send()
    consumer = (await world.adapter()).consume(give_back_grace_ms=200)
    delivery = await consumer.delivery()
    consumer.begin_stop("give_back")
    await consumer.lost()
    other = (await world.adapter()).consume()
    again = await other.delivery()
    check_equal(again["event"]["sequence"], 1, "the event, which its handler still has")
    other.settle(again)
    await await_settled(world)
    consumer.settle(delivery, "give_back")
    check_equal(await consumer.end(), {"ok": True}, "the end")
    await other.stop()


@scenario("consume")
async def a_stop_ends_a_consumers_wait(world):
    await world.start()
    await world.create_subscription()
    world.proxy.refusing = True
    adapter = await world.adapter()
    consumer = adapter.consume(backoff_initial_ms=3_600_000, backoff_maximum_ms=3_600_000)
    await consumer.state("disconnected")
    await consumer.stop()
    world.proxy.refusing = False
    consumer = adapter.consume()
    await consumer.state("opened")
    await consumer.stop("give_back")
