import http from "node:http";
import https from "node:https";
import type { Duplex } from "node:stream";
import { ApiError, endpoint, type Address, type Options } from "./transport.js";

/**
 * A connection that attach or exec took over: what is written is the
 * process's input, end() ends it, what is read is its output (see frames).
 */
export type Hijacked = Duplex;

function hijack(address: Address, path: string, body: unknown, options: Options): Promise<Hijacked> {
  return new Promise((resolve, reject) => {
    const data = body === undefined ? "" : JSON.stringify(body);
    const request = (options.tls ? https : http).request({
      ...options.tls,
      ...endpoint(address, options),
      path,
      method: "POST",
      headers: {
        Connection: "Upgrade",
        Upgrade: "tcp",
        "Content-Length": Buffer.byteLength(data),
        ...(data ? { "Content-Type": "application/json" } : {}),
      },
    } as https.RequestOptions);
    request.on("error", reject);
    request.on("upgrade", (_response, socket, head) => {
      if (head.length > 0) {
        socket.unshift(head);
      }
      resolve(socket);
    });
    request.on("response", (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (piece: string) => (text += piece));
      response.on("error", reject);
      response.on("aborted", () => reject(new Error("the connection ended in the middle of an answer")));
      response.on("end", () => reject(new ApiError(response.statusCode ?? 0, text.trim())));
    });
    request.end(data);
  });
}

/** Connects to a container's standard streams. The version is that of the API, for example 1.23. */
export function attach(
  address: Address,
  version: string,
  container: string,
  query: { logs?: boolean; stream?: boolean; stdin?: boolean; stdout?: boolean; stderr?: boolean; detachKeys?: string },
  options: Options = {},
): Promise<Hijacked> {
  const pairs = Object.entries(query)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => [key, String(value)] as [string, string]);
  const path = `/v${version}/containers/${encodeURIComponent(container)}/attach?${new URLSearchParams(pairs)}`;
  return hijack(address, path, undefined, options);
}

/** Starts an exec and connects to its streams. Tty is what the exec was created with. */
export function execStart(
  address: Address,
  version: string,
  id: string,
  config: { Tty?: boolean } = {},
  options: Options = {},
): Promise<Hijacked> {
  return hijack(address, `/v${version}/exec/${encodeURIComponent(id)}/start`, config, options);
}
