"""Tests of the reader and of the runner, with programs that stand for hookgated and hookgate."""

import io
import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from pages import PageError, matches, steps_of  # pylint: disable=wrong-import-position
from runner import run_page  # pylint: disable=wrong-import-position

# Prints its flags' addresses as hookgated does, with port 4711 for any free one, and stays.
_HOOKGATED = """#!/bin/sh
for flag in "$@"; do
  case $flag in --http_address=*|--grpc_address=*|--admin_address=*)
    door=${flag%%_address*}; address=${flag#*=}
    line="$line ${door#--}=$(echo "$address" | sed 's/:0$/:4711/')";;
  esac
done
echo "ready$line"
exec sleep 600
"""
_HOOKGATE = '#!/bin/sh\necho "$HOOKGATE_GRPC" "$@"\n'


def page(*parts):
    return "\n".join(parts) + "\n"


def block(mark, *lines):
    return page(f"<!-- {mark} -->", "```", *lines, "```")


class PagesTest(unittest.TestCase):

    def test_blocks_without_a_mark_are_not_steps(self):
        self.assertEqual(steps_of(page("# A page", "```", "rm -rf /", "<!-- runnable -->", "```")), [])

    def test_a_step_has_its_line_and_options(self):
        steps = steps_of("Text\n" + block("runnable: exit=3", "false") + block("output", "nothing"))
        self.assertEqual([(step.kind, step.line, step.exit_code) for step in steps], [("run", 4, 3), ("output", 8, 0)])
        (step,) = steps_of(block('runnable: background until="it is open"', "sleep 9"))
        self.assertEqual((step.kind, step.until), ("background", "it is open"))

    def test_invisible_commands_are_steps(self):
        (step,) = steps_of(page("<!-- run", "echo secret", "-->"))
        self.assertEqual((step.kind, step.line, step.text), ("run", 2, "echo secret\n"))
        (step,) = steps_of(page("<!-- run: background", "hookgated", "-->"))
        self.assertEqual((step.kind, step.text), ("background", "hookgated\n"))

    def test_a_block_in_a_list_loses_its_indent(self):
        (step,) = steps_of(page("1. Do", "   <!-- runnable -->", "   ```", "   true", "   ```"))
        self.assertEqual(step.text, "true\n")

    def test_marks_that_would_be_passed_over_are_errors(self):
        for wrong in (
                block("runable", "true"), block("runnable: exit=x", "true"), block("runnable exit=1", "true"),
                block("output", "x"), block("runnable", "true") + block("output: exit=1", "x"),
                block('runnable: until="x"', "true"), page("<!-- runnable -->", "", "```", "true", "```"),
                page("<!-- runnable -->", "```", "true"), page("<!-- run", "true"),
                page("<!-- run: backgruond", "true", "-->")):
            with self.assertRaises(PageError, msg=wrong):
                steps_of(wrong)

    def test_three_dots_stand_for_what_may_differ(self):
        self.assertTrue(matches("a\n", "a  \n"))
        self.assertTrue(matches("stored 3 of ...\n...\nend\n", "stored 3 of 9\nx\ny\nend\n"))
        self.assertTrue(matches("...\nend\n", "end\n"))
        self.assertFalse(matches("a\n", "a\nb\n"))
        self.assertFalse(matches("a.c\n", "abc\n"))
        self.assertFalse(matches("stored ...\n", "stored 1\nstored 2\n"))


class RunnerTest(unittest.TestCase):

    def run_text(self, text):
        """Whether the page is right, and what was reported."""
        with tempfile.TemporaryDirectory() as folder:
            paths = []
            for name, program in (("hookgated", _HOOKGATED), ("hookgate", _HOOKGATE)):
                paths.append(os.path.join(folder, name))
                with open(paths[-1], "w", encoding="utf-8") as file:
                    file.write(program)
                os.chmod(paths[-1], 0o755)
            here = os.path.join(folder, "page")
            os.mkdir(here)
            report = io.StringIO()
            right = run_page("PAGE.md", steps_of(text), here, *paths, report=report)
            return right, report.getvalue()

    def check(self, right, text, said=""):
        result, report = self.run_text(text)
        self.assertEqual(result, right, report)
        self.assertIn(said, report)

    def test_steps_share_a_folder(self):
        self.check(True, block("runnable", "echo 1 > file") + block("runnable", "cat file") + block("output", "1"))

    def test_a_wrong_command_fails(self):
        self.check(False, block("runnable", "true", "hookgtae status", "true"), "PAGE.md:3: NOT AS THE PAGE SAYS")
        self.check(False, block("runnable", "false | cat"), "exit code 1, not 0")

    def test_a_wrong_exit_code_fails(self):
        self.check(True, block("runnable: exit=3", "exit 3"))
        self.check(False, block("runnable: exit=3", "true"), "exit code 0, not 3")

    def test_wrong_output_fails_and_ends_the_page(self):
        text = block("runnable", "echo two") + block("output", "one") + block("runnable", "echo never")
        self.check(False, text, "it printed:\ntwo")
        self.assertNotIn("never", self.run_text(text)[1])

    def test_addresses_are_those_of_this_run_and_shown_as_documented(self):
        self.check(True, block("runnable: background", "hookgated --data_dir=/var/lib/hookgate")
                   + block("output: background", "ready http=127.0.0.1:8080 grpc=... admin=...")
                   + block("runnable", "hookgate status --url=http://localhost:8080/ | grep -o 4711 | wc -l")
                   + block("output", "2"))

    def test_folders_are_below_the_pages(self):
        self.check(True, block("runnable", "echo x > /etc/hookgate/file", "echo /etc/hookgate/file", "ls /etc/hookgate")
                   + block("output", "/etc/hookgate/file", "file"))

    def test_a_background_step_that_ends_early_fails(self):
        self.check(False, block('runnable: background until="open"', "echo closed"), 'did not print "open"')

    def test_what_runs_in_the_background_is_ended_with_the_page(self):
        with tempfile.TemporaryDirectory() as folder:
            fifo = os.path.join(folder, "fifo")
            os.mkfifo(fifo)
            reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
            self.check(True, block("runnable: background", f"exec 9> {fifo}", "sleep 600 & echo up", "wait"))
            os.set_blocking(reader, True)
            self.assertEqual(os.read(reader, 1), b"")  # Its end comes once no process has the other one.
            os.close(reader)


if __name__ == "__main__":
    unittest.main()
