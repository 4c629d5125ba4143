"""What a scenario runs in: a gateway, a proxy in front of it, adapters. All of it ends with the scenario."""

import os

from adapter import Adapter
from gateway import Gateway
from processes import run_program
from proxy import Proxy

SCENARIOS = {}  # by name: (group, function)


def scenario(group):
    """Adds a scenario to the suite, under the function's name."""

    def add(function):
        SCENARIOS[function.__name__] = (group, function)
        return function

    return add


class World:
    def __init__(self, options, folder):
        self._options = options
        self.folder = folder
        self.gateway = None
        self.proxy = None
        self.control = None  # the C++ adapter, straight to the gateway, with all rights
        self._adapters = []
        self._adapter_count = 0

    def path(self, name):
        return os.path.join(self.folder, name)

    async def start(self, config=""):
        """The gateway and the proxy. To be called once, first."""
        self.gateway = Gateway(self._options.hookgated, self.folder, config)
        await self.gateway.start()
        self.proxy = Proxy(lambda: self.gateway.grpc)
        await self.proxy.start()

    async def empty_target(self):
        """HOST:PORT where nobody answers."""
        other = Proxy(lambda: None)
        await other.start()
        await other.close()
        return other.target

    async def restart(self):
        """Starts the gateway, which does not run, on the same folder."""
        await self.gateway.start()

    async def adapter(self, **connection):
        """A new process that drives the library, through the proxy."""
        return await self._start_adapter(self._options.adapter, {"target": self.proxy.target, **connection})

    async def _start_adapter(self, command, connection):
        self._adapter_count += 1
        adapter = Adapter(command, self.path(f"adapter_{self._adapter_count}.log"), connection)
        self._adapters.append(adapter)
        await adapter.start()
        return adapter

    async def call(self, method, request=None, **connection):
        """A call that is not the library's under test, straight to the gateway."""
        if self.control is None:
            self.control = await self._start_adapter([self._options.control], {})
        host, port = self.gateway.grpc
        return await self.control.call(method, request, connection={"target": f"{host}:{port}", **connection})

    async def create_subscription(self, name="work", start="EARLIEST", connection=None, **settings):
        await self.call(
            "SubscriptionService.CreateSubscription",
            {"name": name, "settings": settings, "start": {"startPosition": f"START_POSITION_{start}"}},
            **(connection or {}),
        )

    async def subscription(self, name="work"):
        return (await self.call("SubscriptionService.GetSubscription", {"name": name}))["subscription"]

    async def fate(self, sequence, name="work"):
        """What EventService.ExplainEvent tells of an event in a subscription."""
        explained = await self.call(
            "EventService.ExplainEvent", {"sequence": str(sequence), "subscriptions": [name]}
        )
        return explained["deliveries"][0]["delivery"]

    async def close(self):
        """Ends everything."""
        for adapter in self._adapters:
            await adapter.kill()
        if self.proxy is not None:
            await self.proxy.close()
        if self.gateway is not None:
            await self.gateway.kill()

    def logs(self):
        """What the processes have printed last, for somebody who looks for the reason of a failure."""
        parts = [(f"adapter {i + 1}", adapter.log()) for i, adapter in enumerate(self._adapters)]
        if self.gateway is not None:
            parts.append(("hookgated", self.gateway.log()))
        return "\n".join(f"--- {name}:\n{log[-1500:]}" for name, log in parts if log)


class Authority:
    """Signs certificates for 127.0.0.1."""

    def __init__(self, folder, name):
        self._folder = folder
        self._name = name
        self._key = os.path.join(folder, f"{name}.key")
        self.certificate = os.path.join(folder, f"{name}.pem")
        self._issued = 0

    async def create(self):
        await run_program(
            "openssl", "req", "-x509", *_NEW_KEY, "-keyout", self._key, "-out", self.certificate,
            "-days", "2", "-subj", f"/CN={self._name}",
        )  # fmt: skip

    async def issue(self, names="DNS:localhost,IP:127.0.0.1"):
        """Paths of a new certificate and its key."""
        self._issued += 1
        base = os.path.join(self._folder, f"{self._name}_{self._issued}")
        with open(base + ".names", "w", encoding="ascii") as file:
            file.write(f"subjectAltName={names}\n")
        await run_program(
            "openssl", "req", *_NEW_KEY, "-keyout", base + ".key", "-out", base + ".csr", "-subj", "/CN=test"
        )
        await run_program(
            "openssl", "x509", "-req", "-in", base + ".csr", "-CA", self.certificate, "-CAkey", self._key,
            "-CAcreateserial", "-days", "2", "-extfile", base + ".names", "-out", base + ".pem",
        )  # fmt: skip
        return base + ".pem", base + ".key"


_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
