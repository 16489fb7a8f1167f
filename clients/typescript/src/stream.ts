/** A piece of the output of a process without a terminal. */
export interface Frame {
  stream: "stdin" | "stdout" | "stderr";
  data: Buffer;
}

const names = ["stdin", "stdout", "stderr"] as const;

type Pieces = AsyncIterable<Uint8Array>;

/** A body as it comes: of an answer of the generated client, or of a hijacked connection. */
function pieces(from: Response | Pieces): Pieces {
  if (Symbol.asyncIterator in from) {
    return from;
  }
  if (from.body === null) {
    throw new TypeError("the answer has no body");
  }
  return from.body as unknown as Pieces;
}

/** Gives the frames of a log, an attach or an exec of a process without a terminal. */
export async function* frames(from: Response | Pieces): AsyncGenerator<Frame> {
  let rest = Buffer.alloc(0);
  for await (const piece of pieces(from)) {
    rest = rest.length === 0 ? Buffer.from(piece) : Buffer.concat([rest, piece]);
    while (rest.length >= 8) {
      const stream = names[rest[0]!];
      if (stream === undefined) {
        throw new Error("no frame begins so: a container with a terminal sends none");
      }
      const end = 8 + rest.readUInt32BE(4);
      if (rest.length < end) {
        break;
      }
      yield { stream, data: rest.subarray(8, end) };
      rest = rest.subarray(end);
    }
  }
  if (rest.length > 0) {
    throw new Error("the connection ended in the middle of a frame");
  }
}

/** Gives the JSON objects of events, stats and progress; the engine ends each with a line's end. */
export async function* objects<T = any>(from: Response | Pieces): AsyncGenerator<T> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const piece of pieces(from)) {
    rest += decoder.decode(piece, { stream: true });
    for (let end = rest.indexOf("\n"); end >= 0; end = rest.indexOf("\n")) {
      const line = rest.slice(0, end).trim();
      rest = rest.slice(end + 1);
      if (line !== "") {
        yield JSON.parse(line) as T;
      }
    }
  }
  if (rest.trim() !== "") {
    yield JSON.parse(rest) as T;
  }
}
