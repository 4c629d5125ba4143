import { isIP } from "node:net";
import { UsageError } from "./errors.js";

const EXAMPLE = "HOST:PORT, such as 127.0.0.1:50051 or gateway.example:50051";

export interface Target {
  /** As it was given, for messages. */
  text: string;
  /** HOST:PORT. */
  authority: string;
  /** What the URL's scheme says of TLS; undefined for HOST:PORT. */
  tls: boolean | undefined;
  /** Whether a call to it stays on this machine, as far as its host tells by number or name. */
  loopback: boolean;
}

/** Reads HOST:PORT, http://HOST:PORT or https://HOST:PORT. */
export function parseTarget(text: string): Target {
  const wrong = (why: string) =>
      new UsageError(`the target ${JSON.stringify(text)} is not valid: ${why}; use ${EXAMPLE}`);
  if (text === "") throw wrong("it is empty");
  let rest = text;
  let tls: boolean | undefined;
  const scheme = /^(https?):\/\//i.exec(text);
  if (scheme !== null) {
    tls = scheme[1]?.toLowerCase() === "https";
    rest = text.slice(scheme[0].length).replace(/\/$/, "");
  }
  const parts = /^(\[[^\]]*\]|[^:]*):(\d+)$/.exec(rest);
  if (parts === null) throw wrong("it is not a host and a port");
  const host = parts[1] ?? "";
  const port = Number(parts[2]);
  if (host === '') throw wrong('it has no host');
  if (port < 1 || port > 65535) throw wrong("its port is not a number from 1 to 65535");
  const bare = host.startsWith("[") ? host.slice(1, -1) : host;
  if (host.startsWith('[') && isIP(bare) !== 6)
    throw wrong('the text in brackets is not an IPv6 address');
  if (!host.startsWith("[") && !/^[A-Za-z0-9._-]+$/.test(host)) {
    throw wrong("its host has characters that no host name has");
  }
  const loopback = host === "localhost" || bare === "::1" || (isIP(bare) === 4 && bare.startsWith("127."));
  return { text, authority: rest, tls, loopback };
}
