"""Scenarios of calls that end with an answer, and of the adapter itself."""

from adapter import CallError
from gateway import as_an_older_gateway
from waiting import check, check_equal, poll, within
from world import scenario


async def fails(awaitable, code, reason, retryable):
    """A call fails so; its error."""
    try:
        answer = await awaitable
    except CallError as failure:
        error = failure.error
        check_equal((error["kind"], error["code"], error["reason"]), ("call", code, reason), "the error")
        check_equal(error["retryable"], retryable, f"whether {code} {reason} is retryable")
        check(error["message"], "the error has no message")
        return error
    check(False, f"instead of {code} {reason}: {answer}")
    return None


@scenario("calls")
async def queries_answer(world):
    await world.start()
    sent = await world.gateway.send(5)
    await world.gateway.send(kind="batch.completed")
    adapter = await world.adapter()
    listed = []
    token = ""
    for _ in range(10):
        page = await adapter.call(
            "EventService.ListEvents", {"order": "ORDER_OLDEST_FIRST", "pageSize": 4, "pageToken": token}
        )
        listed += [int(event["sequence"]) for event in page.get("events", [])]
        token = page.get("nextPageToken", "")
        if not token:
            break
    check_equal(listed, [1, 2, 3, 4, 5, 6], "all events, by pages")
    failures = await adapter.call("EventService.ListRecentFailures", {})
    check_equal([int(event["sequence"]) for event in failures["events"]], [5, 4, 3, 2, 1], "recent failures")
    webhook_id = sent[2][0]
    got = await adapter.call(
        "EventService.GetEvent", {"webhook": {"source": "openai", "webhookId": webhook_id}, "includeRawBody": True}
    )
    check_equal(got["event"]["batchFailed"]["data"]["id"], "batch_3", "the typed event")
    check(got["event"]["rawBody"], "the raw body is missing")
    explained = await adapter.call("EventService.ExplainEvent", {"text": "batch_3"})
    check_equal(explained["event"]["sequence"], "3", "the event that is explained")
    status = await adapter.call("AdminService.GetStatus")
    check_equal(status["headSequence"], "6", "the newest sequence in the status")


@scenario("calls")
async def subscriptions_are_administered(world):
    await world.start()
    adapter = await world.adapter()
    service = "SubscriptionService."
    created = await adapter.call(
        service + "CreateSubscription",
        {
            "name": "work",
            "settings": {"maxAttempts": 7, "filter": {"types": ["batch.*"]}},
            "start": {"startPosition": "START_POSITION_EARLIEST"},
        },
    )
    check_equal(created["subscription"]["settings"]["maxAttempts"], 7, "its attempts")
    etag = created["subscription"]["etag"]
    updated = await adapter.call(
        service + "UpdateSubscription",
        {"name": "work", "settings": {"maxAttempts": 9}, "updateMask": "maxAttempts", "etag": etag},
    )
    check_equal(updated["subscription"]["settings"]["filter"]["types"], ["batch.*"], "its filter, left alone")
    request = {"name": "work", "settings": {"maxAttempts": 3}, "updateMask": "maxAttempts", "etag": etag}
    error = await fails(adapter.call(service + "UpdateSubscription", request), "ABORTED", "ETAG_MISMATCH", False)
    check_equal(error["metadata"].get("etag"), updated["subscription"]["etag"], "the etag that it has")
    start = {"startPosition": "START_POSITION_LATEST"}
    request = {"name": "work", "start": start}
    create = adapter.call(service + "CreateSubscription", request)
    await fails(create, "ALREADY_EXISTS", "SUBSCRIPTION_EXISTS", False)
    paused = await adapter.call(service + "PauseSubscription", {"name": "work"})
    check("pauseTime" in paused["subscription"], "it is not paused")
    resumed = await adapter.call(service + "ResumeSubscription", {"name": "work"})
    check("pauseTime" not in resumed["subscription"], "it is paused")
    await adapter.call(service + "SeekSubscription", {"name": "work", "target": start})
    listed = await adapter.call(service + "ListSubscriptions")
    check_equal([one["name"] for one in listed["subscriptions"]], ["work"], "the subscriptions")
    await adapter.call(service + "DeleteSubscription", {"name": "work"})
    get = adapter.call(service + "GetSubscription", {"name": "work"})
    await fails(get, "NOT_FOUND", "SUBSCRIPTION_NOT_FOUND", False)


@scenario("calls")
async def an_older_gateway_is_not_sent_what_it_would_ignore(world):
    await world.start()
    await world.create_subscription()
    adapter = await world.adapter()
    service = "SubscriptionService."
    before = await adapter.call(service + "GetSubscription", {"name": "work"})
    names = (await adapter.call("AdminService.GetStatus"))["capabilities"]
    update = {"name": "work", "settings": {"maxAttempts": 9}, "updateMask": "maxAttempts"}
    world.proxy.rewrite = as_an_older_gateway(names)
    check_equal((await adapter.call("AdminService.GetStatus")).get("capabilities", []), [], "what it says that it can")
    for method, request, capability in (
        ("UpdateSubscription", update, "update_mask"),
        ("DeleteSubscription", {"name": "work", "etag": before["subscription"]["etag"]}, "etag"),
        ("DiscardDeadLetters", {"subscription": "work", "sequences": ["1"], "preview": True}, "preview"),
    ):
        call = adapter.call(service + method, request)
        error = await fails(call, "UNIMPLEMENTED", "CAPABILITY_MISSING", False)
        check_equal(error["metadata"], {"capability": capability}, f"what {method} lacks")
        check(f'does not have the capability "{capability}"' in error["message"], f"the message is {error['message']}")
    after = await adapter.call(service + "GetSubscription", {"name": "work"})
    check_equal(after["subscription"]["etag"], before["subscription"]["etag"], "the etag of what was not changed")
    # The next call may find a newer gateway.
    world.proxy.rewrite = None
    updated = await adapter.call(service + "UpdateSubscription", update)
    check_equal(updated["subscription"]["settings"]["maxAttempts"], 9, "its attempts")


@scenario("calls")
async def dead_letters_are_redriven(world):
    await world.start()
    await world.create_subscription()
    await world.gateway.send(2)
    adapter = await world.adapter()
    deliveries = await adapter.pull(max_events=2, wait_ms=20_000)
    verdicts = [
        {"delivery_id": delivery["delivery_id"], "kind": "dead_letter", "reason": "never"}
        for delivery in deliveries
    ]
    await adapter.settle(*verdicts)
    listed = await adapter.call("SubscriptionService.ListDeadLetters", {"subscription": "work"})
    check_equal([letter["sequence"] for letter in listed["deadLetters"]], ["1", "2"], "dead letters")
    await adapter.call("SubscriptionService.DiscardDeadLetters", {"subscription": "work", "sequences": ["2"]})
    await adapter.call("SubscriptionService.RedriveDeadLetters", {"subscription": "work", "sequences": ["1"]})
    again = await adapter.pull(max_events=5, wait_ms=20_000)
    check_equal([(d["event"]["sequence"], d["reason"]) for d in again], [(1, "REDRIVEN")], "what comes again")


@scenario("calls")
async def errors_tell_what_kind_they_are(world):
    await world.start()
    adapter = await world.adapter()
    get = "EventService.GetEvent"
    await fails(adapter.call(get, {"sequence": "99"}), "NOT_FOUND", "EVENT_NOT_FOUND", False)
    await fails(adapter.call(get, {}), "INVALID_ARGUMENT", "INVALID_REQUEST", False)
    wrong_token = adapter.call("EventService.ListEvents", {"pageToken": "x"})
    await fails(wrong_token, "INVALID_ARGUMENT", "INVALID_REQUEST", False)
    job = adapter.call("SubscriptionService.GetJob", {"subscription": "nobody", "jobId": "1"})
    await fails(job, "NOT_FOUND", "SUBSCRIPTION_NOT_FOUND", False)


@scenario("calls")
async def a_call_ends_although_nobody_answers(world):
    await world.start()
    adapter = await world.adapter()
    world.proxy.stall()
    silent = adapter.call("EventService.ListEvents", timeout_ms=500)
    await fails(silent, "DEADLINE_EXCEEDED", "", True)
    world.proxy.flow()
    world.proxy.refusing = True
    world.proxy.cut()
    await fails(adapter.call("EventService.ListEvents", timeout_ms=5000), "UNAVAILABLE", "", True)
    world.proxy.refusing = False
    await adapter.call("EventService.ListEvents")


@scenario("calls")
async def pull_takes_and_settles(world):
    await world.start()
    await world.create_subscription(minimumBackoff="0.1s", maximumBackoff="0.1s")
    adapter = await world.adapter()
    check_equal(await adapter.pull(max_events=5), [], "what there is before any event")
    await world.gateway.send(4)
    first = await adapter.pull(max_events=2, wait_ms=20_000, include_raw_body=True)
    check_equal([delivery["event"]["sequence"] for delivery in first], [1, 2], "the first two")
    check(first[0]["event"]["raw_body"], "there is no raw body")
    rest = await adapter.pull(max_events=5, wait_ms=20_000)
    check_equal([delivery["event"]["sequence"] for delivery in rest], [3, 4], "the other two")
    ids = [delivery["delivery_id"] for delivery in first + rest]
    results = await adapter.settle(
        {"delivery_id": ids[3], "kind": "extend", "deadline_ms": 60_000},
        {"delivery_id": ids[0], "kind": "ack"},
        {"delivery_id": ids[1], "kind": "nack", "reason": "later", "delay_ms": 0},
        {"delivery_id": ids[2], "kind": "dead_letter", "reason": "never"},
        {"delivery_id": "what", "kind": "ack"},
    )
    check_equal(results, ["OK", "OK", "OK", "OK", "UNKNOWN"], "the results, in the order of the verdicts")
    check_equal(await adapter.settle({"delivery_id": ids[0], "kind": "ack"}), ["ALREADY"], "a second ack")
    again = await adapter.pull(max_events=5, wait_ms=20_000)
    check_equal([(d["event"]["sequence"], d["attempt"], d["nack_reason"]) for d in again], [(2, 2, "later")], "again")
    pull = adapter.pull(max_events=1, subscription="nobody")
    await fails(pull, "NOT_FOUND", "SUBSCRIPTION_NOT_FOUND", False)


@scenario("calls")
async def a_pull_waits_for_the_first_event(world):
    await world.start()
    await world.create_subscription()
    adapter = await world.adapter()
    _, queue = adapter.begin(
        {"do": "pull", "subscription": "work", "consumer_name": "a", "max_events": 1, "wait_ms": 60_000}
    )

    async def waits():
        consumers = (await world.subscription()).get("consumers", [])
        return any(consumer["name"] == "a" for consumer in consumers)

    await poll(waits, "the pull waits")
    await world.gateway.send()
    message = await within(queue.get(), "the pull is answered")
    check_equal(len(message["answer"]["deliveries"]), 1, "deliveries")


@scenario("calls")
async def the_adapter_ends_with_its_input(world):
    """With everything open: nothing that the library has started keeps a program from its end."""
    await world.start()
    await world.create_subscription()
    await world.gateway.send(2)
    adapter = await world.adapter()
    check_equal(sorted(adapter.ready), ["language", "version"], "what it says of itself")
    held = adapter.subscribe(hold=True)
    await held.event()
    waiting = adapter.subscribe(start="latest")
    await waiting.state("opened")
    await adapter.consume().delivery()
    connecting = adapter.subscribe(connection={"target": await world.empty_target()})
    await connecting.state("disconnected")
    await adapter.finish()
