"""Scenarios of Subscribe: order, resuming, what is told, the cursor store, and how it ends."""

import asyncio
import base64
import calendar
import hashlib
import os
import time

from adapter import CallError
from gateway import as_an_older_gateway
from waiting import check, check_equal, poll
from world import Authority, scenario


def in_order(first, last):
    return list(range(first, last + 1))


def stored_cursor(path):
    """The cursor in the file; "" if there is none. Fails unless the file is as every language writes it."""
    try:
        with open(path, "rb") as file:
            content = file.read()
    except FileNotFoundError:
        return ""
    check(content.endswith(b"\n") and content.count(b"\n") == 1, f"the cursor file holds {content!r}")
    check(content[:-1].isascii() and b" " not in content, f"the cursor file holds {content!r}")
    return content[:-1].decode()


# Events and starts.


@scenario("subscribe")
async def events_come_in_order_and_typed(world):
    await world.start()
    sent = await world.gateway.send(5)
    adapter = await world.adapter()
    stream = adapter.subscribe(include_raw_body=True, json=True)
    check((await stream.state("opened"))["cursor"], "Opened has no cursor")
    for number, (webhook_id, body) in enumerate(sent, 1):
        event = await stream.event()
        check_equal(event["sequence"], number, "the sequence")
        check_equal(event["webhook_id"], webhook_id, "the webhook id")
        check_equal((event["source"], event["type"]), ("openai", "batch.failed"), "source and type")
        check_equal(event["subject"], f"batch_{number}", "the subject")
        check_equal(event["payload"], "batch_failed", "the payload's field")
        check_equal(base64.b64decode(event["raw_body"]), body, "the raw body")
        check_equal(event["json"]["batchFailed"]["data"]["id"], f"batch_{number}", "the typed id")
    check_equal((await stream.state("caught_up"))["cursor"], event["cursor"], "the cursor when it has caught up")
    await world.gateway.send(3)
    check_equal(await stream.sequences(3), [6, 7, 8], "live events")
    check((await stream.state("heartbeat"))["cursor"], "the heartbeat has no cursor")
    await stream.stop()


@scenario("subscribe")
async def capabilities_are_told_and_none_is_needed(world):
    await world.start()
    await world.create_subscription()
    adapter = await world.adapter()
    names = sorted((await adapter.call("AdminService.GetStatus"))["capabilities"])
    check("update_mask" in names, f"the capabilities in the status are {names}")
    for sequence, rewrite, expected in ((1, None, names), (2, as_an_older_gateway(names), [])):
        world.proxy.rewrite = rewrite
        await world.gateway.send()
        stream = adapter.subscribe()
        check_equal(sorted((await stream.state("opened"))["capabilities"]), expected, "those of Subscribe")
        check_equal(await stream.sequences(sequence), in_order(1, sequence), "the events")
        await stream.stop()
        consumer = adapter.consume()
        check_equal(sorted((await consumer.state("opened"))["capabilities"]), expected, "those of Consume")
        delivery = await consumer.delivery()
        check_equal(delivery["event"]["sequence"], sequence, "the event that is consumed")
        consumer.settle(delivery)
        await consumer.stop()


@scenario("subscribe")
async def unknown_types_come_unrecognized(world):
    await world.start()
    await world.gateway.send(kind="something.new", subject="x")
    stream = (await world.adapter()).subscribe(json=True)
    event = await stream.event()
    check_equal((event["payload"], event["type"]), ("unrecognized", "something.new"), "payload and type")
    check("something.new" in event["json"]["unrecognized"]["rawJson"], "the body is not there")
    await stream.stop()


@scenario("subscribe")
async def a_filter_admits_what_it_names(world):
    await world.start()
    for kind in ("batch.failed", "batch.completed", "response.failed"):
        await world.gateway.send(kind=kind, subject=kind)
    adapter = await world.adapter()
    by_type = adapter.subscribe(filter={"types": ["batch.*"]})
    by_subject = adapter.subscribe(filter={"subjects": ["response.failed"], "sources": ["openai"]})
    check_equal(await by_type.sequences(2), [1, 2], "events of batches")
    check_equal(await by_subject.sequences(1), [3], "events of the subject")
    await by_type.state("caught_up")
    await by_type.stop()
    await by_subject.stop()


@scenario("subscribe")
async def it_starts_where_it_is_told(world):
    await world.start()
    await world.gateway.send(5)
    adapter = await world.adapter()
    latest = adapter.subscribe(start="latest")
    await latest.state("opened")
    all_events = adapter.subscribe(start="earliest")
    events = [await all_events.event() for _ in range(5)]
    after = adapter.subscribe(start={"after": events[2]["cursor"]})
    check_equal(await after.sequences(2), [4, 5], "events after the third")
    stored = await world.call("EventService.ListEvents", {"order": "ORDER_OLDEST_FIRST"})
    times = [event["receiveTime"] for event in stored["events"]]
    since_ms = milliseconds(times[3])
    since = adapter.subscribe(start={"since_ms": since_ms})
    first = next(i + 1 for i, stamp in enumerate(times) if microseconds(stamp) >= since_ms * 1000)
    check_equal(await since.sequences(1), [first], "the first event since a time")
    await world.gateway.send()
    check_equal(await latest.sequences(1), [6], "the first event of a stream from the latest on")
    for stream in (latest, all_events, after, since):
        await stream.stop()


def microseconds(stamp):
    """Of a time in protobuf's JSON mapping, in UTC."""
    whole, _, fraction = stamp.rstrip("Z").partition(".")
    seconds = calendar.timegm(time.strptime(whole, "%Y-%m-%dT%H:%M:%S"))
    return seconds * 1_000_000 + int((fraction + "000000")[:6])


def milliseconds(stamp):
    return microseconds(stamp) // 1000


@scenario("subscribe")
async def the_iterator_form_does_the_same(world):
    await world.start()
    await world.gateway.send(3)
    adapter = await world.adapter()
    cursor_file = world.path("cursor")
    stream = adapter.subscribe(form="iterator", hold=True, cursor_file=cursor_file, save_interval_ms=0)
    first = await stream.event()
    stream.handled(first)
    second = await stream.event()
    check_equal(stored_cursor(cursor_file), first["cursor"], "the cursor while the second event is handled")
    stream.fails(second, "enough")
    check_equal(await stream.error(), {"kind": "handler", "message": "enough"}, "the error")
    check_equal(stored_cursor(cursor_file), first["cursor"], "the cursor after the failure")


# Reconnecting.


@scenario("subscribe")
async def it_goes_on_after_a_drain(world):
    await world.start()
    await world.gateway.send(2)
    adapter = await world.adapter()
    stream = adapter.subscribe()
    check_equal(await stream.sequences(2), [1, 2], "events before")
    await world.gateway.stop()
    draining = await stream.state("draining")
    disconnected = await stream.state("disconnected")
    check_equal(disconnected["delay_ms"], draining["delay_ms"], "the wait after a drain")
    await world.restart()
    await world.gateway.send(2)
    check_equal(await stream.sequences(2), [3, 4], "events after")
    await stream.stop()


@scenario("subscribe")
async def it_goes_on_after_the_gateway_was_killed(world):
    await world.start()
    adapter = await world.adapter()
    stream = adapter.subscribe()
    await stream.state("caught_up")
    for round_number in range(3):
        await world.gateway.send(3)
        check_equal(await stream.sequences(3), in_order(round_number * 3 + 1, round_number * 3 + 3), "events")
        await world.gateway.kill()
        error = (await stream.state("disconnected"))["error"]
        check_equal((error["kind"], error["retryable"]), ("call", True), "why it was disconnected")
        await world.restart()
    await stream.state("opened")
    await stream.stop()


@scenario("subscribe")
async def it_goes_on_after_connections_were_cut(world):
    await world.start()
    adapter = await world.adapter()
    stream = adapter.subscribe()
    for number in range(1, 6):
        await stream.state("opened")
        await world.gateway.send()
        check_equal(await stream.sequences(1), [number], "the event")
        world.proxy.cut()
        await stream.state("disconnected")
    await stream.stop()


@scenario("subscribe")
async def it_goes_on_after_a_half_close(world):
    await world.start()
    adapter = await world.adapter()
    stream = adapter.subscribe()
    await stream.state("caught_up")
    world.proxy.half_close()
    await stream.state("disconnected")
    await world.gateway.send()
    check_equal(await stream.sequences(1), [1], "the event after")
    await stream.stop()


@scenario("subscribe")
async def a_silent_stream_is_given_up(world):
    await world.start()
    await world.gateway.send()
    adapter = await world.adapter()
    stream = adapter.subscribe(heartbeat_ms=400)
    check_equal(await stream.sequences(1), [1], "the event before")
    await stream.state("heartbeat")
    world.proxy.stall()
    loop = asyncio.get_running_loop()
    begin = loop.time()
    error = (await stream.state("disconnected"))["error"]
    # The last frame may have come up to one interval before the stall.
    check(loop.time() - begin >= 0.55, "it was given up long before 2.5 intervals had passed")
    check_equal(error["retryable"], True, "whether silence is retryable")
    await world.gateway.send()
    world.proxy.cut()
    world.proxy.flow()
    check_equal(await stream.sequences(1), [2], "the event after")
    await stream.stop()


@scenario("subscribe")
async def a_slow_network_is_not_taken_for_a_dead_one(world):
    await world.start()
    adapter = await world.adapter()
    stream = adapter.subscribe(heartbeat_ms=1000)
    await stream.state("caught_up")
    world.proxy.delay = 0.3
    await world.gateway.send(3)
    check_equal(await stream.sequences(3), [1, 2, 3], "events over the slow network")
    await stream.state("heartbeat")
    await stream.state("heartbeat")
    check_equal(stream.states("disconnected"), [], "disconnects")
    await stream.stop()


@scenario("subscribe")
async def a_slow_handler_is_not_silence(world):
    await world.start()
    await world.gateway.send(2)
    adapter = await world.adapter()
    slow = adapter.subscribe(hold=True, heartbeat_ms=100)
    beside = adapter.subscribe(heartbeat_ms=100)
    event = await slow.event()
    await beside.sequences(2)
    for _ in range(8):
        await beside.state("heartbeat")
    slow.handled(event)
    slow.handled(await slow.event())
    await slow.state("caught_up")
    check_equal(slow.states("disconnected"), [], "disconnects")
    await slow.stop()
    await beside.stop()


@scenario("subscribe")
async def it_waits_longer_after_each_failure(world):
    await world.start()
    world.proxy.refusing = True
    adapter = await world.adapter()
    stream = adapter.subscribe(backoff_initial_ms=40, backoff_maximum_ms=200)
    for ceiling in (40, 80, 160, 200, 200):
        delay = (await stream.state("disconnected"))["delay_ms"]
        # Rounded to whole milliseconds.
        check(ceiling / 2 - 1 <= delay <= ceiling + 1, f"waits {delay} ms where {ceiling} ms is the most")
    world.proxy.refusing = False
    await stream.state("opened")
    await stream.state("heartbeat")
    # A stream that was of use begins the count again.
    world.proxy.refusing = True
    world.proxy.cut()
    delay = (await stream.state("disconnected"))["delay_ms"]
    check(19 <= delay <= 41, f"waits {delay} ms after a stream that was of use")
    world.proxy.refusing = False
    await stream.state("opened")
    await stream.stop()


@scenario("subscribe")
async def a_full_gateway_is_tried_again(world):
    await world.start("grpc { max_streams: 1 }")
    adapter = await world.adapter()
    first = adapter.subscribe()
    await first.state("opened")
    second = adapter.subscribe()
    disconnected = await second.state("disconnected")
    check_equal(disconnected["error"]["reason"], "TOO_MANY_STREAMS", "why it was refused")
    check_equal(disconnected["error"]["retryable"], True, "whether that is retryable")
    await first.stop()
    await second.state("opened")
    await second.stop()


@scenario("subscribe")
async def a_stop_ends_a_wait(world):
    await world.start()
    world.proxy.refusing = True
    adapter = await world.adapter()
    stream = adapter.subscribe(backoff_initial_ms=3_600_000, backoff_maximum_ms=3_600_000)
    await stream.state("disconnected")
    await stream.stop()
    connecting = adapter.subscribe(connection={"target": world.proxy.target}, open_timeout_ms=3_600_000)
    await connecting.stop()
    world.proxy.refusing = False
    waiting = adapter.subscribe()
    await waiting.state("caught_up")
    await waiting.stop()


@scenario("subscribe")
async def ten_thousand_events_come_once_each(world):
    """With webhooks that their sender repeats, cut connections, and a gateway that is killed."""
    await world.start()
    count = 10_000
    adapter = await world.adapter()
    cursor_file = world.path("cursor")
    stream = adapter.subscribe(cursor_file=cursor_file)
    sending = asyncio.ensure_future(world.gateway.send_many(count))
    try:
        for number in range(1, count + 1):
            event = await stream.event()
            check_equal(event["sequence"], number, "the sequence")
            if number in (1500, 4000, 8000):
                world.proxy.cut()
            if number == 6000:
                await world.gateway.kill()
                await world.restart()
        await sending
        await stream.stop()
    finally:
        sending.cancel()
    check_equal(stored_cursor(cursor_file), event["cursor"], "the cursor at the end")
    ids = {message["event"]["webhook_id"] for message in stream.seen if "event" in message}
    check_equal(len(ids), count, "webhook ids")


# The cursor store.


@scenario("subscribe")
async def the_cursor_moves_when_an_event_is_handled(world):
    await world.start()
    await world.gateway.send(3)
    cursor_file = world.path("cursor")
    adapter = await world.adapter()
    stream = adapter.subscribe(hold=True, cursor_file=cursor_file, save_interval_ms=0)
    opened = await stream.state("opened")
    first = await stream.event()
    check_equal(stored_cursor(cursor_file), opened["cursor"], "the cursor before the first event is handled")
    stream.handled(first)
    second = await stream.event()
    check_equal(stored_cursor(cursor_file), first["cursor"], "the cursor while the second is handled")
    # As a crash: what was not handled comes again, and nothing else.
    await adapter.kill()
    adapter = await world.adapter()
    stream = adapter.subscribe(hold=True, cursor_file=cursor_file, save_interval_ms=0, start="latest")
    again = await stream.event()
    check_equal(again["sequence"], second["sequence"], "the first event after the crash")
    stream.begin_stop()
    stream.handled(again)
    check_equal(await stream.end(), {"ok": True}, "the end")
    check_equal(stored_cursor(cursor_file), again["cursor"], "the cursor after the stop")
    stream = adapter.subscribe(cursor_file=cursor_file)
    check_equal(await stream.sequences(1), [3], "the event after the stop")
    await stream.stop()
    check(not os.path.exists(cursor_file + ".tmp"), "PATH.tmp was left behind")


@scenario("subscribe")
async def a_failed_handler_ends_it_and_the_event_comes_again(world):
    await world.start()
    await world.gateway.send(2)
    cursor_file = world.path("cursor")
    adapter = await world.adapter()
    stream = adapter.subscribe(hold=True, cursor_file=cursor_file)
    first = await stream.event()
    stream.handled(first)
    stream.fails(await stream.event(), "disk full")
    check_equal(await stream.error(), {"kind": "handler", "message": "disk full"}, "the error")
    check_equal(stored_cursor(cursor_file), first["cursor"], "the cursor")
    stream = adapter.subscribe(cursor_file=cursor_file)
    check_equal(await stream.sequences(1), [2], "the event that was not handled")
    await stream.stop()


@scenario("subscribe")
async def from_the_latest_on_means_the_first_stream(world):
    """What is stored between two streams was skipped by a client that began at the latest again."""
    await world.start()
    await world.gateway.send(2)
    cursor_file = world.path("cursor")
    adapter = await world.adapter()
    stream = adapter.subscribe(start="latest", cursor_file=cursor_file)
    opened = await stream.state("opened")
    await stream.state("caught_up")
    check_equal(stored_cursor(cursor_file), opened["cursor"], "the cursor of a stream without events")
    world.proxy.refusing = True
    world.proxy.cut()
    await stream.state("disconnected")
    await world.gateway.send(2)
    world.proxy.refusing = False
    check_equal(await stream.sequences(2), [3, 4], "events stored in between")
    await stream.stop()


@scenario("subscribe")
async def cursor_files_are_the_same_in_all_languages(world):
    await world.start()
    await world.gateway.send(3)
    adapter = await world.adapter()
    stream = adapter.subscribe()
    events = [await stream.event() for _ in range(3)]
    await stream.stop()
    # As another language has left it, behind a link.
    real = world.path("real_cursor")
    link = world.path("cursor")
    with open(real, "w", encoding="ascii") as file:
        file.write(events[0]["cursor"] + "\n")
    os.symlink("real_cursor", link)
    stream = adapter.subscribe(cursor_file=link)
    check_equal(await stream.sequences(2), [2, 3], "events after the cursor in the file")
    await stream.state("caught_up")
    await stream.stop()
    check(os.path.islink(link), "the link was replaced")
    check_equal(stored_cursor(real), events[2]["cursor"], "the file that the link leads to")


@scenario("subscribe")
async def a_damaged_cursor_file_ends_it(world):
    await world.start()
    await world.gateway.send()
    adapter = await world.adapter()
    path = world.path("cursor")
    for content in (b"", b"\n", b"abc", b"abc def\n", b"abc\ndef\n", b"\xff\xfe\n", b"x" * 5000 + b"\n"):
        with open(path, "wb") as file:
            file.write(content)
        error = await adapter.subscribe(cursor_file=path).error()
        check_equal(error["kind"], "cursor_store", f"the error with a file of {content[:20]!r}")
        check(path in error["message"], f"the message does not name the file: {error['message']}")
        with open(path, "rb") as file:
            check_equal(file.read(), content, "the file afterwards")
    os.remove(path)
    os.mkdir(path)
    error = await adapter.subscribe(cursor_file=path).error()
    check_equal(error["kind"], "cursor_store", "the error with a folder")
    error = await adapter.subscribe(cursor_file=world.path("nowhere/cursor")).error()
    check_equal(error["kind"], "cursor_store", "the error without the file's folder")


# Errors that are final.


@scenario("subscribe")
async def a_cursor_that_retention_has_overtaken_is_final(world):
    await world.start()
    await world.gateway.send(5)
    cursor_file = world.path("cursor")
    adapter = await world.adapter()
    stream = adapter.subscribe(hold=True, cursor_file=cursor_file, save_interval_ms=0)
    stream.handled(await stream.event())
    await stream.event()
    await adapter.kill()
    kept = stored_cursor(cursor_file)
    await world.gateway.stop()
    world.gateway.age(days=60, up_to=5)
    await world.restart()
    await world.gateway.send()

    async def removed():
        status = await world.call("AdminService.GetStatus")
        return int(status.get("earliestSequence", 0)) > 5

    await poll(removed, "retention removes the old events")
    adapter = await world.adapter()
    error = await adapter.subscribe(cursor_file=cursor_file).expect_call_error("OUT_OF_RANGE", "CURSOR_OVERTAKEN")
    check_equal(stored_cursor(cursor_file), kept, "the stored cursor")
    stream = adapter.subscribe(start={"after": error["metadata"]["earliest_cursor"]})
    check_equal(await stream.sequences(1), [6], "the earliest event")
    await stream.stop()


@scenario("subscribe")
async def a_cursor_of_a_log_that_was_put_back_is_final(world):
    await world.start()
    await world.gateway.send(2)
    adapter = await world.adapter()
    cursor_file = world.path("cursor")
    stream = adapter.subscribe(cursor_file=cursor_file)
    await stream.sequences(2)
    world.gateway.back_up(world.path("backup.db"))
    await world.gateway.send(2)
    await stream.sequences(2)
    await stream.state("heartbeat")
    kept = stored_cursor(cursor_file)
    await world.gateway.stop()
    await world.gateway.restore(world.path("backup.db"))
    await world.restart()
    error = await stream.expect_call_error("FAILED_PRECONDITION", "CURSOR_OF_ANOTHER_HISTORY")
    check_equal(stored_cursor(cursor_file), kept, "the stored cursor")
    check_equal(sorted(error["metadata"]), ["common_cursor", "earliest_cursor"], "what the error tells")
    await world.gateway.send()
    stream = adapter.subscribe(start={"after": error["metadata"]["common_cursor"]})
    check_equal(await stream.sequences(1), [3], "what came after the backup")
    await stream.stop()
    foreign = adapter.subscribe(start={"after": "0" * 16 + "-7"})
    error = await foreign.error()
    check(error["reason"] in ("CURSOR_OF_ANOTHER_LOG", "INVALID_REQUEST"), f"a foreign cursor: {error}")
    check_equal(error["retryable"], False, "whether a foreign cursor is retryable")


@scenario("subscribe")
async def a_wrong_request_is_final(world):
    await world.start()
    adapter = await world.adapter()
    stream = adapter.subscribe(start={"after": "not a cursor"})
    await stream.expect_call_error("INVALID_ARGUMENT", "INVALID_REQUEST")
    stream = adapter.subscribe(filter={"sources": ["openai", "nobody"]})
    error = await stream.error()
    check_equal((error["kind"], error["retryable"]), ("call", False), "the error of an unknown source")


# Access.


def digest(token):
    return hashlib.sha256(token.encode()).hexdigest()


def principal(name, *tokens, rights='subscribe: "*" query: "*" consume: "*" admin: true'):
    known = " ".join(f'token_sha256: "{digest(token)}"' for token in tokens)
    return f'principals {{ name: "{name}" {known} rights {{ {rights} }} }}\n'


OLD, NEW, ADMIN = "old-token-0123456789abcdef", "new-token-0123456789abcdef", "admin-token-0123456789abcdef"


@scenario("access")
async def a_right_that_is_revoked_is_final(world):
    await world.start(principal("me", OLD) + principal("admin", ADMIN))
    adapter = await world.adapter(token=OLD)
    stream = adapter.subscribe()
    await stream.state("caught_up")
    await world.create_subscription(connection={"token": ADMIN})
    consumer = adapter.consume()
    await consumer.state("opened")
    await world.gateway.reload(principal("me", OLD, rights='query: "*"') + principal("admin", ADMIN))
    await stream.expect_call_error("PERMISSION_DENIED", "MISSING_RIGHT")
    await consumer.expect_call_error("PERMISSION_DENIED", "MISSING_RIGHT")


@scenario("access")
async def a_token_is_rotated_without_a_restart(world):
    await world.start(principal("me", OLD))
    token_file = world.path("token")

    def write(token):
        with open(token_file + ".new", "w", encoding="ascii") as file:
            file.write(token + "\n")
        os.replace(token_file + ".new", token_file)

    write(OLD)
    await world.create_subscription(connection={"token": OLD})
    adapter = await world.adapter(token_file=token_file)
    stream = adapter.subscribe(start="latest")
    consumer = adapter.consume()
    await stream.state("caught_up")
    await consumer.state("opened")
    await world.gateway.reload(principal("me", OLD, NEW))
    write(NEW)
    await world.gateway.reload(principal("me", NEW))
    await world.gateway.send()
    check_equal((await stream.event())["sequence"], 1, "the event with the new token")
    delivery = await consumer.delivery()
    consumer.settle(delivery)
    answer = await adapter.call("EventService.GetEvent", {"sequence": "1"})
    check_equal(answer["event"]["webhookId"], "wh_1", "the answer of a call with the new token")
    await stream.stop()
    await consumer.stop()


@scenario("access")
async def an_unknown_token_is_final_and_is_not_shown(world):
    await world.start(principal("me", OLD))
    adapter = await world.adapter(token=NEW)
    for stream in (adapter.subscribe(), adapter.consume()):
        error = await stream.expect_call_error("UNAUTHENTICATED", "UNAUTHENTICATED")
        check(NEW not in str(error), "the error shows the token")
    check(NEW not in adapter.log(), "the log shows the token")


@scenario("access")
async def a_token_does_not_travel_in_the_clear(world):
    await world.start()
    # Of a network for documentation: nobody is there, and nobody is asked.
    adapter = await world.adapter(target="192.0.2.1:50051", token=OLD)
    for stream in (adapter.subscribe(), adapter.consume()):
        error = await stream.error()
        check_equal(error["kind"], "usage", "the error of a token without TLS")
        check(OLD not in error["message"], "the error shows the token")


@scenario("access")
async def tls_is_renewed_without_a_restart(world):
    authority = Authority(world.folder, "ca")
    await authority.create()
    certificate, key = await authority.issue()
    clients = Authority(world.folder, "clients")
    await clients.create()
    own_certificate, own_key = await clients.issue("DNS:mailer.internal")

    def config(number):
        return (
            f'grpc {{ tls {{ certificate_file: "{number[0]}" key_file: "{number[1]}" '
            f'client_ca_file: "{clients.certificate}" }} }}\n'
            'principals { name: "mailer" certificate_names: "mailer.internal" '
            'rights { subscribe: "*" query: "*" } }\n'
        )

    await world.start(config((certificate, key)))
    adapter = await world.adapter(
        tls=True, tls_ca_file=authority.certificate, tls_certificate_file=own_certificate, tls_key_file=own_key
    )
    stream = adapter.subscribe()
    await stream.state("caught_up")
    await world.gateway.send()
    check_equal(await stream.sequences(1), [1], "the event before")
    renewed, renewed_key = await authority.issue()
    # The file is another one; the gateway is told where by the same name.
    os.replace(renewed, certificate)
    os.replace(renewed_key, key)
    await world.gateway.reload(config((certificate, key)))
    await world.gateway.send()
    check_equal(await stream.sequences(1), [2], "the event of the old connection")
    world.proxy.cut()
    await stream.state("opened")
    await world.gateway.send()
    check_equal(await stream.sequences(1), [3], "the event of the new connection")
    await stream.stop()


@scenario("access")
async def a_certificate_that_nobody_trusts_is_not_taken(world):
    authority = Authority(world.folder, "ca")
    await authority.create()
    other = Authority(world.folder, "other")
    await other.create()
    certificate, key = await authority.issue()
    named_otherwise, its_key = await authority.issue("DNS:gateway.example")
    config = f'grpc {{ tls {{ certificate_file: "{certificate}" key_file: "{key}" }} }}\n' + principal("me", OLD)
    await world.start(config)
    adapter = await world.adapter(tls=True, tls_ca_file=other.certificate, token=OLD)
    stream = adapter.subscribe()
    check_equal((await stream.state("disconnected"))["error"]["retryable"], True, "whether it is tried again")
    await stream.stop()
    try:
        await adapter.call("EventService.ListEvents", timeout_ms=5000)
        check(False, "a call went through")
    except CallError as failure:
        check_equal(failure.error["reason"], "", "the reason of an error that is not the gateway's")
    os.replace(named_otherwise, certificate)
    os.replace(its_key, key)
    await world.gateway.reload(config)
    adapter = await world.adapter(tls=True, tls_ca_file=authority.certificate, token=OLD)
    stream = adapter.subscribe()
    await stream.state("disconnected")
    check_equal(stream.states("opened"), [], "streams to a host that the certificate does not name")
    await stream.stop()


# Each unary call, with a request that changes nothing.
UNARY_CALLS = [
    f"{service}.{method}"
    for service, methods in {
        "EventService": "ListEvents ListRecentFailures GetEvent ExplainEvent",
        "SubscriptionService": "CreateSubscription GetSubscription ListSubscriptions UpdateSubscription "
        "DeleteSubscription SeekSubscription PauseSubscription ResumeSubscription RedeliverEvents GetJob ListJobs "
        "CancelJob Pull Acknowledge ListDeliveries ListDeadLetters RedriveDeadLetters DiscardDeadLetters",
        "AdminService": "GetStatus ListQuarantined GetQuarantined RetryQuarantined DiscardQuarantined ListRefused "
        "ListStreams ListConflicts GetConflict DiscardConflicts",
    }.items()
    for method in methods.split()
]


@scenario("access")
async def every_call_shows_its_token_over_tls(world):
    authority = Authority(world.folder, "ca")
    await authority.create()
    certificate, key = await authority.issue()
    await world.start(
        f'grpc {{ tls {{ certificate_file: "{certificate}" key_file: "{key}" }} }}\n'
        + principal("me", OLD) + principal("nobody", ADMIN, rights="")
    )  # fmt: skip
    tls = {"tls": True, "tls_ca_file": authority.certificate}
    me = await world.adapter(**tls, token=OLD)
    strangers = [
        (await world.adapter(**tls, token=NEW), "UNAUTHENTICATED", "UNAUTHENTICATED"),
        (await world.adapter(**tls), "UNAUTHENTICATED", "UNAUTHENTICATED"),
        (await world.adapter(**tls, token=ADMIN), "PERMISSION_DENIED", "MISSING_RIGHT"),
    ]
    await me.call(
        "SubscriptionService.CreateSubscription",
        {"name": "work", "settings": {}, "start": {"startPosition": "START_POSITION_EARLIEST"}},
    )
    await world.gateway.send(2)

    async def refused(call, code, reason, what):
        try:
            answer = await call
        except CallError as failure:
            error = failure.error
            check_equal((error["kind"], error.get("code"), error.get("reason")), ("call", code, reason), what)
        else:
            check(False, f"{what}: {answer}")

    for method in UNARY_CALLS:
        for stranger, code, reason in strangers:
            await refused(stranger.call(method), code, reason, f"{method} of a stranger")
        try:
            await me.call(method)
        except CallError as failure:
            # Of the empty request: it came to where requests are read.
            code = failure.error["code"]
            check(code in ("INVALID_ARGUMENT", "NOT_FOUND"), f"{method} of one who may: {failure.error}")
    for stranger, code, reason in strangers:
        await refused(stranger.pull(max_events=1, wait_ms=0), code, reason, "Pull of a stranger")
        await refused(stranger.settle({"delivery_id": "x", "kind": "ack"}), code, reason, "Acknowledge of a stranger")
        for stream in (stranger.subscribe(), stranger.consume()):
            await stream.expect_call_error(code, reason)
    stream = me.subscribe()
    check_equal(await stream.sequences(2), [1, 2], "the events of Subscribe")
    await stream.stop()
    consumer = me.consume()
    consumer.settle(await consumer.delivery())
    await consumer.stop()
    pulled = await me.pull(max_events=1, wait_ms=5000)
    check_equal(pulled[0]["event"]["sequence"], 2, "the event of Pull")
    acked = await me.settle({"delivery_id": pulled[0]["delivery_id"], "kind": "ack"})
    check_equal(acked, ["OK"], "the result of its ack")
