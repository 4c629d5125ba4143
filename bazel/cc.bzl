"""The project's C++ rules: Bazel's own, with the project's warnings as errors."""

load("@rules_cc//cc:cc_binary.bzl", "cc_binary")
load("@rules_cc//cc:cc_library.bzl", "cc_library")
load("@rules_cc//cc:cc_test.bzl", "cc_test")

_COPTS = [
    "-Wall",
    "-Wextra",
    "-Wnon-virtual-dtor",
    "-Woverloaded-virtual",
    "-Werror",
    # Designated initialisers name what they set; the rest keeps the default at its declaration.
    "-Wno-missing-field-initializers",
]

def hookgate_cc_library(name, copts = [], **kwargs):
    cc_library(name = name, copts = _COPTS + copts, **kwargs)

def hookgate_cc_binary(name, copts = [], **kwargs):
    cc_binary(name = name, copts = _COPTS + copts, **kwargs)

def hookgate_cc_test(name, size = "small", copts = [], deps = [], **kwargs):
    """A GoogleTest with its main; small (60 s) unless said."""
    cc_test(
        name = name,
        size = size,
        copts = _COPTS + copts,
        deps = deps + [
            "//tests/support:tsan_locks",
            "@com_google_googletest//:gtest_main",
        ],
        **kwargs
    )

def hookgate_cc_test_with_main(name, size = "small", copts = [], **kwargs):
    """A test that has a main of its own: it fails by its exit code."""
    cc_test(name = name, size = size, copts = _COPTS + copts, **kwargs)
