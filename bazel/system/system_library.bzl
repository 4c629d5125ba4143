"""Debian's libraries as Bazel targets.

The headers lie in /usr/include, which the configured C++ toolchain already searches, so that a
target carries link flags (and now and then a define), asked of pkg-config, and nothing else.
"""

# Parts of glibc, which stays shared in --config=release, too: every machine has one, and a name is looked up by the
# modules of the machine that runs the binary (nsswitch.conf). docs/release.md says how each library is linked.
_ALWAYS_SHARED = ["dl", "m", "pthread", "rt"]

# Debian has no static library of these, but they can be compiled from their headers alone: then nothing is linked.
# //server/base:logging, which alone includes them, asks for that.
_FROM_HEADERS = ["fmt", "spdlog"]

def _ask_pkg_config(ctx, module, static):
    tool = ctx.which("pkg-config")
    if tool == None:
        fail("pkg-config is not installed: run bazel/install")
    result = ctx.execute([tool, "--cflags", "--libs"] + (["--static"] if static else []) + [module])
    if result.return_code != 0:
        fail("the library %s is not installed: run bazel/install (%s)" % (module, result.stderr.strip()))
    return [flag for flag in result.stdout.replace("\n", " ").split(" ") if flag]

def library_folders(ctx):
    """Where Debian keeps the libraries of this machine's kind, and where the compiler keeps its own."""
    gcc = ctx.which("gcc") or "gcc"
    multiarch = ctx.execute([gcc, "-print-multiarch"]).stdout.strip()
    own = ctx.execute([gcc, "-print-libgcc-file-name"]).stdout.strip()
    return ["/usr/lib/" + multiarch, own.rpartition("/")[0]]

def static_linkopts(ctx, folders, flags):
    """Each -lfoo as the static library foo.

    Args:
      ctx: of a repository rule.
      folders: where libraries lie: library_folders(ctx).
      flags: linker flags; those that do not begin with -l stay as they are.

    Returns:
      The flags, with "-l:libfoo.a" for "-lfoo". What is part of glibc stays; what is compiled from its headers is
      left out. Without a static library foo, "-lfoo" stays as well, and bazel/package says that it did.
    """
    result = []
    for flag in flags:
        name = flag[len("-l"):]
        if not flag.startswith("-l") or name in _ALWAYS_SHARED:
            result.append(flag)
        elif name in _FROM_HEADERS:
            continue
        elif any([ctx.path("%s/lib%s.a" % (folder, name)).exists for folder in folders]):
            result.append("-l:lib%s.a" % name)
        else:
            result.append(flag)
    return result

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

def _write_target(ctx, folders, name, sources):
    shared = _flags_of(ctx, sources, static = False)
    static = static_linkopts(ctx, folders, _flags_of(ctx, sources, static = True).linkopts)
    return "cc_library(name = %r, defines = %r, linkopts = %s)" % (
        name,
        shared.defines,
        linkopts_select(shared.linkopts, static),
    )

def _system_library_impl(ctx):
    folders = library_folders(ctx)
    packages = {"": []}
    for label, sources in ctx.attr.targets.items():
        package, name = label[len("//"):].split(":")
        packages.setdefault(package, []).append(_write_target(ctx, folders, name, sources))
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
