"""Debian's protobuf compiler, runtime and well-known types as @com_google_protobuf."""

load(":system_library.bzl", "library_folders", "linkopts_select", "static_linkopts")

# Each well-known type and what its .proto imports.
_WELL_KNOWN_TYPES = {
    "any": [],
    "descriptor": [],
    "duration": [],
    "empty": [],
    "field_mask": [],
    "struct": [],
    "timestamp": [],
    "wrappers": [],
}

_BUILD_HEAD = """package(default_visibility = ["//visibility:public"])
exports_files(["protoc", "grpc_cpp_plugin"])
cc_library(name = "protobuf", linkopts = %s)
proto_lang_toolchain(
    name = "cc_toolchain",
    # libprotobuf holds their generated code; a second copy would abort at start.
    blacklisted_protos = %r,
    command_line = "--cpp_out=$(OUT)",
    runtime = ":protobuf",
)
"""

def _link_tool(ctx, tool):
    path = ctx.which(tool)
    if path == None:
        fail("%s is not installed: run bazel/install" % tool)
    ctx.symlink(path, tool)

def _protobuf_impl(ctx):
    _link_tool(ctx, "protoc")
    _link_tool(ctx, "grpc_cpp_plugin")
    shared = ["-lprotobuf"]
    static = static_linkopts(ctx, library_folders(ctx), shared + ["-lz", "-pthread"])
    build = [_BUILD_HEAD % (
        linkopts_select(shared, static),
        [":%s_proto" % name for name in _WELL_KNOWN_TYPES],
    )]
    for name, deps in _WELL_KNOWN_TYPES.items():
        path = "google/protobuf/%s.proto" % name
        ctx.symlink("/usr/include/" + path, path)
        build.append("proto_library(name = %r, srcs = [%r], deps = %r)" %
                     (name + "_proto", path, [":%s_proto" % dep for dep in deps]))
    ctx.file("BUILD.bazel", "\n".join(build) + "\n")
    ctx.file("bazel/BUILD.bazel", "")
    for rule in ["proto_library", "cc_proto_library"]:
        ctx.file("bazel/%s.bzl" % rule, "%s = native.%s\n" % (rule, rule))

    # A .bzl file cannot export a built-in under its own name, so it takes two.
    ctx.file("bazel/common/BUILD.bazel", "")
    ctx.file("bazel/common/builtin.bzl", "BuiltinProtoInfo = ProtoInfo\n")
    ctx.file("bazel/common/proto_info.bzl", """load(":builtin.bzl", "BuiltinProtoInfo")

ProtoInfo = BuiltinProtoInfo
""")

protobuf_repository = repository_rule(
    implementation = _protobuf_impl,
    configure = True,
    local = True,
)
