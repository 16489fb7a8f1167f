import { Agent, fetch as undiciFetch } from "undici";
import type { ConnectionOptions } from "node:tls";

/** Where a daemon listens: unix://PATH or tcp://HOST[:PORT], 2375 or with TLS 2376 if no port is named. */
export type Address = string;

export interface Options {
  /** TLS towards a tcp:// address: ca, cert, key and so on. */
  tls?: ConnectionOptions;
}

/** The engine's answer to a request that it did not carry out: status is 304 where nothing had to be changed. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
    this.name = "ApiError";
  }
}

/** The parts of an address. */
export interface Endpoint {
  socketPath?: string;
  host?: string;
  port?: number;
}

export function endpoint(address: Address, options: Options): Endpoint {
  if (address.startsWith("unix://")) {
    return { socketPath: address.slice("unix://".length) };
  }
  if (!address.startsWith("tcp://")) {
    throw new TypeError(`${address}: unix:// and tcp:// are known`);
  }
  const url = new URL(address.replace("tcp://", "http://"));
  return { host: url.hostname.replace(/^\[|\]$/g, ""), port: Number(url.port || (options.tls ? 2376 : 2375)) };
}

function origin(address: Address, options: Options): string {
  const to = endpoint(address, options);
  if (to.socketPath !== undefined) {
    return "http://localhost";
  }
  const host = to.host!.includes(":") ? `[${to.host}]` : to.host;
  return `${options.tls ? "https" : "http"}://${host}:${to.port}`;
}

/** An object goes out as JSON; text, bytes, files and streams go out as they are. */
function content(input: unknown): unknown {
  const raw =
    typeof input !== "object" ||
    input instanceof Blob ||
    input instanceof ArrayBuffer ||
    ArrayBuffer.isView(input) ||
    input instanceof ReadableStream ||
    (input !== null && Symbol.asyncIterator in input);
  return raw ? input : JSON.stringify(input);
}

/**
 * What the constructor of a generated Api takes for a daemon at an address:
 *
 *     const api = new Api(configuration("unix:///run/berth.sock"));
 *
 * A promise of a failed request is rejected with an ApiError.
 */
export function configuration(address: Address, options: Options = {}): { customFetch: typeof fetch } {
  const { socketPath } = endpoint(address, options);
  // A stream may be silent for as long as it likes.
  const dispatcher = new Agent({
    bodyTimeout: 0,
    headersTimeout: 0,
    connect: socketPath !== undefined ? { socketPath } : (options.tls ?? {}),
  });
  const base = origin(address, options);
  const customFetch = async (path: string, request: Record<string, any>) => {
    const { body, headers } = request;
    const streamed = body !== null && typeof body === "object" && !ArrayBuffer.isView(body);
    const archive = body !== null && typeof body === "object";
    const response = await undiciFetch(base + path, {
      ...request,
      headers: { ...(archive ? { "Content-Type": "application/x-tar" } : {}), ...headers },
      ...(streamed ? { duplex: "half" } : {}),
      dispatcher,
    } as any);
    if (!response.ok) {
      throw new ApiError(response.status, (await response.text()).trim());
    }
    return response;
  };
  const plain = { "application/json": content, "text/plain": content };
  return { customFetch, contentFormatters: plain } as unknown as { customFetch: typeof fetch };
}
