"""Built into Bazel; loaded from here as from any rules_shell."""

sh_test = native.sh_test
