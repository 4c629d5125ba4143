"""What the gateway's own code makes of webhooks: //tests/conformance:answer_cases."""

import base64
import json
import subprocess


class Gateway:
    def __init__(self, binary):
        self._binary = binary

    def answers(self, requests):
        """The answer to each request; answer_cases.cc says what they are."""
        lines = "".join(json.dumps(request) + "\n" for request in requests)
        run = subprocess.run([self._binary], input=lines.encode(), stdout=subprocess.PIPE, check=True)
        answers = [json.loads(line) for line in run.stdout.split(b"\n")[:-1]]
        if len(answers) != len(requests):
            raise SystemExit(f"{self._binary}: {len(answers)} answers to {len(requests)} requests")
        return answers

    def schema(self):
        """The event types that it knows, by name."""
        return {event["type"]: event for event in self.answers([{"schema": None}])[0]["types"]}


def in_base64(data):
    return base64.b64encode(data).decode()
