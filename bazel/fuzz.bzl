"""Fuzz targets: one source, a libFuzzer program for bazel/fuzz, and a test that replays its seeds."""

load(":cc.bzl", "hookgate_cc_binary", "hookgate_cc_test_with_main")

def hookgate_fuzz_target(name, deps):
    """NAME.cc defines LLVMFuzzerTestOneInput; corpus/NAME holds its seeds.

    NAME is the fuzzer, which needs clang and --config=fuzz, so //... leaves it out. NAME_corpus_test
    runs in every build.
    """
    deps = deps + ["//tests/fuzz:fuzz_target"]
    hookgate_cc_binary(
        name = name,
        testonly = True,
        srcs = [name + ".cc"],
        linkopts = ["-fsanitize=fuzzer"],
        tags = ["manual"],
        deps = deps,
    )
    seeds = native.glob(["corpus/%s/*" % name])
    hookgate_cc_test_with_main(
        name = name + "_corpus_test",
        srcs = [name + ".cc"],
        args = ["$(rootpath %s)" % seed for seed in seeds],
        data = seeds,
        deps = deps + ["//tests/fuzz:replay_corpus"],
    )
