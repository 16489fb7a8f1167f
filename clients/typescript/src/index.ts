// What stands beside the generated clients: connections to a daemon, streams
// and connections that attach and exec take over.
export { ApiError, configuration, type Address, type Options } from "./transport.js";
export { frames, objects, type Frame } from "./stream.js";
export { attach, execStart, type Hijacked } from "./hijack.js";
