#!/usr/bin/env python3
"""Writes compile_commands.json, which clang-tidy and editors read, from what Bazel would run.

bazel/compile_commands.py [PATTERN]   of the targets of PATTERN, by default //...

Build them first: generated headers must be there.
"""

import json
import os
import re
import subprocess
import sys

# g++'s own, or of Bazel's for builds that repeat, which clang rejects or warns of.
NOT_FOR_CLANG = re.compile(r"-fno-canonical-system-headers|-Wno-free-nonheap-object|-D__(DATE|TIME|TIMESTAMP)__=.*")


def source_of(arguments):
    """The file that the command compiles."""
    return arguments[arguments.index("-c") + 1]


def main():
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
    pattern = sys.argv[1] if len(sys.argv) > 1 else "//..."
    answer = subprocess.run(
        ["bazel", "aquery", "--noshow_progress", "--ui_event_filters=-info", "--output=jsonproto",
         f'mnemonic("CppCompile", {pattern})'],
        check=True, stdout=subprocess.PIPE)
    commands = {}
    for action in json.loads(answer.stdout).get("actions", []):
        source = source_of(action["arguments"])
        # Built for use by the build, or with -fPIC as well: one command is enough.
        if source.startswith(("bazel-out/", "external/")) or source in commands:
            continue
        # Commands name external/..., which lies beside the output folder and not in the workspace.
        commands[source] = {
            "directory": os.getcwd(),
            "file": source,
            "arguments": [word for word in action["arguments"] if not NOT_FOR_CLANG.fullmatch(word)],
        }
    with open("compile_commands.json", "w", encoding="utf-8") as file:
        json.dump(list(commands.values()), file, indent=1)
    print(f"compile_commands.json: {len(commands)} files")


if __name__ == "__main__":
    main()
