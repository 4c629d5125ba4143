"""A TCP proxy between a client and the gateway that does to connections what networks do."""

import asyncio
import contextlib
import socket
import struct


class Proxy:
    """Listens on a port of its own, for as long as the scenario runs, and leads to wherever the gateway is now."""

    def __init__(self, find_target):
        self._find_target = find_target  # -> (host, port), or None: nobody is there
        self._server = None
        self._connections = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self.delay = 0.0  # seconds that each piece of data waits
        self.rewrite = None  # bytes -> bytes of the same length: what it makes of each piece from the gateway
        self.refusing = False  # connections are closed at once
        self.target = None  # HOST:PORT for a client
        self.accepted = 0  # connections that led to a gateway

    async def start(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()
        self.target = f"{host}:{port}"

    async def close(self):
        self._server.close()
        self.cut()

    def cut(self):
        """Resets every connection."""
        for connection in list(self._connections):
            connection.cut()

    def half_close(self):
        """Ends every connection in the direction from the gateway to the client alone."""
        for connection in list(self._connections):
            connection.half_close()

    def stall(self):
        """From here on nothing comes through, and nothing is closed."""
        self._flowing.clear()

    def flow(self):
        self._flowing.set()

    async def pass_on(self, data, writer):
        if self.delay:
            await asyncio.sleep(self.delay)
        await self._flowing.wait()
        writer.write(data)
        await writer.drain()

    async def _serve(self, reader, writer):
        target = None if self.refusing else self._find_target()
        if target is None:
            _reset(writer)
            return
        try:
            upstream = await asyncio.open_connection(*target)
        except OSError:
            _reset(writer)
            return
        self.accepted += 1
        connection = _Connection(self, (reader, writer), upstream)
        self._connections.add(connection)
        try:
            await connection.run()
        finally:
            self._connections.discard(connection)


class _Connection:
    def __init__(self, proxy, client, gateway):
        self._proxy = proxy
        self._client_reader, self._client_writer = client
        self._gateway_reader, self._gateway_writer = gateway
        self._half_closed = False

    async def run(self):
        to_gateway = asyncio.ensure_future(self._pump(self._client_reader, self._gateway_writer))
        to_client = asyncio.ensure_future(self._pump(self._gateway_reader, self._client_writer))
        try:
            await asyncio.gather(to_gateway, to_client)
        finally:
            to_gateway.cancel()
            to_client.cancel()
            self.cut()

    async def _pump(self, reader, writer):
        with contextlib.suppress(OSError):
            while True:
                data = await reader.read(1 << 16)
                if not data:
                    break
                if self._half_closed and writer is self._client_writer:
                    continue
                if self._proxy.rewrite is not None and writer is self._client_writer:
                    data = self._proxy.rewrite(data)
                await self._proxy.pass_on(data, writer)
            writer.write_eof()
            return
        self.cut()

    def half_close(self):
        self._half_closed = True
        self._client_writer.write_eof()

    def cut(self):
        _reset(self._client_writer)
        _reset(self._gateway_writer)


def _reset(writer):
    """Closes with a reset instead of an end."""
    opened = writer.get_extra_info("socket")
    if opened is not None:
        with contextlib.suppress(OSError):
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
