"""Every external repository, made from what Debian installed and named as upstream names it."""

load(":protobuf.bzl", "protobuf_repository")
load(":system_library.bzl", "system_library")

# Target under @com_google_absl//absl to pkg-config module (without "absl_").
_ABSEIL = {
    "base:core_headers": "core_headers",
    "cleanup": "cleanup",
    "container:btree": "btree",
    "container:flat_hash_map": "flat_hash_map",
    "container:flat_hash_set": "flat_hash_set",
    "container:inlined_vector": "inlined_vector",
    "flags:flag": "flags",
    "flags:parse": "flags_parse",
    "flags:reflection": "flags_reflection",
    "flags:usage": "flags_usage",
    "functional:any_invocable": "any_invocable",
    "functional:function_ref": "function_ref",
    "numeric:int128": "int128",
    "random": "random_random",
    "random:bit_gen_ref": "random_bit_gen_ref",
    "status": "status",
    "status:statusor": "statusor",
    "strings": "strings",
    "strings:cord": "cord",
    "strings:str_format": "str_format",
    "synchronization": "synchronization",
    "time": "time",
    "types:optional": "optional",
    "types:span": "span",
}

def _abseil_label(target):
    return "//absl/" + (target if ":" in target else "%s:%s" % (target, target))

def system_repositories():
    """Declares the repositories that BUILD files name."""
    protobuf_repository(name = "com_google_protobuf")
    system_library(
        name = "com_google_absl",
        targets = {_abseil_label(target): ["absl_" + module] for target, module in _ABSEIL.items()},
    )
    system_library(
        name = "com_github_grpc_grpc",
        targets = {
            "//:grpc++": ["grpc++", "protobuf"],
        },
    )
    system_library(
        name = "com_google_googletest",
        targets = {
            "//:gtest": ["gmock"],
            "//:gtest_main": ["gmock_main"],
        },
    )
    system_library(
        name = "com_github_google_benchmark",
        targets = {"//:benchmark": ["benchmark", "-lpthread"]},
    )
    system_library(
        name = "boost",
        targets = {
            "//:headers": [],
            "//:json": ["-lboost_json"],
        },
    )
    system_library(
        name = "com_github_gperftools_gperftools",
        targets = {"//:tcmalloc_minimal": ["libtcmalloc_minimal"]},
    )
    system_library(
        name = "system",
        targets = {
            # Headers alone: their libraries are loaded when a config asks for the engine, so that
            # hookgated runs where they are not installed.
            "//:libnats": [],
            "//:libpq": [],
            "//:nghttp2": ["libnghttp2"],
            "//:openssl": ["openssl"],
            "//:spdlog": ["spdlog"],
            "//:sqlite3": ["sqlite3"],
        },
    )
