"""Looks whether an image layout is what its hashes say, and unpacks its layer, as a container runtime does.

  oci_image_test.py LAYOUT FOLDER

makes FOLDER/rootfs of the layer, and the files command, health and environment, of words that each end with a 0 byte.
"""

import gzip
import hashlib
import io
import json
import os
import sys
import tarfile


def blob(layout, digest):
    kind, name = digest.split(":")
    assert kind == "sha256", digest
    with open(f"{layout}/blobs/sha256/{name}", "rb") as file:
        content = file.read()
    assert hashlib.sha256(content).hexdigest() == name, f"blob {name} is not what its name says"
    return content


def load(layout, name):
    with open(f"{layout}/{name}", encoding="utf-8") as file:
        return json.load(file)


def described(layout, descriptor):
    content = blob(layout, descriptor["digest"])
    assert len(content) == descriptor["size"], descriptor
    return content


def check_layer(layer):
    """Nothing in it can become root or be changed by the user that it runs as, but its folder and /tmp."""
    with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
        for member in tar:
            assert member.isfile() or member.isdir(), f"{member.name} is neither a file nor a folder"
            assert not member.name.startswith("/") and ".." not in member.name.split("/"), member.name
            assert member.mode & 0o6000 == 0, f"{member.name} is set-user-id"
            if member.name not in ("tmp", "var/lib/hookgate"):
                assert member.uid == 0 and member.mode & 0o022 == 0, f"{member.name} can be changed"


def write_words(path, words):
    with open(path, "w", encoding="utf-8") as file:
        file.write("".join(word + "\0" for word in words))


def main():
    layout, folder = sys.argv[1:]
    assert load(layout, "oci-layout") == {"imageLayoutVersion": "1.0.0"}
    (descriptor,) = load(layout, "index.json")["manifests"]
    manifest = json.loads(described(layout, descriptor))
    config = json.loads(described(layout, manifest["config"]))
    (packed,) = [described(layout, layer) for layer in manifest["layers"]]
    layer = gzip.decompress(packed)
    assert config["rootfs"]["diff_ids"] == ["sha256:" + hashlib.sha256(layer).hexdigest()]
    # What `docker load` reads is the same image.
    (docker,) = load(layout, "manifest.json")
    assert docker["Config"].endswith(manifest["config"]["digest"].split(":")[1])
    assert [name.split("/")[-1] for name in docker["Layers"]] == [manifest["layers"][0]["digest"].split(":")[1]]
    check_layer(layer)
    assert config["config"]["User"] == "65532:65532"
    with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
        tar.extractall(os.path.join(folder, "rootfs"), numeric_owner=True)
    run = config["config"]
    write_words(os.path.join(folder, "command"), run["Entrypoint"] + run["Cmd"])
    assert run["Healthcheck"]["Test"][0] == "CMD"
    write_words(os.path.join(folder, "health"), run["Healthcheck"]["Test"][1:])
    write_words(os.path.join(folder, "environment"), run["Env"])


if __name__ == "__main__":
    main()
