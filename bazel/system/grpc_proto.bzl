"""gRPC's own services (health, reflection) from Debian's package grpc-proto, as @grpc_proto."""

_FOLDER = "/usr/share/grpc-proto/"

_PROTOS = {
    "health_v1": "grpc/health/v1/health.proto",
    "reflection_v1": "grpc/reflection/v1/reflection.proto",
    "reflection_v1alpha": "grpc/reflection/v1alpha/reflection.proto",
}

_TARGETS = """
proto_library(name = "{name}_proto", srcs = ["{path}"])
cc_proto_library(name = "{name}_cc_proto", deps = [":{name}_proto"])
"""

def _grpc_proto_impl(ctx):
    build = ['package(default_visibility = ["//visibility:public"])']
    for name, path in _PROTOS.items():
        if not ctx.path(_FOLDER + path).exists:
            fail("grpc-proto is not installed: run bazel/install")
        ctx.symlink(_FOLDER + path, path)
        build.append(_TARGETS.format(name = name, path = path))
    ctx.file("BUILD.bazel", "\n".join(build))

grpc_proto_repository = repository_rule(
    implementation = _grpc_proto_impl,
    configure = True,
    local = True,
)
