"""What bazel/interop --install has installed, and where it is."""

import os
import shutil

from processes import Failure, run


class Tools:
    def __init__(self, folder, python, workspace, scratch):
        self._folder = folder
        self._workspace = workspace
        self._stubs = os.path.join(scratch, "stubs")
        self._python = python
        self.python = os.path.join(python, "bin/python")

    def path(self, name):
        return os.path.join(self._folder, name)

    def source(self, name):
        return os.path.join(self._workspace, "tests/interop", name)

    def program(self, name):
        """Its path; "" if it is not there."""
        installed = self.path(os.path.join("bin", name))
        return installed if os.access(installed, os.X_OK) else shutil.which(name) or ""

    def missing(self, name):
        return "" if self.program(name) else f"{name} is not installed"

    def python_missing(self):
        return "" if os.path.exists(os.path.join(self._python, "complete")) else "Python's grpcio is not installed"

    def python_environment(self):
        """With the stubs of the interoperability service and of the gateway's API, made when first asked for."""
        if not os.path.isdir(self._stubs):
            os.mkdir(self._stubs)
            protos = ["tests/interop/test.proto", "google/rpc/status.proto", "google/rpc/error_details.proto"]
            for folder in ("hookgate/v1", "hookgate/openai/v1", "hookgate/schema/v1"):
                names = os.listdir(os.path.join(self._workspace, "proto", folder))
                protos += [os.path.join(folder, name) for name in names if name.endswith(".proto")]
            includes = [f"-I{self._workspace}", f"-I{self._workspace}/proto"]
            outputs = [f"--python_out={self._stubs}", f"--grpc_python_out={self._stubs}"]
            compiler = [self.python, "-m", "grpc_tools.protoc", *includes, *outputs]
            code, output = run([*compiler, *protos], 120)
            if code != 0:
                raise Failure(f"protoc failed:\n{output}")
        return {"PYTHONPATH": self._stubs, "PYTHONDONTWRITEBYTECODE": "1"}
