"""Says what is inside the release binaries: an SPDX document, and the licences of the libraries.

Which libraries those are is read from the linker's own command lines, and of which Debian package and version each
file is, from dpkg.
"""

import argparse
import datetime
import hashlib
import json
import os
import re
import subprocess

# By the name of Debian's source package, with the number of a version cut off its end.
LICENCES = {
    "abseil": "Apache-2.0",
    "boost": "BSL-1.0",
    "c-ares": "MIT",
    "fmtlib": "MIT",
    "gcc-": "GPL-3.0-or-later WITH GCC-exception-3.1",
    "glibc": "LGPL-2.1-or-later",
    "google-perftools": "BSD-3-Clause",
    "grpc": "Apache-2.0",
    "nghttp": "MIT",
    "openssl": "Apache-2.0",
    "protobuf": "BSD-3-Clause",
    "re": "BSD-3-Clause",
    "spdlog": "MIT",
    "sqlite": "blessing",
    "zlib": "Zlib",
}
# What is compiled from headers alone, by a file of it; Abseil's and gRPC's come with their libraries.
HEADERS = ["/usr/include/boost/version.hpp", "/usr/include/fmt/core.h", "/usr/include/spdlog/spdlog.h"]


def run(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def folders():
    multiarch = run("gcc", "-print-multiarch").strip()
    return ["/usr/lib/" + multiarch, os.path.dirname(run("gcc", "-print-libgcc-file-name").strip())]


def static_libraries(params):
    """The paths of the static libraries that a linker's command line names."""
    with open(params, encoding="utf-8") as file:
        names = set(re.findall(r"^-l:(lib\S+\.a)$", file.read(), re.MULTILINE))
    names |= {"libgcc.a", "libgcc_eh.a"}  # -static-libgcc
    paths = []
    places = folders()
    for name in sorted(names):
        found = [f"{folder}/{name}" for folder in places if os.path.exists(f"{folder}/{name}")]
        if not found:
            raise SystemExit(f"sbom.py: {name} is nowhere in {places}")
        paths.append(found[0])
    return paths


def shared_libraries(binary):
    """The paths of what the loader brings in: the C library's files."""
    return sorted(set(re.findall(r"(/\S+\.so\S*)", run("ldd", binary))))


def packages_of(paths):
    """Name, version and source of the Debian package that each of `paths` is a file of, by path."""
    # What ldd and gcc say may lead through the links by which /lib is /usr/lib.
    candidates = {path: (path, os.path.realpath(path), path.removeprefix("/usr"), "/usr" + path) for path in paths}
    # dpkg reads all its lists of files for each call, so it is asked once. It fails where it does not know one of them.
    found = subprocess.run(["dpkg-query", "--search", *sorted({c for many in candidates.values() for c in many})],
                           stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False).stdout
    name_of = {}
    for names, path in (line.split(": ", 1) for line in found.splitlines() if not line.startswith("diversion by ")):
        name_of[path] = names.split(", ")[0]
    names = {}
    for path, many in candidates.items():
        known = [name_of[candidate] for candidate in many if candidate in name_of]
        if not known:
            raise SystemExit(f"sbom.py: {path} is a file of no package")
        names[path] = known[0]
    shown = run("dpkg-query", "--show", "--showformat=${binary:Package}\t${Package}\t${Version}\t${source:Package}\t"
                "${source:Version}\t${Architecture}\n", *sorted(set(names.values())))
    fields_of = {fields[0]: tuple(fields[1:]) for fields in (line.split("\t") for line in shown.splitlines())}
    return {path: fields_of[name] for path, name in names.items()}


def licence(source):
    return LICENCES.get(re.sub(r"[0-9.]+$", "", source), "NOASSERTION")


def checksums(path):
    with open(path, "rb") as file:
        content = file.read()
    return {"SHA1": hashlib.sha1(content).hexdigest(), "SHA256": hashlib.sha256(content).hexdigest()}


def spdx_package(package):
    name, version, source, source_version, architecture = package
    return {
        "SPDXID": "SPDXRef-Package-" + re.sub(r"[^A-Za-z0-9.-]", "-", name),
        "name": name,
        "versionInfo": version,
        "supplier": "Organization: Debian",
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False,
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": licence(source),
        "copyrightText": "NOASSERTION",
        "sourceInfo": f"built by Debian of its source package {source} {source_version}",
        "externalRefs": [{
            "referenceCategory": "PACKAGE-MANAGER",
            "referenceType": "purl",
            "referenceLocator": f"pkg:deb/debian/{name}@{version}?arch={architecture}",
        }],
    }


def document(arguments, linked, shared):
    """linked: binary path -> Debian packages inside it; shared: the same for those that it loads."""
    binaries = sorted(linked)
    hashes = {binary: checksums(binary) for binary in binaries}
    created = datetime.datetime.fromtimestamp(arguments.epoch, datetime.timezone.utc)
    packages = {p[0]: p for many in (*linked.values(), *shared.values()) for p in many}
    relations = [("SPDXRef-DOCUMENT", "DESCRIBES", "SPDXRef-Package-hookgate")]
    files = []
    for binary in binaries:
        file_id = "SPDXRef-File-" + os.path.basename(binary)
        files.append({
            "SPDXID": file_id,
            "fileName": "./bin/" + os.path.basename(binary),
            "fileTypes": ["BINARY"],
            "licenseInfoInFiles": ["NOASSERTION"],
            "checksums": [{"algorithm": a, "checksumValue": v} for a, v in sorted(hashes[binary].items())],
            "licenseConcluded": "NOASSERTION",
            "copyrightText": "NOASSERTION",
        })
        relations.append(("SPDXRef-Package-hookgate", "CONTAINS", file_id))
        for kind, many in (("STATIC_LINK", linked[binary]), ("DYNAMIC_LINK", shared[binary])):
            relations += [(file_id, kind, spdx_package(p)["SPDXID"]) for p in many]
    # As the specification has it (7.9).
    code = hashlib.sha1("".join(sorted(hashes[b]["SHA1"] for b in binaries)).encode()).hexdigest()
    # The container image holds its certificates, too.
    (authorities,) = packages_of(["/usr/share/doc/ca-certificates/copyright"]).values()
    packages[authorities[0]] = authorities
    relations.append((spdx_package(authorities)["SPDXID"], "OPTIONAL_COMPONENT_OF", "SPDXRef-Package-hookgate"))
    return {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": f"hookgate-{arguments.version}",
        "documentNamespace": f"https://hookgate.invalid/spdx/hookgate-{arguments.version}-{code}",
        "creationInfo": {
            "created": created.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "creators": ["Tool: hookgate bazel/package"],
        },
        "packages": [{
            "SPDXID": "SPDXRef-Package-hookgate",
            "name": "hookgate",
            "versionInfo": arguments.version,
            "downloadLocation": "NOASSERTION",
            "filesAnalyzed": True,
            "packageVerificationCode": {"packageVerificationCodeValue": code},
            "licenseConcluded": "Apache-2.0",
            "licenseInfoFromFiles": ["NOASSERTION"],
            "licenseDeclared": "Apache-2.0",
            "copyrightText": "NOASSERTION",
        }] + [spdx_package(packages[name]) for name in sorted(packages)],
        "files": files,
        "relationships": [
            {"spdxElementId": one, "relationshipType": kind, "relatedSpdxElement": other}
            for one, kind, other in relations
        ],
    }


def licence_texts(packages):
    text = "The binaries hookgated and hookgate hold these libraries of Debian, under these licences.\n"
    for name, version, *_ in sorted(packages):
        with open(f"/usr/share/doc/{name}/copyright", encoding="utf-8") as file:
            text += f"\n{'=' * 100}\n{name} {version}\n{'=' * 100}\n\n{file.read()}"
    return text


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--version", required=True)
    parser.add_argument("--epoch", type=int, required=True, help="the time that the document says, in seconds")
    parser.add_argument("--spdx", required=True, help="where the document goes")
    parser.add_argument("--licences", required=True, help="where the licences go")
    parser.add_argument("binaries", nargs="+", metavar="BINARY=PARAMS", help="PARAMS is its linker's command line")
    arguments = parser.parse_args()
    linked = {}
    shared = {}
    for pair in arguments.binaries:
        binary, params = pair.split("=")
        linked[binary] = sorted(set(packages_of(static_libraries(params) + HEADERS).values()))
        shared[binary] = sorted(set(packages_of(shared_libraries(binary)).values()))
    with open(arguments.spdx, "w", encoding="utf-8") as file:
        json.dump(document(arguments, linked, shared), file, indent=2)
        file.write("\n")
    with open(arguments.licences, "w", encoding="utf-8") as file:
        file.write(licence_texts({p for many in linked.values() for p in many}))


if __name__ == "__main__":
    main()
