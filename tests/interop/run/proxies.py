"""nginx, HAProxy and Caddy in front of a server, each with an entrance in plain text and one over TLS.

Behind the first the proxy speaks plain text to the server, behind the second TLS.
"""

import contextlib
import os
import shutil

from processes import Background, free_port
from servers import Target

# After so many seconds without a byte nginx and HAProxy close a stream. Short, so that the tests are.
IDLE_SECONDS = 4

_NGINX = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 512; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  client_max_body_size 0;
  client_body_timeout {idle}s;
  grpc_read_timeout {idle}s;
  grpc_send_timeout {idle}s;
  server {{
    listen 127.0.0.1:{plain_port} http2;
    location / {{ grpc_pass grpc://{plain}; }}
  }}
  server {{
    listen 127.0.0.1:{tls_port} ssl http2;
    ssl_certificate {certificate};
    ssl_certificate_key {key};
    location / {{
      grpc_pass grpcs://{tls};
      grpc_ssl_trusted_certificate {ca};
      grpc_ssl_verify on;
      grpc_ssl_name localhost;
    }}
  }}
}}
"""

_HAPROXY = """
defaults
  mode http
  timeout connect 10s
  timeout client {idle}s
  timeout server {idle}s
frontend plain_front
  bind 127.0.0.1:{plain_port} proto h2
  default_backend plain_back
backend plain_back
  server one {plain} proto h2
frontend tls_front
  bind 127.0.0.1:{tls_port} ssl crt {both} alpn h2
  default_backend tls_back
backend tls_back
  server one {tls} ssl verify required ca-file {ca} verifyhost localhost alpn h2
"""

_CADDY = """
{{
  admin off
  auto_https off
  storage file_system {folder}/caddy
  servers {{
    protocols h1 h2 h2c
  }}
}}
http://:{plain_port} {{
  bind 127.0.0.1
  reverse_proxy h2c://{plain}
}}
https://:{tls_port} {{
  bind 127.0.0.1
  tls {certificate} {key}
  reverse_proxy https://{tls} {{
    transport http {{
      tls_trusted_ca_certs {ca}
      tls_server_name localhost
      versions 2
    }}
  }}
}}
"""


class Proxy:
    def __init__(self, name, config, command, cuts_idle_streams, without=None):
        self.name = name
        self._without = without or {}
        self._config = config
        self._command = command
        self.cuts_idle_streams = cuts_idle_streams

    def missing(self):
        return "" if self._program() else f"{self.name} is not installed"

    def _program(self):
        path = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))
        return shutil.which(self._command[0], path=path)

    @contextlib.contextmanager
    def in_front_of(self, targets, folder, certificates):
        """Targets that lead to `targets`, which are one in plain text and one over TLS."""
        plain, tls = targets
        folder = os.path.join(folder, f"{self.name}-{plain.port}")
        os.mkdir(folder)
        ports = {"plain_port": free_port(), "tls_port": free_port()}
        path = os.path.join(folder, "config")
        with open(path, "w", encoding="ascii") as file:
            file.write(
                self._config.format(
                    folder=folder,
                    idle=IDLE_SECONDS,
                    plain=plain.address,
                    tls=tls.address,
                    certificate=certificates.certificate,
                    key=certificates.key,
                    both=certificates.both,
                    ca=certificates.ca,
                    **ports,
                )
            )
        arguments = [argument.format(config=path, folder=folder) for argument in self._command[1:]]
        with Background(self.name, [self._program(), *arguments], {"HOME": folder}) as proxy:
            for port in ports.values():
                proxy.wait_for_port(port)
            yield (
                Target(f"plain through {self.name}", ports["plain_port"], without=self._without),
                Target(f"TLS through {self.name}", ports["tls_port"], certificates.ca, tls.token, self._without),
            )


PROXIES = (
    Proxy("nginx", _NGINX, ("nginx", "-p", "{folder}", "-c", "{config}"), cuts_idle_streams=True),
    # HAProxy 2.6 holds up all calls that share a connection while it cannot pass on what has come for one of them, until
    # its time-out ends that one. So it is with a stream that nobody reads; and with an upload whose answer is out, if
    # the client goes on with it, as grpc-js does. The others reset the call. With other servers it is no better.
    Proxy(
        "haproxy",
        _HAPROXY,
        ("haproxy", "-db", "-f", "{config}"),
        cuts_idle_streams=True,
        without={"": ("unread_stream",), "node": ("message_too_large",)},
    ),
    # Without a time-out for streams unless it is given one.
    Proxy("caddy", _CADDY, ("caddy", "run", "--adapter", "caddyfile", "--config", "{config}"), cuts_idle_streams=False),
)
