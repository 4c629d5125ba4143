"""Built into Bazel; loaded from here as from any rules_cc."""

cc_test = native.cc_test
