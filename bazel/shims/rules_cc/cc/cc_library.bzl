"""Built into Bazel; loaded from here as from any rules_cc."""

cc_library = native.cc_library
