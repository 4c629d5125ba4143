"""Signed requests, good and bad, and whether gateway and libraries verify them alike."""

import base64
import dataclasses
import datetime
import hashlib
import hmac
import random as random_module
import time
from unittest import mock

import standardwebhooks.webhooks
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import differences
import reference
from gateway import in_base64

NOW = reference.NOW
TOLERANCE = 300


@dataclasses.dataclass
class Case:
    made_by: str
    secret: str
    id: str
    timestamp: str
    signature: str
    body: bytes
    now: int
    gateway: dict = None
    accepted: bool = None  # by the library
    why: str = ""  # it was not
    openai_digest: str = ""  # what the SDK compares with
    standard_digest: str = ""  # what standardwebhooks compares with

    def request(self):
        return {
            "secrets": [self.secret],
            "id": self.id,
            "timestamp": self.timestamp,
            "signature": self.signature,
            "body": in_base64(self.body),
            "now": self.now,
            "tolerance": TOLERANCE,
        }

    def headers(self):
        headers = {
            "webhook-id": self.id,
            "webhook-timestamp": self.timestamp,
            "webhook-signature": self.signature,
        }
        return {name: value for name, value in headers.items() if value is not None}


# --- The libraries ---


def openai_digest(case):
    """As openai's verify_signature computes it; "" where it cannot."""
    try:
        prefixed = case.secret.startswith("whsec_")
        key = base64.b64decode(case.secret[6:]) if prefixed else case.secret.encode()
        return reference.sign(case.id, case.timestamp, case.body, key)
    except ValueError:
        return ""


def standard_digest(case):
    """As standardwebhooks computes it; "" where it cannot."""
    try:
        key = base64.b64decode(case.secret.removeprefix("whsec_") + "==")
        return reference.sign(case.id, int(float(case.timestamp)), case.body, key)
    except (ValueError, OverflowError, TypeError):
        return ""


def verify_by_openai(case):
    with mock.patch.object(time, "time", return_value=case.now):
        reference.CLIENT.webhooks.verify_signature(case.body, case.headers(), secret=case.secret)


class FixedDatetime(datetime.datetime):
    fixed = NOW

    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(cls.fixed, tz=tz)


def verify_by_standard_webhooks(case):
    FixedDatetime.fixed = case.now
    with mock.patch.object(standardwebhooks.webhooks, "datetime", FixedDatetime):
        standardwebhooks.Webhook(case.secret).verify(case.body, case.headers(), json_parse=False)


def sign_by_standard_webhooks(case):
    when = datetime.datetime.fromtimestamp(int(case.timestamp), tz=datetime.timezone.utc)
    return standardwebhooks.Webhook(case.secret).sign(case.id, when, case.body.decode())


# --- Making requests ---

SECRET_BYTES = [1, 3, 16, 24, 31, 32, 33, 64, 65, 100]
BODIES = [
    b"", b"{}", b'{"type": "batch.failed"}', b'{"id": "evt_1", "data": {"id": "batch_1"}}\n',
    "{\"text\": \"\u00e9\u4e2d\U0001f600\"}".encode(), b"\xef\xbb\xbf{}", b"a.b.c", b"x" * 5000,
    b"line\r\nline\0",
]  # fmt: skip


class Maker:
    def __init__(self, random):
        self.random = random

    def pick(self, choices):
        return choices[self.random.randrange(len(choices))]

    def prefixed_secret(self):
        return "whsec_" + in_base64(self.random.randbytes(self.pick(SECRET_BYTES)))

    def good(self):
        """A case to be signed."""
        secret = (
            self.prefixed_secret() if self.random.random() < 0.8 else f"plain text {self.random.random()}"
        )
        offset = self.pick([0, 0, 0, 1, -1, 299, -299, 300, -300, 301, -301, 10**6, -(10**6)])
        return Case(
            made_by="",
            secret=secret,
            id=self.pick([f"wh_{self.random.randrange(10**12)}", "!", "a.b.c", "~" * 256]),
            timestamp=str(NOW),
            signature=None,
            body=self.pick(BODIES),
            now=NOW + offset,
        )

    # Changes before signing: of what is signed.

    def change_signed(self, case):
        kind = self.pick(["timestamp", "timestamp", "id", "secret", "secret", "body"])
        case.made_by += f" signed-{kind}"
        if kind == "timestamp":
            text = case.timestamp
            case.timestamp = self.pick(
                [
                    f" {text}", f"{text} ", f"+{text}", f"-{text}", f"0{text}", f"00{text}", f"000{text}",
                    f"{text}.0", f"{text}.5",
                    "1_750_861_210", "１７５０８６１２１０", "", "abc", hex(NOW), "1.75086121e9", f"{text}000",
                    f"{text}x", "nan", "inf",
                    "9" * 20, f"{text}\n", "\u00a0" + text, "1,750,861,210",
                ]
            )  # fmt: skip
        elif kind == "id":
            case.id = self.pick(["", " ", "a b", "\u00e9", "i" * 257, "a\tb", "\x7f", "a\n"])
        elif kind == "secret":
            alphabet = in_base64(self.random.randbytes(25))  # has padding
            case.secret = self.pick(
                [
                    "", " ", "whsec_", "whsec_ ", f"whsec_{alphabet.rstrip('=')}", f"whsec_ {alphabet}",
                    f"whsec_{alphabet}\n",
                    f"whsec_{alphabet[:8]}-{alphabet[8:]}", f"whsec_{alphabet[:-3]}B==", alphabet, "whsec",
                    "WHSEC_" + alphabet,
                    PUBLIC_KEY, f"whsk_{in_base64(bytes(32))}", "whpk_", "\u00e9\u4e2d",
                ]
            )  # fmt: skip
        elif kind == "body":
            case.body = self.pick([b"\xff", b"\xed\xa0\x80", b'{"a": "\xc3"}'])

    # Changes after signing.

    def change(self, case):
        digest = case.signature.partition(",")[2]
        entry = case.signature
        other = in_base64(self.random.randbytes(32))
        swapped = digest.replace("+", "-").replace("/", "_")
        flipped = self.random.randrange(max(1, len(digest)))
        kind = self.pick(["header", "missing", "request", "list", "list", "list", "blanks", "long"])
        case.made_by += f" {kind}"
        if kind == "header":
            case.signature = self.pick(
                [
                    digest, f"V1,{digest}", f"v2,{digest}", f"v1a,{digest}", f"v1,v1,{digest}",
                    f"v1 ,{digest}", f"v1, {digest}", f"v1{digest}",
                    f"v1,{digest.rstrip('=')}", f"v1,{swapped}", f"v1,{digest}=", f"v1,{digest}x",
                    f"v1,{digest[:-1]}", f"v1,={digest}",
                    f"v1,{digest[:flipped]}{'A' if digest[flipped:flipped + 1] != 'A' else 'B'}{digest[flipped + 1:]}", "", " ", "v1,", "v1", ",",
                    f"v1,{digest[:9]} {digest[9:]}", f"v1,{digest[:5]}!{digest[5:]}", f"v1,{other}", other,
                    f"v1,{digest.lower()}",
                    f"v1,{self.stray_bits(digest)}",
                ]
            )  # fmt: skip
        elif kind == "missing":
            setattr(case, self.pick(["id", "timestamp", "signature"]), None)
        elif kind == "request":
            part = self.pick(["id", "timestamp", "body", "secret"])
            if part == "id":
                case.id = case.id[:-1] + "Q"
            elif part == "timestamp":
                case.timestamp = str(NOW + self.pick([1, -1, 60]))
            elif part == "body":
                case.body = self.pick(
                    [case.body + b" ", case.body[:-1], b"\xef\xbb\xbf" + case.body, b"{}\n"]
                )
            else:
                case.secret = self.prefixed_secret()
        elif kind == "list":
            entries = [
                entry, f"v1,{other}", f"v2,{other}", f"v1a,{other}", "nonsense", ",", "v1,",
                f"v1,{digest[:-1]}", "a,b,c", "v1,\u00e9", digest,
                "v1,!", "v1,=", "v1,a", "v1a,", "\u4e2d,x",
            ]  # fmt: skip
            chosen = [self.pick(entries) for _ in range(self.pick([1, 2, 3]))]
            chosen.insert(self.random.randrange(len(chosen) + 1), entry)
            case.signature = " ".join(chosen)
        elif kind == "blanks":
            blank = self.pick(
                ["  ", "\t", "\n", "\x0b", "\r", "\u00a0", "\u3000", "\x1c", "\x85", ", ", ",", ";", "   "]
            )
            case.signature = self.pick(
                [
                    f"v1,{other}{blank}{entry}",
                    f"{blank}{entry}",
                    f"{entry}{blank}",
                    f"{entry}{blank}v1,{other}",
                ]
            )
        elif kind == "long":
            case.signature = self.pick(
                [
                    " ".join([f"v1,{other}"] * 63 + [entry]), " ".join([f"v1,{other}"] * 64 + [entry]),
                    " ".join(["v1,x"] * 63 + [entry]),
                    " ".join(["v1,xxxx"] * 64 + [entry]), entry + " " + "v9," + "x" * 4096,
                    " ".join(["v1a,AAAA"] * 8 + [entry]),
                    " ".join(["v1a,AAAA"] * 9 + [entry]),
                ]
            )  # fmt: skip

    @staticmethod
    def stray_bits(digest):
        """Other base64 of the same bytes, to decoders that are not strict."""
        alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
        if len(digest) != 44 or digest[42] not in alphabet:
            return digest
        return digest[:42] + alphabet[alphabet.index(digest[42]) ^ 1] + "="


PRIVATE_KEYS = [Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in range(1, 4)]


def public_key(private_key):
    return "whpk_" + in_base64(private_key.public_key().public_bytes_raw())


PUBLIC_KEY = public_key(PRIVATE_KEYS[0])


def symmetric_cases(gateway, random, count):
    """Half of them as signed by the gateway, by openai's way, or by standardwebhooks; half changed."""
    maker = Maker(random)
    cases = []
    for _ in range(count):
        case = maker.good()
        if random.random() < 0.3:
            maker.change_signed(case)
        cases.append(case)

    by_gateway, ways = [], []
    for case in cases:
        way = maker.pick(["gateway", "openai", "standardwebhooks"])
        if way == "gateway" and not openable(case):
            way = "openai"
        ways.append(way)
        if way == "gateway":
            sign = {
                "secret": case.secret,
                "id": case.id,
                "timestamp": case.timestamp,
                "body": in_base64(case.body),
            }
            by_gateway.append({"sign": sign})
    signed = iter(gateway.answers(by_gateway))
    for case, way in zip(cases, ways):
        if way == "standardwebhooks":
            try:
                case.signature = sign_by_standard_webhooks(case)
            except (ValueError, OverflowError, standardwebhooks.webhooks.EmptyWebhookSecretError):
                way = "openai"
        if way == "gateway":
            case.signature = next(signed)["signature"]
        elif way == "openai":
            case.signature = "v1," + openai_digest(case)
        case.made_by = way + case.made_by
        if random.random() < 0.5:
            maker.change(case)

    for case, answer in zip(cases, gateway.answers([{"verify": case.request()} for case in cases])):
        case.gateway = answer
        case.openai_digest, case.standard_digest = openai_digest(case), standard_digest(case)
        yield case


def openable(case):
    """Whether the gateway would sign with this secret."""
    if not case.secret.startswith("whsec_"):
        return case.secret.strip() and not case.secret.startswith(("whpk_", "whsk_"))
    key = base64.b64decode(case.secret[6:] + "==")
    return key and in_base64(key) == case.secret[6:]


# --- Several secrets, and public keys ---


@dataclasses.dataclass
class MixedCase:
    made_by: str
    secrets: list
    signature: str
    body: bytes
    gateway: dict = None
    expected: int = None  # index of the first secret that had signed


def strictly(text):
    try:
        decoded = base64.b64decode(text, validate=True)
    except ValueError:
        return None
    return decoded if in_base64(decoded) == text else None


def mixed_cases(gateway, random, count):
    """Requests to a source with shared secrets and public keys, by Python's hmac and cryptography."""
    maker = Maker(random)
    cases = []
    for _ in range(count):
        shared = [random.randbytes(32) for _ in range(3)]
        keys = [("v1", key) for key in shared] + [("v1a", key) for key in PRIVATE_KEYS]
        random.shuffle(keys)
        configured = keys[: maker.pick([1, 1, 2, 3])]
        body = maker.pick(BODIES)
        message = f"wh_1.{NOW}.".encode() + body
        entries, made_by = [], []
        for _ in range(maker.pick([1, 1, 2, 4])):
            scheme, key = maker.pick(keys)
            signature = sign_with(scheme, key, message)
            change = maker.pick(
                ["none"] * 6
                + [
                    "tag",
                    "message",
                    "bit",
                    "unpadded",
                    "url",
                    "short",
                    "public_as_secret",
                    "zeros",
                    "malleable",
                ]
            )
            made_by.append(f"{scheme}-{change}")
            text = in_base64(signature)
            if change == "tag":
                scheme = "v1" if scheme == "v1a" else "v1a"
            elif change == "message":
                text = in_base64(sign_with(scheme, key, message + b" "))
            elif change == "bit":
                place = random.randrange(len(signature) * 8)
                changed = bytearray(signature)
                changed[place // 8] ^= 1 << place % 8
                text = in_base64(bytes(changed))
            elif change == "unpadded":
                text = text.rstrip("=")
            elif change == "url":
                text = text.replace("+", "-").replace("/", "_")
            elif change == "short":
                text = in_base64(signature[:-1])
            elif change == "zeros":
                text = in_base64(bytes(len(signature)))
            elif change == "malleable" and scheme == "v1a":
                order = 2**252 + 27742317777372353535851937790883648493
                s = int.from_bytes(signature[32:], "little") + order
                text = in_base64(signature[:32] + s.to_bytes(32, "little"))
            elif change == "public_as_secret":
                public = maker.pick(PRIVATE_KEYS).public_key().public_bytes_raw()
                secret = maker.pick(
                    [public, b"whpk_" + base64.b64encode(public), base64.b64encode(public), b""]
                )
                text, scheme = in_base64(sign_with("v1", secret, message)), maker.pick(["v1", "v1a"])
            entries.append((scheme, text))
        case = MixedCase(
            made_by=" ".join(made_by),
            secrets=[secret_text(*key) for key in configured],
            signature=" ".join(f"{scheme},{text}" for scheme, text in entries),
            body=body,
        )
        matching = (
            i for i, key in enumerate(configured) if any(matches(key, entry, message) for entry in entries)
        )
        case.expected = next(matching, None)
        cases.append(case)
    requests = [
        {
            "verify": {
                "secrets": case.secrets, "id": "wh_1", "timestamp": str(NOW), "signature": case.signature,
                "body": in_base64(case.body), "now": NOW, "tolerance": TOLERANCE,
            }
        }
        for case in cases
    ]  # fmt: skip
    for case, answer in zip(cases, gateway.answers(requests)):
        case.gateway = answer
        yield case


def sign_with(scheme, key, message):
    return key.sign(message) if scheme == "v1a" else hmac.new(key, message, hashlib.sha256).digest()


def secret_text(scheme, key):
    return public_key(key) if scheme == "v1a" else "whsec_" + in_base64(key)


def matches(key, entry, message):
    signature = strictly(entry[1])
    if key[0] != entry[0] or signature is None:
        return False
    if key[0] == "v1":
        return signature == sign_with("v1", key[1], message)
    try:
        key[1].public_key().verify(signature, message)
        return True
    except InvalidSignature:
        return False


# --- Comparing ---


def compare_with(title, table, verify, cases, seed, make_report):
    report = make_report(title, table, seed)
    for case in cases:
        try:
            verify(case)
            case.accepted, case.why = True, ""
        except Exception as error:  # The libraries raise what they like.
            case.accepted, case.why = False, f"{type(error).__name__}: {error}"[:200]
        outcome = "accepted" if case.accepted else "refused"
        report.add(outcome, case.accepted == ("secret_index" in case.gateway), case)
    return report.finish()


def compare(gateway, seed, count, make_report):
    cases = list(symmetric_cases(gateway, random_module.Random(seed), count))
    good = compare_with(
        "Signatures, openai", differences.OPENAI_SIGNATURES, verify_by_openai, cases, seed, make_report
    )
    good &= compare_with(
        "Signatures, standardwebhooks", differences.STANDARD_WEBHOOKS_SIGNATURES, verify_by_standard_webhooks,
        cases, seed, make_report,
    )  # fmt: skip
    report = make_report("Signatures, several secrets and public keys, hmac and cryptography", [], seed)
    for case in mixed_cases(gateway, random_module.Random(seed), count):
        outcome = "refused" if case.expected is None else f"accepted by secret {case.expected}"
        alike = case.gateway.get("secret_index") == case.expected
        if case.expected is None:
            alike = case.gateway.get("error") == "signature_mismatch"
        report.add(outcome, alike, case)
    return report.finish() and good
