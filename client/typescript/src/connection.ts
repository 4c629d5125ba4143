import { readFileSync } from "node:fs";
import type * as http2 from "node:http2";
import { Code, ConnectError, type Interceptor, type Transport } from "@connectrpc/connect";
import { createGrpcTransport, type GrpcTransportOptions, Http2SessionManager } from "@connectrpc/connect-node";
import { UsageError } from "./errors.js";
import { parseTarget } from "./target.js";
import { VERSION } from "./version.js";

/** Where the gateway is, how the connection is kept private, and by what the gateway knows who calls. */
export interface ConnectionOptions {
  /** The gateway's gRPC port: "HOST:PORT", or a URL, of which https:// asks for TLS. */
  target: string;
  /** TLS: the gateway's certificate must name the host of the target. Implied by the options below. */
  tls?: boolean;
  /** PEM file of those who may have signed it, read again for new calls. Default: those that Node trusts. */
  tlsCa?: string;
  /** PEM files of the client's own certificate and its key, read again for new calls. */
  tlsCertificate?: string;
  tlsKey?: string;
  /** The name that the gateway's certificate must have, rather than the host of the target. */
  tlsServerName?: string;
  /** Sent with each call. Without TLS it is for loopback addresses alone. */
  token?: string;
  /** A file with the token, read again for every call. */
  tokenFile?: string;
  /** Of @connectrpc/connect, around every call: for traces and metrics. */
  interceptors?: Interceptor[];
}

/**
 * An event of 64 MiB, the largest that a gateway can be configured to take, comes with its raw body and, if its type is
 * unknown, with the same bytes as text; what is left is for framing.
 */
const MAX_RECEIVED_BYTES = 256 << 20;

/** One gateway, over a connection that is made again whenever needed. */
export class Connection {
  readonly target: string;
  readonly transport: Transport;
  private readonly sessions: Sessions;

  constructor(private readonly options: ConnectionOptions) {
    const target = parseTarget(options.target);
    this.target = target.text;
    const named = [options.tlsCa, options.tlsCertificate, options.tlsKey, options.tlsServerName];
    const tls = options.tls ?? target.tls ?? named.some((option) => option !== undefined);
    if (!tls && (target.tls === true || named.some((option) => option !== undefined))) {
      throw new UsageError('certificates and https:// need TLS, which the option tls turns off');
    }
    if ((options.tlsCertificate === undefined) !== (options.tlsKey === undefined)) {
      throw new UsageError("a client certificate needs its key, and a key its certificate");
    }
    if (options.token !== undefined && options.tokenFile !== undefined) {
      throw new UsageError("token and tokenFile: give one of them");
    }
    if ((options.token !== undefined || options.tokenFile !== undefined) && !tls && !target.loopback) {
      throw new UsageError(
        `without TLS the token would travel to ${target.text} in the clear: use TLS, or a loopback address`,
      );
    }
    try {
      this.readToken();
      readTlsFiles(options);
    } catch (error) {
      throw new UsageError(error instanceof Error ? error.message : String(error), { cause: error });
    }
    const baseUrl = `${tls ? "https" : "http"}://${target.authority}`;
    this.sessions = new Sessions(baseUrl, options, tls);
    this.transport = createGrpcTransport({
      baseUrl,
      sessionManager: this.sessions,
      readMaxBytes: MAX_RECEIVED_BYTES,
      interceptors: [...(options.interceptors ?? []), this.addHeaders],
    });
  }

  /** The token as it is now; undefined if there is none. Throws if it cannot be had. */
  readToken(): string | undefined {
    const { token, tokenFile } = this.options;
    const text = tokenFile === undefined ? token : readFileSync(tokenFile, "utf8").trim();
    if (text !== undefined && !/^[\x21-\x7e]+$/.test(text)) {
      throw new Error(
        tokenFile === undefined ? "the token is empty, or has bytes that no token has" : `${tokenFile} holds no token`,
      );
    }
    return text;
  }

  /** As readToken; undefined if it cannot be had. */
  currentToken(): string | undefined {
    try {
      return this.readToken();
    } catch {
      return undefined;
    }
  }

  /** Whether a call that was refused with `token` would be made with another one now. */
  tokenChangedSince(token: string | undefined): boolean {
    const now = this.currentToken();
    return now !== undefined && now !== token;
  }

  close(): void {
    this.sessions.close();
  }

  private readonly addHeaders: Interceptor = (next) => (request) => {
    request.header.set("user-agent", `hookgate-node/${VERSION}`);
    let token: string | undefined;
    try {
      token = this.readToken();
    } catch (error) {
      throw new ConnectError(error instanceof Error ? error.message : String(error), Code.Unauthenticated);
    }
    if (token !== undefined) request.header.set("authorization", `Bearer ${token}`);
    return next(request);
  };
}

function readTlsFiles(options: ConnectionOptions): http2.SecureClientSessionOptions {
  return {
    ...(options.tlsCa === undefined ? {} : { ca: readFileSync(options.tlsCa, "utf8") }),
    ...(options.tlsCertificate === undefined ? {} : { cert: readFileSync(options.tlsCertificate, "utf8") }),
    ...(options.tlsKey === undefined ? {} : { key: readFileSync(options.tlsKey, "utf8") }),
    ...(options.tlsServerName === undefined ? {} : { servername: options.tlsServerName }),
  };
}

/** Makes connections with the certificates that are in the files when it does. */
class Sessions implements NonNullable<GrpcTransportOptions["sessionManager"]> {
  readonly authority: string;
  private current: Http2SessionManager | undefined;
  private currentKey = "";
  private readonly old = new Set<Http2SessionManager>();
  private closed = false;

  constructor(
    private readonly baseUrl: string,
    private readonly options: ConnectionOptions,
    private readonly tls: boolean,
  ) {
    this.authority = new URL(baseUrl).origin;
  }

  async request(
    method: string,
    path: string,
    headers: http2.OutgoingHttpHeaders,
    options: Omit<http2.ClientSessionRequestOptions, "signal">,
  ): Promise<http2.ClientHttp2Stream> {
    return this.manager().request(method, path, headers, options);
  }

  notifyResponseByteRead(stream: http2.ClientHttp2Stream): void {
    this.current?.notifyResponseByteRead(stream);
  }

  close(): void {
    this.closed = true;
    for (const manager of [...this.old, ...(this.current === undefined ? [] : [this.current])]) {
      manager.abort(new ConnectError("the client was closed", Code.Canceled));
    }
  }

  private manager(): Http2SessionManager {
    if (this.closed) throw new ConnectError("the client was closed", Code.Canceled);
    const files = this.tls ? readTlsFiles(this.options) : {};
    const key = JSON.stringify(files);
    if (this.current === undefined || key !== this.currentKey) {
      // Streams that are open stay on the connection that they have.
      for (const manager of this.old) if (["closed", "idle", "error"].includes(manager.state())) this.old.delete(manager);
      if (this.current !== undefined) this.old.add(this.current);
      this.current = new Http2SessionManager(
        this.baseUrl,
        // Finds a vanished peer below the calls.
        { pingIntervalMs: 30_000, pingTimeoutMs: 10_000, connectTimeoutMs: 10_000 },
        // A stream that is read as fast as it can be is not to wait for the window of 64 KiB that is HTTP/2's default.
        { ...files, settings: { initialWindowSize: 1 << 20 } },
      );
      this.currentKey = key;
    }
    return this.current;
  }
}
