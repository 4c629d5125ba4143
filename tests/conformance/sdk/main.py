"""Compares the gateway's decoder and signature check with the libraries that senders and receivers use."""

import argparse
import collections
import random
import sys
import time
from unittest import mock

import bodies
import differences
import reference
import signatures
from gateway import Gateway

MAX_SHOWN = 10


class Report:
    """Counts the cases of one comparison and shows those that nothing explains."""

    def __init__(self, title, table, seed):
        self.title, self.table, self.seed = title, table, seed
        self.cases = 0
        self.alike = collections.Counter()
        self.explained = collections.Counter()
        self.unexplained = 0

    def add(self, outcome, alike, case):
        self.cases += 1
        if alike:
            self.alike[outcome] += 1
            return
        for difference in self.table:
            if difference.explains(case):
                self.explained[difference.name] += 1
                return
        self.unexplained += 1
        if self.unexplained <= MAX_SHOWN:
            print(f"\nNOT LISTED in {self.title}, seed {self.seed}, case {self.cases - 1}:")
            for name, value in vars(case).items():
                print(f"  {name}: {value!r}"[:3000])

    def finish(self):
        """Prints the counts; whether all is well."""
        alike = ", ".join(f"{count} {outcome}" for outcome, count in sorted(self.alike.items()))
        print(f"\n{self.title}: {self.cases} cases; alike: {sum(self.alike.values())} ({alike})")
        for difference in self.table:
            print(f"  {self.explained[difference.name]:6} {difference.name}: {difference.why}")
        unused = [d.name for d in self.table if self.explained[d.name] == 0]
        if unused:
            print(f"  in no case at all, so perhaps no longer true: {', '.join(unused)}")
        if self.unexplained:
            print(f"  {self.unexplained} NOT LISTED")
        return not self.unexplained and not unused


def compare_bodies(gateway, seed, count):
    schema = gateway.schema()
    problems = bodies.schema_problems(schema)
    for problem in problems:
        print(f"SCHEMA {problem}")
    print(f"Schema: {len(schema)} event types, {len(problems)} problems")
    report = Report("Bodies", differences.BODIES, seed)
    with mock.patch("time.time", return_value=reference.NOW):
        for case in bodies.cases(gateway, random.Random(seed), count):
            report.add(case.sdk.outcome, bodies.alike(case, schema), case)
    return report.finish() and not problems


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--gateway", required=True, help="the program //tests/conformance:answer_cases")
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--bodies", type=int, default=64000, help="how many")
    arguments.add_argument("--signatures", type=int, default=8000, help="how many")
    options = arguments.parse_args()

    start = time.monotonic()
    gateway = Gateway(options.gateway)
    print(f"seed {options.seed}")
    good = compare_bodies(gateway, options.seed, options.bodies)
    good &= signatures.compare(gateway, options.seed, options.signatures, Report)
    print(
        f"\nseed {options.seed}: {'all differences are listed' if good else 'FAILED'}, {time.monotonic() - start:.0f} s"
    )
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
