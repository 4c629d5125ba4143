"""Durable subscriptions: making, changing and looking after them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Any, TypedDict

from hookgate.messages import Start, duration, event_filter, set_start
from hookgate.queries import Queries, pages
from hookgate.v1 import event_pb2
from hookgate.v1 import subscription_service_pb2 as api


class Settings(TypedDict, total=False):
    """What can be changed about a subscription; durations are in seconds.

    What is left out has the gateway's default (create) or stays as it is (update).
    """

    sources: Iterable[str]
    types: Iterable[str]
    subjects: Iterable[str]
    ack_deadline: float
    max_attempts: int
    minimum_backoff: float
    maximum_backoff: float
    max_lost_deliveries: int


class Administration(Queries):
    """The part of Client that looks after durable subscriptions.

    Where an `etag` is taken, the call raises EtagMismatch, and does nothing, if the subscription
    was changed since that etag was read.
    """

    async def create_subscription(self, name: str, *, start: Start,
                                  settings: Settings | None = None) -> api.Subscription:
        """Makes a subscription that begins at `start`. Raises SubscriptionExists."""
        request = api.CreateSubscriptionRequest(name=name, settings=_settings(settings or {}))
        set_start(request.start, start)
        response: api.CreateSubscriptionResponse = await self.call(request)
        return response.subscription

    async def get_subscription(self, name: str) -> api.Subscription:
        """Settings, backlog and consumers. Raises SubscriptionNotFound, as all calls below."""
        response: api.GetSubscriptionResponse = await self.call(
            api.GetSubscriptionRequest(name=name))
        return response.subscription

    def list_subscriptions(self) -> AsyncIterator[api.Subscription]:
        """All of them, by name, without their consumers."""
        return pages(self, api.ListSubscriptionsRequest(), "subscriptions")

    async def update_subscription(self, name: str, settings: Settings, *,
                                  etag: str = "") -> api.Subscription:
        """Changes those settings that are given, and no others."""
        filters = ("sources", "types", "subjects")
        request = api.UpdateSubscriptionRequest(name=name, settings=_settings(settings), etag=etag)
        request.update_mask.paths.extend(f"filter.{key}" if key in filters else key
                                         for key in settings)
        response: api.UpdateSubscriptionResponse = await self.call(request)
        return response.subscription

    async def delete_subscription(self, name: str, *, etag: str = "") -> None:
        """Ends its consumers' streams and forgets it, with its position and its dead letters."""
        await self.call(api.DeleteSubscriptionRequest(name=name, etag=etag))

    async def seek_subscription(self, name: str, target: Start, *,
                                etag: str = "") -> api.Subscription:
        """Moves the position. What is in flight is forgotten; dead letters stay."""
        request = api.SeekSubscriptionRequest(name=name, etag=etag)
        set_start(request.target, target)
        response: api.SeekSubscriptionResponse = await self.call(request)
        return response.subscription

    async def pause_subscription(self, name: str, *, etag: str = "") -> api.Subscription:
        """Hands out nothing more until resume_subscription. Leases, acks and nacks go on."""
        response: api.PauseSubscriptionResponse = await self.call(
            api.PauseSubscriptionRequest(name=name, etag=etag))
        return response.subscription

    async def resume_subscription(self, name: str, *, etag: str = "") -> api.Subscription:
        """Ends the pause."""
        response: api.ResumeSubscriptionResponse = await self.call(
            api.ResumeSubscriptionRequest(name=name, etag=etag))
        return response.subscription

    async def redeliver(self, name: str, sequences: Iterable[int], *,
                        include_not_admitted: bool = False) -> list[Any]:
        """Delivers up to 1000 past events again. Returns the outcome of each.

        For selections of any number, `call` takes a RedeliverEventsRequest with `selection`.
        """
        response: api.RedeliverEventsResponse = await self.call(api.RedeliverEventsRequest(
            subscription=name, sequences=sequences, include_not_admitted=include_not_admitted))
        return list(response.results)

    def list_deliveries(self, name: str) -> AsyncIterator[api.ListedDelivery]:
        """What became of the events that were delivered, newest first."""
        return pages(self, api.ListDeliveriesRequest(subscription=name), "deliveries")

    def list_dead_letters(self, name: str, *,
                          include_events: bool = True) -> AsyncIterator[api.DeadLetter]:
        """What was given up, oldest first."""
        return pages(self, api.ListDeadLettersRequest(subscription=name,
                                                      include_events=include_events),
                     "dead_letters")

    async def redrive_dead_letters(self, name: str, sequences: Iterable[int]) -> list[Any]:
        """Delivers up to 1000 dead letters again. Returns the outcome of each."""
        response: api.RedriveDeadLettersResponse = await self.call(
            api.RedriveDeadLettersRequest(subscription=name, sequences=sequences))
        return list(response.results)

    async def discard_dead_letters(self, name: str, sequences: Iterable[int]) -> list[Any]:
        """Forgets up to 1000 dead letters for good. Returns the outcome of each."""
        response: api.DiscardDeadLettersResponse = await self.call(
            api.DiscardDeadLettersRequest(subscription=name, sequences=sequences))
        return list(response.results)


def _settings(given: Settings) -> api.SubscriptionSettings:
    made = api.SubscriptionSettings()
    made.filter.CopyFrom(event_filter(given.get("sources", ()), given.get("types", ()),
                                      given.get("subjects", ())))
    if made.filter == event_pb2.EventFilter():
        made.ClearField("filter")
    values: dict[str, Any] = dict(given)
    for key in ("ack_deadline", "minimum_backoff", "maximum_backoff"):
        if key in values:
            getattr(made, key).CopyFrom(duration(values[key], key))
    for key in ("max_attempts", "max_lost_deliveries"):
        if key in values:
            setattr(made, key, values[key])
    return made
