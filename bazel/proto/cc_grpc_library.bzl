"""cc_grpc_library, with the signature of gRPC's own macro."""

load("@com_google_protobuf//bazel/common:proto_info.bzl", "ProtoInfo")
load("@rules_cc//cc:cc_library.bzl", "cc_library")

def _import_path(src, root):
    """The path by which other .proto files import src."""
    prefix = root + "/"
    return src.path[len(prefix):] if src.path.startswith(prefix) else src.short_path

def _grpc_stubs_impl(ctx):
    proto = ctx.attr.proto[ProtoInfo]
    imports = [_import_path(src, proto.proto_source_root) for src in proto.direct_sources]
    suffixes = [".grpc.pb.h", ".grpc.pb.cc"]
    option = ""
    if ctx.attr.generate_mocks:
        suffixes.append("_mock.grpc.pb.h")
        option = "generate_mock_code=true:"
    outputs = [
        ctx.actions.declare_file("%s/%s%s" % (ctx.label.name, path[:-len(".proto")], suffix))
        for path in imports
        for suffix in suffixes
    ]
    out_dir = "/".join([part for part in [ctx.bin_dir.path, ctx.label.package, ctx.label.name] if part])

    arguments = ctx.actions.args()
    arguments.add("--plugin=protoc-gen-grpc=" + ctx.executable._plugin.path)
    arguments.add("--grpc_out=" + option + out_dir)
    arguments.add_joined("--descriptor_set_in", proto.transitive_descriptor_sets, join_with = ":")
    arguments.add_all(imports)
    ctx.actions.run(
        executable = ctx.executable._protoc,
        arguments = [arguments],
        inputs = proto.transitive_descriptor_sets,
        tools = [ctx.executable._plugin],
        outputs = outputs,
        mnemonic = "GrpcStubs",
    )
    return [
        DefaultInfo(files = depset(outputs)),
        OutputGroupInfo(
            hdrs = depset([file for file in outputs if file.extension == "h"]),
            srcs = depset([file for file in outputs if file.extension == "cc"]),
        ),
    ]

_grpc_stubs = rule(
    implementation = _grpc_stubs_impl,
    attrs = {
        "generate_mocks": attr.bool(),
        "proto": attr.label(mandatory = True, providers = [ProtoInfo]),
        "_plugin": attr.label(
            default = "@com_google_protobuf//:grpc_cpp_plugin",
            allow_single_file = True,
            cfg = "exec",
            executable = True,
        ),
        "_protoc": attr.label(
            default = "@com_google_protobuf//:protoc",
            allow_single_file = True,
            cfg = "exec",
            executable = True,
        ),
    },
)

def cc_grpc_library(name, srcs, deps, generate_mocks = False, **kwargs):
    """The C++ stubs of the services in one proto_library.

    Args:
      name: of the cc_library.
      srcs: exactly one proto_library.
      deps: the cc_proto_library of that proto_library.
      generate_mocks: also writes *_mock.grpc.pb.h.
      **kwargs: go to every target made.
    """
    if len(srcs) != 1:
        fail("srcs must name one proto_library, not %d" % len(srcs))
    stubs = name + "_stubs"
    _grpc_stubs(name = stubs, proto = srcs[0], generate_mocks = generate_mocks, **kwargs)
    for group in ["hdrs", "srcs"]:
        native.filegroup(name = stubs + "_" + group, srcs = [stubs], output_group = group, **kwargs)
    cc_library(
        name = name,
        srcs = [stubs + "_srcs"],
        hdrs = [stubs + "_hdrs"],
        includes = [stubs],
        deps = deps + ["@com_github_grpc_grpc//:grpc++"],
        **kwargs
    )
