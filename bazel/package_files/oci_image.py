"""Makes a container image of the release binaries, as one tar file, without Docker.

The file is an OCI image layout (oci-layout, index.json, blobs/), which skopeo and podman read, and has beside it the
manifest.json that `docker load` reads. The image has one layer: the binaries, the C library's files that they load,
certificates of public authorities, and the user that hookgated runs as. There is no shell in it.
"""

import argparse
import datetime
import gzip
import hashlib
import io
import json
import os
import re
import subprocess
import tarfile

USER = 65532
DATA_DIR = "var/lib/hookgate"


def shared_libraries(binary):
    """What the loader brings in: path in the image -> file of this machine."""
    text = subprocess.run(["ldd", binary], check=True, stdout=subprocess.PIPE, text=True).stdout
    return {path.lstrip("/"): os.path.realpath(path) for path in re.findall(r"(/\S+\.so\S*)", text)}


class Layer:
    """A tar whose bytes depend on what is added alone: everything has one time, and names come in order."""

    def __init__(self, epoch):
        self._epoch = epoch
        self._entries = {}

    def add_folder(self, name, mode=0o755, owner=0):
        parent = os.path.dirname(name)
        if parent and parent not in self._entries:
            self.add_folder(parent)
        self._add(name, tarfile.DIRTYPE, mode, owner, b"")

    def add_file(self, name, content, mode=0o644):
        if os.path.dirname(name) not in self._entries:
            self.add_folder(os.path.dirname(name))
        self._add(name, tarfile.REGTYPE, mode, 0, content)

    def _add(self, name, kind, mode, owner, content):
        info = tarfile.TarInfo(name)
        info.type = kind
        info.mode = mode
        info.uid = info.gid = owner
        info.size = len(content)
        info.mtime = self._epoch
        self._entries[name] = (info, content)

    def to_bytes(self):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
            for name in sorted(self._entries):
                info, content = self._entries[name]
                tar.addfile(info, io.BytesIO(content))
        return out.getvalue()


def read(path):
    with open(path, "rb") as file:
        return file.read()


def make_layer(arguments):
    layer = Layer(arguments.epoch)
    for binary in arguments.binaries:
        layer.add_file("usr/bin/" + os.path.basename(binary), read(binary), 0o755)
        for name, path in shared_libraries(binary).items():
            layer.add_file(name, read(path), 0o755)
    for document in arguments.documents:
        layer.add_file("usr/share/doc/hookgate/" + os.path.basename(document), read(document))
    layer.add_file("etc/passwd", f"root:x:0:0:root:/root:/sbin/nologin\n"
                   f"hookgate:x:{USER}:{USER}:Hookgate gateway:/{DATA_DIR}:/sbin/nologin\n".encode())
    layer.add_file("etc/group", f"root:x:0:\nhookgate:x:{USER}:\n".encode())
    layer.add_file("etc/nsswitch.conf", b"passwd: files\ngroup: files\nhosts: files dns\n")
    layer.add_file("etc/ssl/certs/ca-certificates.crt", read("/etc/ssl/certs/ca-certificates.crt"))
    layer.add_folder("tmp", 0o1777)
    layer.add_folder(DATA_DIR, 0o700, USER)
    return layer.to_bytes()


def to_json(value):
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()


class Image:
    """The files of the layout, by name; blobs by the hash of what is in them."""

    def __init__(self):
        self.files = {}

    def add_blob(self, content):
        digest = hashlib.sha256(content).hexdigest()
        self.files["blobs/sha256/" + digest] = content
        return digest

    def add_described_blob(self, media_type, content):
        return {"mediaType": media_type, "digest": "sha256:" + self.add_blob(content), "size": len(content)}


def make_config(arguments, layer):
    created = datetime.datetime.fromtimestamp(arguments.epoch, datetime.timezone.utc)
    time = created.strftime("%Y-%m-%dT%H:%M:%SZ")
    second = 1_000_000_000  # in nanoseconds
    return {
        "architecture": "amd64",
        "os": "linux",
        "created": time,
        "config": {
            "User": f"{USER}:{USER}",
            "Env": ["PATH=/usr/bin"],
            "Entrypoint": ["/usr/bin/hookgated"],
            # Loopback is the container's own; gRPC stays there until there are TLS and principals, in a config.
            "Cmd": ["--http_address=0.0.0.0:8080", "--admin_address=0.0.0.0:9090", "--data_dir=/" + DATA_DIR],
            "ExposedPorts": {"8080/tcp": {}, "9090/tcp": {}, "50051/tcp": {}},
            "Volumes": {"/" + DATA_DIR: {}},
            "WorkingDir": "/",
            "StopSignal": "SIGTERM",
            "Healthcheck": {
                "Test": ["CMD", "/usr/bin/hookgate", "ready"],
                "Interval": 10 * second,
                "Timeout": 6 * second,
                "StartPeriod": 60 * second,
                "Retries": 3,
            },
            "Labels": {
                "org.opencontainers.image.title": "hookgate",
                "org.opencontainers.image.description": "Stores signed webhooks and streams them over gRPC",
                "org.opencontainers.image.version": arguments.version,
                "org.opencontainers.image.revision": arguments.revision,
                "org.opencontainers.image.licenses": "Apache-2.0",
                "org.opencontainers.image.created": time,
            },
        },
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]},
        "history": [{"created": time, "created_by": "bazel/package"}],
    }


def write_image(image, path, epoch):
    with tarfile.open(path, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name in sorted(image.files):
            info = tarfile.TarInfo(name)
            info.size = len(image.files[name])
            info.mode = 0o644
            info.mtime = epoch
            tar.addfile(info, io.BytesIO(image.files[name]))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--version", required=True)
    parser.add_argument("--revision", default="", help="the commit")
    parser.add_argument("--epoch", type=int, required=True, help="the time of everything in it, in seconds")
    parser.add_argument("--tag", required=True, help="the name and tag under which it is loaded")
    parser.add_argument("--output", required=True)
    parser.add_argument("--document", dest="documents", action="append", default=[], help="goes into /usr/share/doc")
    parser.add_argument("binaries", nargs="+")
    arguments = parser.parse_args()

    layer = make_layer(arguments)
    image = Image()
    config = image.add_described_blob("application/vnd.oci.image.config.v1+json",
                                      to_json(make_config(arguments, layer)))
    packed = image.add_described_blob("application/vnd.oci.image.layer.v1.tar+gzip", gzip.compress(layer, mtime=0))
    manifest = image.add_described_blob("application/vnd.oci.image.manifest.v1+json", to_json({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": config,
        "layers": [packed],
    }))
    manifest["platform"] = {"architecture": "amd64", "os": "linux"}
    manifest["annotations"] = {"org.opencontainers.image.ref.name": arguments.version}
    image.files["oci-layout"] = to_json({"imageLayoutVersion": "1.0.0"})
    image.files["index.json"] = to_json({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [manifest],
    })
    in_docker = [{
        "Config": "blobs/sha256/" + config["digest"].removeprefix("sha256:"),
        "RepoTags": [arguments.tag],
        "Layers": ["blobs/sha256/" + packed["digest"].removeprefix("sha256:")],
    }]
    image.files["manifest.json"] = to_json(in_docker)
    write_image(image, arguments.output, arguments.epoch)


if __name__ == "__main__":
    main()
