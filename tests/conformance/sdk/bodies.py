"""Made-up webhook bodies, good and bad, and whether gateway and SDK read them alike."""

import dataclasses
import json
import types
import typing

import pydantic

import reference
from gateway import in_base64


@dataclasses.dataclass
class Case:
    body: bytes
    made_by: str
    sdk: reference.Reading
    gateway: dict


# --- Making bodies ---
#
# A document is made of Python values, with an object as a list of pairs, so that a key may come twice, and
# with Raw where no Python value is written so.


class Obj(list):
    """Pairs [key, value]."""


@dataclasses.dataclass
class Raw:
    text: str


LONG = "x" * 300
TEXTS = [
    "", "a", "batch_abc123", "evt_685c059ae3a481909bdc86819b066fb6", " padded ", "\u00e9\u4e2d\U0001f600",
    "a\0b",
    'quote " backslash \\ slash /', "line\nbreak\ttab\r", "\x7f\x80\u2028\ufeff\uffff", "123", "null",
    "event", LONG,
]  # fmt: skip
BAD_TEXTS = ["\ud800", "a\udfffb", "\udc00\ud800"]

# Of whole numbers that fit, and of others.
NUMBERS = [
    "0", "-0", "-1", "1750861210", "9223372036854775807", "-9223372036854775808", "123.0", "1e3", "1E+3",
    "-0.0",
    "1.75086121e9", "1750861210.000000000", "12e-0", "120e-1", "9007199254740992.0", "9007199254740993.0",
    "9223372036854774784.0", "4503599627370497.5", "9007199254740991.0000000000",
    "403338196836291.00000000000000", "8160777607295.0005000",
    "9007199254740991.5", "17508612100000000000000000000e-19",
    "1e-400", "123.5", "1e-300", "9223372036854775808", "-9223372036854775809", "1" + "0" * 30, "1e20",
    "-1e19",
    "9223372036854775808.0", "-9223372036854775808.0", "1e400", "-1e400", "18446744073709551616", "1e22",
]  # fmt: skip
NUMBER_TEXTS = [
    "123", " 123 ", "\t123\n", "+123", "-5", "-0", "0123", "1_000", "0_1", "00__1", "-0___7", "0__0", "123.0",
    "123.000",
    "-0.0", "1_0.0", "9223372036854775807", "-9223372036854775808", "9223372036854775808",
    "-9223372036854775809",
    "9223372036854775808.0", "1" + "0" * 40, "0" * 50 + "7", "\u00a0123", "123\u3000",
    "\u2003\u0085123\u2029",
    "\u200b123", "\x1c123", "\ufeff123", "123.5", "123.", ".0", "1e3", "", " ", "abc", "0x10", "1,000",
    "1__000", "_1", "1_",
    "0_", "1_.0", "1.0_0", "--1", "+-1", "- 1", "1 2", "1\0", "\uff11\uff12", "\u0663", "NaN", "inf", "true",
]  # fmt: skip
NO_JSON_NUMBERS = [
    "NaN",
    "Infinity",
    "-Infinity",
    "01",
    "1.",
    ".5",
    "+1",
    "0x10",
    "-",
    "1e",
    "1e+",
    "--1",
    "1_0",
    "nan",
]
ODD_EXPONENTS = [
    "1e99999999999",
    "1e-99999999999",
    "0e99999999999",
    "1e2147483648",
    "1e000000000000000000003",
]
KEYS = [
    "",
    "id",
    "ID",
    "extra",
    "type",
    "data",
    "object",
    "created_at",
    "model_config",
    "__class__",
    "\u00e9",
    "a\0b",
]


def nested(levels):
    return Raw("[" * levels + "]" * levels)


class Maker:
    def __init__(self, random):
        self.random = random
        self.made_by = []

    def chance(self, probability):
        return self.random.random() < probability

    def pick(self, choices):
        return choices[self.random.randrange(len(choices))]

    # --- Documents that the SDK's class accepts ---

    def event(self, event_class):
        fields = event_class.model_fields
        names = list(fields)
        if self.chance(0.5):
            self.random.shuffle(names)
        pairs = Obj()
        for name in names:
            field = fields[name]
            if not field.is_required() and self.chance(0.4):
                if self.chance(0.5):
                    pairs.append([name, None])
                continue
            pairs.append([name, self.value(field.annotation)])
        if self.chance(0.15):
            pairs.insert(self.random.randrange(len(pairs) + 1), [self.extra_key(fields), self.anything()])
        return pairs

    def value(self, annotation):
        origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
        if origin in (typing.Union, types.UnionType):
            return self.value(self.pick([a for a in arguments if a is not type(None)]))
        if origin is typing.Literal:
            return self.pick(arguments)
        if origin is list:
            return [self.value(arguments[0]) for _ in range(self.pick([0, 1, 1, 2, 3, 8]))]
        if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
            return self.event(annotation)
        if annotation is int:
            return self.pick([1750861210, 1750861210, 0, -1, 2**63 - 1])
        if annotation is str:
            return self.pick(TEXTS) if self.chance(0.6) else f"id_{self.random.randrange(10**9)}"
        raise SystemExit(f"the SDK has a kind of field that is new here: {annotation}")

    def extra_key(self, fields):
        key = self.pick(KEYS)
        return key if key not in fields else key + "2"

    def anything(self):
        return self.pick(
            [
                None, True, False, 0, -7, 2**64, 1.5, "text", self.pick(TEXTS), [], Obj(), [1, [2, [3]]],
                Obj([["id", 5]]),
                Obj([["type", "x"], ["type", "y"]]), Raw(self.pick(NUMBERS)), nested(self.pick([5, 20])),
            ]
        )  # fmt: skip

    # --- Documents with something wrong, or odd ---

    def places(self, node, found=None):
        """(container, index) of every pair and element."""
        found = [] if found is None else found
        for index, entry in enumerate(node):
            value = entry[1] if isinstance(node, Obj) else entry
            found.append((node, index))
            if isinstance(value, list):
                self.places(value, found)
        return found

    def mutate(self, document):
        places = self.places(document)
        if not places:
            return
        container, index = self.pick(places)
        is_pair = isinstance(container, Obj)

        def put(value):
            if is_pair:
                container[index] = [container[index][0], value]
            else:
                container[index] = value

        old = container[index][1] if is_pair else container[index]
        kind = self.pick(
            [
                "delete", "null", "kind", "kind", "number", "number", "number_text", "number_text", "boolean",
                "text", "literal",
                "duplicate", "duplicate", "extra", "rename", "swap_type", "surrogate", "no_number",
                "exponent", "deep", "digits",
            ]
        )  # fmt: skip
        self.made_by.append(kind)
        if kind in ("number", "number_text", "boolean", "no_number", "exponent", "digits") and self.chance(
            0.7
        ):
            # At the field that takes a number, mostly.
            for place, (key, _) in enumerate(document):
                if key == "created_at":
                    container, index, is_pair = document, place, True
        if kind == "delete":
            del container[index]
        elif kind == "null":
            put(None)
        elif kind == "kind":
            put(self.anything())
        elif kind == "number":
            put(Raw(self.pick(NUMBERS)))
        elif kind == "number_text":
            put(self.pick(NUMBER_TEXTS))
        elif kind == "boolean":
            put(self.chance(0.5))
        elif kind == "text":
            put(self.pick(TEXTS))
        elif kind == "literal":
            text = old if isinstance(old, str) else "event"
            put(
                self.pick(
                    [
                        text.upper(),
                        text + " ",
                        text[:-1],
                        text + ".x",
                        text.replace(".", "_"),
                        " " + text,
                        text + "\0",
                    ]
                )
            )
        elif kind == "duplicate" and is_pair:
            other = [container[index][0], self.anything() if self.chance(0.6) else old]
            container.insert(self.random.randrange(len(container) + 1), other)
        elif kind == "extra":
            holder = container if is_pair else document
            holder.insert(self.random.randrange(len(holder) + 1), [self.pick(KEYS), self.anything()])
        elif kind == "rename" and is_pair:
            key = container[index][0]
            container[index] = [self.pick([key.upper(), key + " ", key + "\0", "_" + key, key[1:]]), old]
        elif kind == "swap_type":
            for pair in document:
                if pair[0] == "type":
                    pair[1] = self.pick(
                        list(reference.CLASSES) + ["video.completed", "video.failed", "x.failed", ""]
                    )
        elif kind == "surrogate":
            text = self.pick(BAD_TEXTS)
            if is_pair and self.chance(0.3):
                container[index] = [text, old]
            else:
                put(text)
        elif kind == "no_number":
            put(Raw(self.pick(NO_JSON_NUMBERS)))
        elif kind == "exponent":
            if self.chance(0.5):
                document.append(["extra", Raw(self.pick(ODD_EXPONENTS))])
            else:
                put(Raw(self.pick(ODD_EXPONENTS)))
        elif kind == "deep":
            levels = self.pick([5, 100, 125, 126, 127, 128, 129, 130, 3000])
            document.append(["extra", nested(levels)])
        elif kind == "digits":
            number = self.pick(["7", "0", "-7", "0."]) + "7" * self.pick([20, 4298, 4299, 4300, 4301, 5000])
            if self.chance(0.5):
                document.append(["extra", Raw(number)])
            else:
                put(number if self.chance(0.5) else Raw(number))

    # --- Text and bytes ---

    def write(self, node):
        blank = self.pick(["", "", "", " ", "\n ", "\t", "\r\n"])
        if isinstance(node, Raw):
            return node.text
        if isinstance(node, Obj):
            return (
                "{"
                + ",".join(f"{blank}{self.write(k)}{blank}:{blank}{self.write(v)}" for k, v in node)
                + blank
                + "}"
            )
        if isinstance(node, list):
            return "[" + ",".join(blank + self.write(element) for element in node) + blank + "]"
        if isinstance(node, str):
            escape = any("\ud800" <= c <= "\udfff" for c in node) or self.chance(0.4)
            return json.dumps(node, ensure_ascii=escape)
        return json.dumps(node)

    def damage(self, body):
        kind = self.pick(
            [
                "bom", "bom", "two_boms", "trailing", "leading", "cut", "byte", "insert", "drop", "not_utf8",
                "utf_16", "utf_32",
                "empty", "blank", "comment", "comma", "no_object", "cesu",
            ]
        )  # fmt: skip
        self.made_by.append(kind)
        place = self.random.randrange(len(body) + 1)
        if kind == "bom":
            return b"\xef\xbb\xbf" + body
        if kind == "two_boms":
            return b"\xef\xbb\xbf" * 2 + body
        if kind == "trailing":
            return body + self.pick(
                [b" ", b"\n\n", b"\0", b"x", b"{}", b",", b"]", b"\xef\xbb\xbf", b"\x0b", b"\xc2\xa0"]
            )
        if kind == "leading":
            return self.pick([b" ", b"\n", b"\0", b"x", b"\x0c", b"\xc2\xa0", b"["]) + body
        if kind == "cut":
            return body[:place]
        if kind == "byte" and place < len(body):
            return body[:place] + bytes([self.random.randrange(256)]) + body[place + 1 :]
        if kind == "insert":
            piece = self.pick(
                [
                    b'"',
                    b"\\",
                    b"{",
                    b"}",
                    b"[",
                    b"]",
                    b":",
                    b",",
                    b"\0",
                    b"\n",
                    b"0",
                    b"null",
                    b"\\u00e9",
                    b"\\u12",
                ]
            )
            return body[:place] + piece + body[place:]
        if kind == "drop":
            return body[:place] + body[place + self.random.randrange(1, 5) :]
        if kind in ("not_utf8", "cesu"):
            bad = self.pick(
                [
                    b"\xff",
                    b"\xc3",
                    b"\x80",
                    b"\xc0\x80",
                    b"\xe0\x80\xaf",
                    b"\xf4\x90\x80\x80",
                    b"\xed\xa0\x80",
                ]
            )
            inside = body.find(b"_", place)
            return body[:inside] + bad + body[inside:] if inside > 0 else bad + body
        if kind in ("utf_16", "utf_32"):
            encoding = kind.replace("_", "-") + self.pick(["-le", "-be", ""])
            return body.decode("utf-8", "replace").encode(encoding)
        if kind == "empty":
            return b""
        if kind == "blank":
            return self.pick([b" ", b"\n\t", b"\xef\xbb\xbf", b"\xef\xbb\xbf "])
        if kind == "comment":
            return self.pick([b"// c\n" + body, b"/* c */" + body, body + b" # c"])
        if kind == "comma":
            return self.pick(
                [body.replace(b"}", b",}", 1), body.replace(b",", b",,", 1), body.replace(b":", b"=", 1)]
            )
        if kind == "no_object":
            return self.pick(
                [
                    b"null",
                    b"true",
                    b"5",
                    b"1.5",
                    b"1e400",
                    b'"batch.failed"',
                    b"[]",
                    b"[" + body + b"]",
                    b"NaN",
                    b"{}",
                    b"-",
                ]
            )
        return body

    def body(self, event_class):
        self.made_by = []
        document = self.event(event_class)
        choice = self.random.random()
        if choice >= 0.25:
            for _ in range(self.pick([1, 1, 1, 2, 3])):
                self.mutate(document)
        body = self.write(document).encode("utf-8", "surrogatepass")
        if choice >= 0.8:
            body = self.damage(body)
        return body, " ".join(self.made_by) or "valid"


# --- Comparing ---


def subject_of(payload, fields):
    for field in fields:
        if field["subject"]:
            return payload[field["name"]]
        if field["kind"] == "message" and not field["repeated"] and field["name"] in payload:
            found = subject_of(payload[field["name"]], field["fields"])
            if found is not None:
                return found
    return None


def alike(case, schema):
    sdk, gateway = case.sdk, case.gateway
    if sdk.outcome == "event":
        event = gateway.get("event", {})
        known = schema[sdk.document["type"]]
        return (
            event.get("type") == sdk.document["type"]
            and event.get(known["arm"]) == sdk.payload
            and event["subject"] == subject_of(sdk.payload, known["fields"])
        )
    if sdk.outcome == "unknown_type":
        event = gateway.get("event", {})
        return "unrecognized" in event and event["type"] == sdk.document["type"]
    error, _, path = gateway.get("error", "").partition(" ")
    # The gateway names the first field that is wrong; the SDK, all of them.
    return error == sdk.outcome and (error == "body_not_json" or path in sdk.paths)


def schema_problems(schema):
    """Where the .proto and the SDK's classes differ in fields, kinds and what is required."""
    problems = [
        f"{name}: the SDK has no class for it" for name in sorted(set(schema) - set(reference.CLASSES))
    ]
    for name, event_class in sorted(reference.CLASSES.items()):
        if name not in schema:
            problems.append(f"{name}: the SDK's {event_class.__name__} is no message of the gateway's")
            continue
        if schema[name]["message"] != event_class.__name__:
            problems.append(f"{name}: {schema[name]['message']} is {event_class.__name__} in the SDK")
        problems += [
            f"{name}: {problem}" for problem in field_problems(schema[name]["fields"], event_class, "")
        ]
    return problems


def field_problems(fields, model, path):
    ours = {field["name"]: field for field in fields}
    for name in sorted(set(ours) ^ set(model.model_fields)):
        yield f"{path}{name}: only {'the gateway' if name in ours else 'the SDK'} has it"
    for name in sorted(set(ours) & set(model.model_fields)):
        theirs, field = model.model_fields[name], ours[name]
        if field["required"] != theirs.is_required():
            yield f"{path}{name}: required {field['required']} here, {theirs.is_required()} in the SDK"
        annotation, repeated = theirs.annotation, False
        members = [a for a in typing.get_args(annotation) if a is not type(None)]
        if typing.get_origin(annotation) is typing.Union:
            annotation = str if str in members else members[0]
        if typing.get_origin(annotation) is list:
            annotation, repeated = typing.get_args(annotation)[0], True
        literal = ""
        if typing.get_origin(annotation) is typing.Literal:
            values = typing.get_args(annotation)
            literal = values[0] if len(values) == 1 else ""
            annotation = str
        is_model = isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel)
        kind = (
            "message"
            if is_model
            else {str: "string", int: "int64", bool: "bool"}.get(annotation, str(annotation))
        )
        if (field["kind"], field["repeated"], field["literal"]) != (kind, repeated, literal):
            yield f"{path}{name}: {field} here, {theirs} in the SDK"
        elif is_model:
            yield from field_problems(field["fields"], annotation, f"{path}{name}.")


def cases(gateway, random, count):
    """`count` cases, as many of each event type."""
    maker = Maker(random)
    made = [
        maker.body(reference.CLASSES[name])
        for name in sorted(reference.CLASSES)
        for _ in range(count // len(reference.CLASSES))
    ]
    answers = gateway.answers([{"decode": in_base64(body)} for body, _ in made])
    for (body, made_by), answer in zip(made, answers):
        yield Case(body, made_by, reference.read(body), answer)
