"""What the openai SDK makes of a webhook's body.

`client.webhooks.unwrap` of the synchronous client does, in this order: verify the signature, for which it
decodes the body as UTF-8; `json.loads` of the *bytes*; then it validates the document against the union
of all event classes, which is `model_validate` of the one class whose literal `type` matches. It is not
`model_validate_json`, which is stricter. What does not validate it returns all the same, unvalidated. (The
asynchronous client gives `json.loads` a text, and so refuses a byte order mark.)

So a body is an event here if `unwrap` gets as far as a document, and `model_validate` of the class that
the document's `type` names accepts that document; and where it does, what `unwrap` returned must be the
same event.
"""

import base64
import dataclasses
import hashlib
import hmac
import json
import typing

import openai
import openai.types.webhooks as event_classes
import pydantic
from openai.types.webhooks import UnwrapWebhookEvent

SECRET = "whsec_RdvaYFYUXuIFuEbvZHwMfYFhUf7aMYjYcmM24+Aj40c="
NOW = 1750861210

CLIENT = openai.OpenAI(api_key="unused", webhook_secret=SECRET)


def type_of(event_class):
    """The event type that a class is for."""
    return typing.get_args(event_class.model_fields["type"].annotation)[0]


# Every class that the SDK exports, by event type.
CLASSES = {
    type_of(value): value
    for name, value in vars(event_classes).items()
    if name.endswith("WebhookEvent") and isinstance(value, type)
}
# Those that `unwrap` knows.
UNWRAPPED = frozenset(typing.get_args(typing.get_args(UnwrapWebhookEvent)[0]))

NO_DOCUMENT = object()


@dataclasses.dataclass
class Reading:
    """`outcome` is "event", "unknown_type", "invalid_event" or "body_not_json"."""

    outcome: str
    document: object = NO_DOCUMENT  # what json.loads made of the body
    payload: dict = None  # of an event: its fields, without absent ones
    paths: tuple = ()  # of an invalid event: each field that the class complains of
    why: str = ""


def sign(webhook_id, timestamp, body, key):
    return base64.b64encode(
        hmac.new(key, f"{webhook_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    ).decode()


def unwrap(body):
    """As OpenAI would deliver it at NOW, which the caller makes time.time() return."""
    signature = sign("wh_1", NOW, body, base64.b64decode(SECRET[6:]))
    headers = {
        "webhook-id": "wh_1",
        "webhook-timestamp": str(NOW),
        "webhook-signature": f"v1,{signature}",
    }
    return CLIENT.webhooks.unwrap(body, headers)


def fields_of(model):
    """The declared fields of a validated model, without those that are None."""
    fields = {}
    for name in type(model).model_fields:
        value = getattr(model, name)
        if value is not None:
            fields[name] = plain(value)
    return fields


def plain(value):
    if isinstance(value, pydantic.BaseModel):
        return fields_of(value)
    if isinstance(value, list):
        return [plain(element) for element in value]
    return value


def path_of(location):
    """pydantic's ("data", "sip_headers", 1, "name") as data.sip_headers[1].name."""
    path = ""
    for step in location:
        if isinstance(step, int):
            path += f"[{step}]"
        elif "[" in step or step == "str":  # a member of a union of types
            break
        else:
            path += f".{step}" if path else step
    return path


def read(body):
    try:
        unwrapped = unwrap(body)
        document = json.loads(body)
    except (ValueError, RecursionError) as error:  # of JSON, of UTF-8, of too many digits
        return Reading("body_not_json", why=f"{type(error).__name__}: {error}"[:200])
    if not isinstance(document, dict) or not isinstance(document.get("type"), str):
        return Reading("invalid_event", document, paths=("type", ""))
    event_class = CLASSES.get(document["type"])
    if event_class is None:
        return Reading("unknown_type", document)
    try:
        event = event_class.model_validate(document)
    except pydantic.ValidationError as error:
        paths = tuple(path_of(problem["loc"]) for problem in error.errors(include_url=False))
        return Reading("invalid_event", document, paths=paths, why=str(error)[:400])
    payload = fields_of(event)
    if event_class in UNWRAPPED:
        assert type(unwrapped) is event_class, (type(unwrapped), event_class)
        assert fields_of(unwrapped) == payload, (unwrapped, event)
    return Reading("event", document, payload=payload)
