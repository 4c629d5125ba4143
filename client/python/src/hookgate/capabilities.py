"""What a gateway must be able to do for a request, beyond what each gateway can."""

from __future__ import annotations

from google.protobuf import message

# An older gateway ignores these fields, in whatever request. Each is the name of the capability as
# well.
_FIELDS = ("etag", "preview", "update_mask")
# What calls need that an older gateway does not have, by the name of their requests.
_CALLS = {
    "CancelJobRequest": "jobs",
    "DiscardConflictsRequest": "conflicts",
    "ExplainEventRequest": "explain",
    "GetConflictRequest": "conflicts",
    "GetJobRequest": "jobs",
    "ListConflictsRequest": "conflicts",
    "ListDeliveriesRequest": "deliveries",
    "ListJobsRequest": "jobs",
    "ListRefusedRequest": "refused",
    "ListStreamsRequest": "streams",
    "PauseSubscriptionRequest": "pause",
    "RedeliverEventsRequest": "redeliver",
    "ResumeSubscriptionRequest": "pause",
}


def of_fields(request: message.Message) -> list[str]:
    """Those without which a gateway would ignore a field that `request` sets. Mostly none."""
    return [name for name in _FIELDS
            if any(field.name == name for field, _ in request.ListFields())]


def of_call(request: message.Message) -> str | None:
    """The one without which a gateway does not have the call; None: each gateway has it."""
    return _CALLS.get(request.DESCRIPTOR.name)
