"""Every intended difference between the gateway and the libraries that it is compared with.

Whatever is not explained here fails the test. An entry explains a case by what the case *is*, not by what the
gateway said alone, so that it cannot hide another difference.
"""

import dataclasses
import json
import re
import typing


@dataclasses.dataclass(frozen=True)
class Difference:
    name: str
    why: str
    explains: typing.Callable  # of a case; bodies.Case or signatures.Case


# --- Bodies: the gateway's DecodeEvent and the SDK's unwrap ---


def _texts(body):
    """Each text in a JSON document, keys and the values of overwritten duplicates too."""
    stack = [json.loads(body, object_pairs_hook=lambda pairs: [list(pair) for pair in pairs])]
    while stack:
        value = stack.pop()
        if isinstance(value, list):
            stack.extend(value)
        elif isinstance(value, str):
            yield value


def _depth(body):
    """How deep the brackets of a JSON text nest."""
    deepest = depth = 0
    for token in re.finditer(rb'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', body, re.DOTALL):
        if token[0] in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif token[0] in b"]}":
            depth -= 1
    return deepest


def _has_surrogate(text):
    return any("\ud800" <= c <= "\udfff" for c in text)


def _no_numbers_of_json(body):
    seen = []
    json.loads(body, parse_constant=seen.append)
    return bool(seen)


def _read_by_sdk(case):
    return case.sdk.outcome != "body_not_json"


def _not_json_here(case):
    return case.gateway.get("error") == "body_not_json" and _read_by_sdk(case)


def _says(case, pattern):
    return re.search(pattern, case.gateway.get("message", "")) is not None


def _created_at(case):
    document = case.sdk.document
    return document.get("created_at") if isinstance(document, dict) else None


def _boolean(case):
    return isinstance(_created_at(case), bool) and _says(case, "^created_at: .*not (true|false)$")


def _too_large(case):
    value = _created_at(case)
    if not _says(case, "^created_at: ") or isinstance(value, bool):
        return False
    if isinstance(value, int):
        return not -(2**63) <= value < 2**63
    text = value.strip().replace("_", "") if isinstance(value, str) else ""
    number = re.fullmatch("([+-]?)0*([0-9]+)([.]0+)?", text, re.ASCII)
    if number is None:
        return False
    sign, digits = number[1], number[2]
    return len(digits) > 19 or not -(2**63) <= int(sign + digits) < 2**63


def _open_action(case):
    if case.sdk.outcome != "invalid_event" or "event" not in case.gateway:
        return False
    return case.sdk.paths == ("data.required_action.type",) and isinstance(
        case.sdk.document["data"]["required_action"]["type"], str
    )


BODIES = [
    Difference(
        "boolean_as_integer",
        "the SDK reads true as 1; no sender means that by created_at",
        _boolean,
    ),
    Difference(
        "integer_beyond_int64",
        "Python's integers have no bound; the field is int64",
        _too_large,
    ),
    Difference(
        "open_required_action",
        "data.required_action.type has four values in the SDK, three some months ago: a fifth one must not"
        " keep a signed event from those who wait for it",
        _open_action,
    ),
    Difference(
        "lone_surrogate",
        "Python's strings hold one; protobuf's, which are UTF-8, cannot",
        lambda case: _not_json_here(case) and any(map(_has_surrogate, _texts(case.body))),
    ),
    Difference(
        "nan_and_infinity",
        "Python reads NaN and Infinity, RFC 8259 does not have them",
        lambda case: _not_json_here(case) and _no_numbers_of_json(case.body),
    ),
    Difference(
        "nested_too_deeply",
        "the sender chooses the nesting, the gateway its stack: 128 levels",
        lambda case: _not_json_here(case) and _says(case, "deeper than 128") and _depth(case.body) > 128,
    ),
    Difference(
        "utf_16_or_32",
        "Python guesses the encoding from the zero bytes; RFC 8259 says UTF-8",
        lambda case: _not_json_here(case) and json.detect_encoding(case.body) not in ("utf-8", "utf-8-sig"),
    ),
    Difference(
        "exponent_beyond_int",
        "Boost.JSON does not read an exponent that no int holds; Python makes it infinity or 0",
        lambda case: _not_json_here(case) and re.search(rb"[eE][+-]?0*[0-9]{10}", case.body) is not None,
    ),
    Difference(
        "integer_of_4300_digits",
        "Python refuses to read a longer one, wherever it stands; the gateway, only where a field needs it",
        lambda case: (
            not _read_by_sdk(case)
            and "digits" in case.sdk.why
            and case.gateway.get("error") != "body_not_json"
        ),
    ),
]


# --- Signatures: the gateway's Verify and openai's verify_signature ---

_PYTHON_BLANKS_ONLY = "\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2003\u2028\u3000"


def _gateway_refuses(case, *reasons):
    return case.gateway.get("error") in reasons and case.accepted


OPENAI_SIGNATURES = [
    Difference(
        "bare_base64",
        "the SDK takes an entry without the tag v1; Standard Webhooks has none",
        lambda case: (
            _gateway_refuses(case, "signature_mismatch") and case.openai_digest in case.signature.split()
        ),
    ),
    Difference(
        "timestamp_as_python_reads_it",
        "int() takes blanks, signs, underscores and any script's digits; the gateway, 1 to 12 ASCII digits",
        lambda case: (
            _gateway_refuses(case, "malformed_header")
            and re.fullmatch("[0-9]{1,12}", case.timestamp, re.ASCII) is None
        ),
    ),
    Difference(
        "id_that_is_no_token",
        "the id is a key of the log: 1 to 256 printable ASCII bytes",
        lambda case: (
            _gateway_refuses(case, "malformed_header")
            and re.fullmatch("[!-~]{1,256}", case.id, re.ASCII) is None
        ),
    ),
    Difference(
        "signature_header_too_long",
        "at most 64 entries and 4096 bytes: a stranger's request must be cheap to refuse",
        lambda case: (
            _gateway_refuses(case, "malformed_header")
            and (len(case.signature.encode()) > 4096 or len(case.signature.split()) > 64)
        ),
    ),
    Difference(
        "too_many_v1a_entries",
        "at most 8 of them: checking one takes a tenth of a millisecond",
        lambda case: _gateway_refuses(case, "malformed_header") and case.signature.count("v1a,") > 8,
    ),
    Difference(
        "blanks_of_unicode",
        "Python splits the entries at any of its blanks, the gateway at ASCII's",
        lambda case: (
            _gateway_refuses(case, "signature_mismatch")
            and any(c in case.signature for c in _PYTHON_BLANKS_ONLY)
        ),
    ),
    Difference(
        "secret_that_is_no_strict_base64",
        "b64decode drops what is not of its alphabet, so a mistyped secret is another key; here it stops the"
        " start",
        lambda case: _gateway_refuses(case, "bad_secret") and case.secret.startswith("whsec_"),
    ),
    Difference(
        "blank_secret",
        "an empty key signs nothing",
        lambda case: _gateway_refuses(case, "bad_secret") and not case.secret.strip(),
    ),
    Difference(
        "asymmetric_key_as_secret",
        "the SDK makes an HMAC key of the text whpk_..., which is public: anybody could sign. whsk_ is refused"
        " whatever for",
        lambda case: (
            _gateway_refuses(case, "bad_secret", "signature_mismatch")
            and case.secret.startswith(("whpk_", "whsk_"))
        ),
    ),
    Difference(
        "body_that_is_not_utf_8",
        "the SDK decodes the body before it hashes it; the gateway hashes bytes, and refuses them as JSON",
        lambda case: "secret_index" in case.gateway and case.why.startswith("UnicodeDecodeError"),
    ),
    Difference(
        "entry_that_is_not_ascii",
        "Python's compare_digest raises at one, though another entry would match",
        lambda case: "secret_index" in case.gateway and case.why.startswith("TypeError"),
    ),
]

# --- Signatures: the gateway's Verify and standardwebhooks' verify ---

STANDARD_WEBHOOKS_SIGNATURES = [
    Difference(
        "timestamp_as_a_float",
        "it reads a float and signs that time's whole seconds; the gateway signs the text that it got, and takes"
        " 1 to 12 digits",
        lambda case: (
            _gateway_refuses(case, "malformed_header", "signature_mismatch", "timestamp_too_old")
            and case.timestamp != str(int(float(case.timestamp)))
        ),
    ),
    Difference(
        "timestamp_text_is_signed",
        "the gateway signs the text as OpenAI does; it, the time printed again",
        lambda case: (
            "secret_index" in case.gateway
            and not case.accepted
            and case.timestamp != str(int(case.timestamp))
        ),
    ),
    Difference(
        "id_that_is_no_token",
        "as above",
        lambda case: (
            _gateway_refuses(case, "malformed_header")
            and re.fullmatch("[!-~]{1,256}", case.id, re.ASCII) is None
        ),
    ),
    Difference(
        "unprefixed_secret_in_base64",
        "it decodes an unprefixed secret; the gateway takes its bytes, as the OpenAI SDKs do",
        lambda case: (
            case.accepted != ("secret_index" in case.gateway)
            and not case.secret.startswith(("whsec_", "whpk_", "whsk_"))
        ),
    ),
    Difference(
        "asymmetric_key_as_secret",
        "it makes an HMAC key of what b64decode finds in whpk_...",
        lambda case: (
            _gateway_refuses(case, "bad_secret", "signature_mismatch")
            and case.secret.startswith(("whpk_", "whsk_"))
        ),
    ),
    Difference(
        "secret_that_is_no_strict_base64",
        "as above",
        lambda case: _gateway_refuses(case, "bad_secret") and case.secret.startswith("whsec_"),
    ),
    Difference(
        "signature_that_is_no_strict_base64",
        "it compares what b64decode makes of the entry, stray bits and characters dropped; the gateway, the text",
        lambda case: (
            _gateway_refuses(case, "signature_mismatch")
            and f"v1,{case.standard_digest}" not in case.signature.split(" ")
        ),
    ),
    Difference(
        "list_that_it_cannot_read",
        "it raises ValueError or binascii.Error at an entry without one comma or with odd base64, though another"
        " would match",
        lambda case: (
            "secret_index" in case.gateway and case.why.startswith(("ValueError", "Error", "TypeError"))
        ),
    ),
    Difference(
        "other_blanks",
        "it splits the entries at single spaces alone",
        lambda case: (
            "secret_index" in case.gateway
            and not case.accepted
            and re.search(r"[\t\n\v\f\r]|  |^ | $", case.signature) is not None
        ),
    ),
    Difference(
        "signature_header_too_long",
        "as above",
        lambda case: (
            _gateway_refuses(case, "malformed_header")
            and (len(case.signature.encode()) > 4096 or len(case.signature.split()) > 64)
        ),
    ),
    Difference(
        "too_many_v1a_entries",
        "as above",
        lambda case: _gateway_refuses(case, "malformed_header") and case.signature.count("v1a,") > 8,
    ),
    Difference(
        "body_that_is_not_utf_8",
        "as above",
        lambda case: "secret_index" in case.gateway and case.why.startswith("UnicodeDecodeError"),
    ),
]
