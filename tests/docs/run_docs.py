#!/usr/bin/env python3
"""Runs every block that is marked runnable in Markdown pages: run_docs.py HOOKGATED HOOKGATE PAGE...

Exit code 0: each did what its page says. 1: one did not. 2: a mark is wrong, or a page has none.
"""

import os
import sys
import tempfile

from pages import PageError, steps_of
from runner import run_page


def main(arguments):
    if len(arguments) < 3:
        print(__doc__, file=sys.stderr)
        return 2
    hookgated, hookgate = (os.path.abspath(path) for path in arguments[:2])
    failed = 0
    for path in arguments[2:]:
        try:
            with open(path, encoding="utf-8") as file:
                steps = steps_of(file.read())
        except (OSError, PageError) as error:
            print(f"{path}: {error}")
            return 2
        if not any(step.kind != "output" for step in steps):
            print(f"{path}: no block is marked runnable")
            return 2
        with tempfile.TemporaryDirectory() as folder:
            if not run_page(path, steps, folder, hookgated, hookgate):
                failed += 1
    print(f"{len(arguments) - 2 - failed} pages passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
