"""Makes the manual page hookgated(8), in troff, of what `hookgated --help` prints.

  hookgated --help | hookgated_man.py VERSION > hookgated.8
"""

import re
import sys


def escaped(text):
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("^", "\\(ha").replace("~", "\\(ti")
    return "\\&" + text if text.startswith((".", "'")) else text


def entry(term, meaning):
    return f".TP\n\\fB{escaped(term)}\\fR\n{escaped(meaning)}\n"


def entries(lines):
    """Terms, each indented less than the meaning below it."""
    text = ""
    term = None
    meaning = []
    for line in lines + ["  "]:
        if re.match(r" {2}( {0,3})?(\S|$)", line):
            if term is not None:
                text += entry(term, " ".join(meaning))
            term, meaning = line.strip(), []
        else:
            meaning.append(line.strip())
    return text


def main():
    version = sys.argv[1]
    blocks = [block.split("\n") for block in sys.stdin.read().strip().split("\n\n")]
    flags = next(block for block in blocks if block[0] == "Flags:")[1:]
    examples = next(block for block in blocks if block[0].startswith("  "))
    prose = [block for block in blocks if not block[0].startswith((" ", "Flags:"))]
    page = f'.\\" Made of `hookgated --help`.\n.TH HOOKGATED 8 "" "hookgate {escaped(version)}" "Hookgate"\n.nh\n'
    page += ".SH NAME\nhookgated \\- gateway that stores signed webhooks and streams them over gRPC\n"
    page += ".SH SYNOPSIS\n\\fBhookgated\\fR [\\fIflags\\fR]\n.SH DESCRIPTION\n"
    page += ".PP\n".join(escaped(" ".join(block)) + "\n" for block in prose)
    page += ".SH OPTIONS\n" + entries(flags) + ".SH EXAMPLES\n" + entries(examples)
    page += ".SH FILES\n"
    page += entry("/etc/hookgate/hookgate.textproto", "The config that the unit hookgated.service starts with.")
    page += entry("/etc/hookgate/secrets/", "Secrets of senders, which the unit hands over as credentials.")
    page += entry("/var/lib/hookgate/", "The log, in the unit's config.")
    page += entry("/usr/share/doc/hookgate/config.proto", "Every key of the config.")
    page += ".SH ENVIRONMENT\n"
    page += entry("OPENAI_WEBHOOK_SECRET", "The secret of the source openai, unless a config names sources.")
    page += entry("NOTIFY_SOCKET", "Set by systemd: where it is told of the start, reloads and the end.")
    page += ".SH SEE ALSO\n\\fBhookgate\\fR(1), \\fBsystemctl\\fR(1)\n"
    sys.stdout.write(page)


if __name__ == "__main__":
    main()
