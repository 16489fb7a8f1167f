// Runs a container and follows its log, then speaks with a process in it:
//   node example.mjs [unix:///run/berth.sock | tcp://HOST:PORT] [VERSION]
// With DOCKER_CERT_PATH, tcp:// is TLS with ca.pem, cert.pem and key.pem of that directory.
import { readFileSync } from "node:fs";
import { attach, configuration, execStart, frames } from "berth-client";

const [address = "unix:///run/berth.sock", version = "1.23"] = process.argv.slice(2);
const { Api } = await import(`berth-client/v${version.replace(".", "_")}`);
const certificates = process.env.DOCKER_CERT_PATH;
const file = (name) => readFileSync(`${certificates}/${name}.pem`);
const options = certificates ? { tls: { ca: file("ca"), cert: file("cert"), key: file("key") } } : {};
const api = new Api(configuration(address, options));

const script = "for i in 1 2 3; do echo line $i; done; echo to stderr >&2; sleep 1; echo done; read end";
const created = await api.containers.containerCreate({
  Image: "busybox",
  Cmd: ["sh", "-c", script],
  OpenStdin: true,
});
const container = created.data.Id;
try {
  await api.containers.containerStart(container);

  // An exec of its own: send, end the input, read what comes back.
  const exec = await api.misc.containerExec(container, {
    Cmd: ["tr", "a-z", "A-Z"],
    AttachStdin: true,
    AttachStdout: true,
  });
  const process_ = await execStart(address, version, exec.data.Id, {}, options);
  process_.end("hello\n");
  for await (const { stream, data } of frames(process_)) {
    process.stdout.write(`exec ${stream} ${data}`);
  }

  // The log as it is written, until the container ends.
  const log = await api.containers.containerLogs(container, { follow: true, stdout: true, stderr: true });
  for await (const { stream, data } of frames(log)) {
    process.stdout.write(`${stream} ${data}`);
    if (data.toString() === "done\n") {
      const terminal = await attach(address, version, container, { stream: true, stdin: true }, options);
      terminal.end("end\n");
      terminal.resume();
    }
  }

  const { data: ended } = await api.containers.containerWait(container);
  console.log("exit code", ended.StatusCode);
} finally {
  await api.containers.containerDelete(container, { force: true });
}
