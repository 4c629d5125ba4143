"""Debian's libraries as Bazel targets.

The headers lie in /usr/include, which the configured C++ toolchain already searches, so that a
target carries link flags (and now and then a define), asked of pkg-config, and nothing else.
"""

def _ask_pkg_config(ctx, module):
    tool = ctx.which("pkg-config")
    if tool == None:
        fail("pkg-config is not installed: run bazel/install")
    result = ctx.execute([tool, "--cflags", "--libs", module])
    if result.return_code != 0:
        fail("the library %s is not installed: run bazel/install (%s)" % (module, result.stderr.strip()))
    return [flag for flag in result.stdout.replace("\n", " ").split(" ") if flag]

def _write_target(ctx, name, sources):
    linkopts = []
    defines = []
    for source in sources:
        # A literal "-lfoo" stands for a library without a pkg-config file.
        flags = [source] if source.startswith("-") else _ask_pkg_config(ctx, source)
        for flag in flags:
            if flag.startswith("-D"):
                defines.append(flag[len("-D"):])
            elif flag.startswith("-l") and flag not in linkopts:  # grpc++.pc repeats itself.
                linkopts.append(flag)
            elif flag.startswith("-Wl,") or flag == "-pthread":
                linkopts.append(flag)
    return "cc_library(name = %r, defines = %r, linkopts = %r)" % (name, defines, linkopts)

def _system_library_impl(ctx):
    packages = {"": []}
    for label, sources in ctx.attr.targets.items():
        package, name = label[len("//"):].split(":")
        packages.setdefault(package, []).append(_write_target(ctx, name, sources))
    for package, targets in packages.items():
        lines = ['package(default_visibility = ["//visibility:public"])'] + targets
        ctx.file((package + "/" if package else "") + "BUILD.bazel", "\n".join(lines) + "\n")

system_library = repository_rule(
    implementation = _system_library_impl,
    doc = "One repository whose targets stand for installed libraries.",
    attrs = {
        "targets": attr.string_list_dict(
            doc = "'//package:name' to pkg-config modules and literal -l flags",
            mandatory = True,
        ),
    },
    configure = True,
    environ = ["PKG_CONFIG_PATH", "PKG_CONFIG_LIBDIR"],
    local = True,
)
