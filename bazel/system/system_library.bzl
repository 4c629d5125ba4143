"""Debian's libraries as Bazel targets.

The headers lie in /usr/include, which the configured C++ toolchain already searches, so that a
target carries link flags (and now and then a define), asked of pkg-config, and nothing else.
"""

# What stays shared in --config=release, too: Debian mends it without a new build of ours, and every
# machine has it or gets it with one small package.
_ALWAYS_SHARED = ["atomic", "crypto", "dl", "m", "nghttp2", "pthread", "rt", "sqlite3", "ssl", "tcmalloc_minimal", "z"]

def _ask_pkg_config(ctx, module, static):
    tool = ctx.which("pkg-config")
    if tool == None:
        fail("pkg-config is not installed: run bazel/install")
    result = ctx.execute([tool, "--cflags", "--libs"] + (["--static"] if static else []) + [module])
    if result.return_code != 0:
        fail("the library %s is not installed: run bazel/install (%s)" % (module, result.stderr.strip()))
    return [flag for flag in result.stdout.replace("\n", " ").split(" ") if flag]

def library_folder(ctx):
    """Where Debian keeps the libraries of this machine's kind."""
    result = ctx.execute([ctx.which("gcc") or "gcc", "-print-multiarch"])
    return "/usr/lib/" + result.stdout.strip()

def static_linkopt(ctx, folder, flag):
    """-lfoo as the static library foo, if there is one and foo is not always shared.

    Args:
      ctx: of a repository rule.
      folder: where libraries lie: library_folder(ctx).
      flag: "-lfoo".

    Returns:
      "-l:libfoo.a", or `flag` as it is.
    """
    name = flag[len("-l"):]
    if name in _ALWAYS_SHARED or not ctx.path("%s/lib%s.a" % (folder, name)).exists:
        return flag
    return "-l:lib%s.a" % name

def linkopts_select(shared, static):
    """The text of a linkopts attribute that is `static` in --config=release, `shared` otherwise."""
    return "select({'@hookgate//bazel:static_libraries': %r, '//conditions:default': %r})" % (static, shared)

def _flags_of(ctx, sources, static):
    linkopts = []
    defines = []
    for source in sources:
        # A literal "-lfoo" stands for a library without a pkg-config file.
        flags = [source] if source.startswith("-") else _ask_pkg_config(ctx, source, static)
        for flag in flags:
            if flag.startswith("-D"):
                defines.append(flag[len("-D"):])
            elif flag.startswith("-l") and flag not in linkopts:  # grpc++.pc repeats itself.
                linkopts.append(flag)
            elif flag.startswith("-Wl,") or flag == "-pthread":
                linkopts.append(flag)
    return struct(defines = defines, linkopts = linkopts)

def _write_target(ctx, folder, name, sources):
    shared = _flags_of(ctx, sources, static = False)
    static = [
        static_linkopt(ctx, folder, flag) if flag.startswith("-l") else flag
        for flag in _flags_of(ctx, sources, static = True).linkopts
    ]
    return "cc_library(name = %r, defines = %r, linkopts = %s)" % (
        name,
        shared.defines,
        linkopts_select(shared.linkopts, static),
    )

def _system_library_impl(ctx):
    folder = library_folder(ctx)
    packages = {"": []}
    for label, sources in ctx.attr.targets.items():
        package, name = label[len("//"):].split(":")
        packages.setdefault(package, []).append(_write_target(ctx, folder, name, sources))
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
