"""Built into Bazel; loaded from here as from any rules_shell."""

sh_binary = native.sh_binary
