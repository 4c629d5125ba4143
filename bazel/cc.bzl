"""The project's C++ rules: Bazel's own, with the project's warnings; --config=werror makes them errors."""

load("@rules_cc//cc:cc_binary.bzl", "cc_binary")
load("@rules_cc//cc:cc_library.bzl", "cc_library")
load("@rules_cc//cc:cc_test.bzl", "cc_test")

_COPTS = [
    "-Wall",
    "-Wextra",
    "-Wnon-virtual-dtor",
    "-Woverloaded-virtual",
] + select({
    "//bazel:werror": ["-Werror"],
    "//conditions:default": [],
}) + [
    # Designated initialisers name what they set; the rest keeps the default at its declaration.
    "-Wno-missing-field-initializers",
]

# For what is installed. bazel/hardening looks whether they are there.
_HARDENED_COPTS = select({
    "//bazel:opt": [
        # Checks the bounds of what the C library writes. Bazel asks for 1, which checks less.
        "-U_FORTIFY_SOURCE",
        "-D_FORTIFY_SOURCE=2",
        "-fstack-protector-strong",
        # Touches each page of a large frame, so that no frame jumps over the guard page.
        "-fstack-clash-protection",
        "-fPIE",
    ],
    "//conditions:default": [],
}) + select({
    # Marks the targets of indirect jumps (IBT) and keeps return addresses apart (SHSTK).
    "//bazel:opt_x86_64": ["-fcf-protection=full"],
    "//conditions:default": [],
})

# At another address each time, and its tables cannot be written once it runs.
_HARDENED_LINKOPTS = select({
    "//bazel:opt": [
        "-pie",
        "-Wl,-z,relro",
        "-Wl,-z,now",
        "-Wl,-z,noexecstack",
    ],
    "//conditions:default": [],
}) + select({
    # The id by which a debugger finds the debug file of a stripped binary.
    "//bazel:static_libraries": [
        "-static-libgcc",
        "-Wl,--build-id=sha1",
    ],
    "//conditions:default": [],
})

def hookgate_cc_library(name, copts = [], **kwargs):
    cc_library(name = name, copts = _COPTS + copts + _HARDENED_COPTS, **kwargs)

def hookgate_cc_binary(name, copts = [], linkopts = [], **kwargs):
    cc_binary(
        name = name,
        # A library's code runs wherever it is loaded.
        copts = _COPTS + copts + _HARDENED_COPTS + (["-fPIC"] if kwargs.get("linkshared") else []),
        linkopts = linkopts + _HARDENED_LINKOPTS,
        **kwargs
    )

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

def hookgate_cc_module(name, deps = [], test_deps = [], **kwargs):
    """The library NAME of NAME.cc and NAME.h, and its test NAME_test of NAME_test.cc.

    Args:
      name: of the library.
      deps: of the library; the test may use them, too.
      test_deps: what the test needs besides.
      **kwargs: other attributes of the library, such as visibility.
    """
    hookgate_cc_library(
        name = name,
        srcs = [name + ".cc"],
        hdrs = [name + ".h"],
        deps = deps,
        **kwargs
    )
    hookgate_cc_test(
        name = name + "_test",
        srcs = [name + "_test.cc"],
        deps = [":" + name] + deps + test_deps,
    )

def hookgate_cc_test_with_main(name, size = "small", copts = [], **kwargs):
    """A test that has a main of its own: it fails by its exit code."""
    cc_test(name = name, size = size, copts = _COPTS + copts, **kwargs)
