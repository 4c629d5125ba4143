"""Built into Bazel; loaded from here as from any rules_cc."""

cc_binary = native.cc_binary
