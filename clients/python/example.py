"""Runs a container and follows its log, then speaks with a process in it.

    python3 example.py [unix:///run/berth.sock | tcp://HOST:PORT] [VERSION]

With DOCKER_CERT_PATH, tcp:// is TLS with ca.pem, cert.pem and key.pem of that directory.
"""
import importlib
import os
import ssl
import sys

host = sys.argv[1] if len(sys.argv) > 1 else "unix:///run/berth.sock"
version = sys.argv[2] if len(sys.argv) > 2 else "1.23"
tls = None
if certificates := os.environ.get("DOCKER_CERT_PATH"):
    tls = ssl.create_default_context(cafile=os.path.join(certificates, "ca.pem"))
    tls.load_cert_chain(os.path.join(certificates, "cert.pem"), os.path.join(certificates, "key.pem"))

client = importlib.import_module("berth_client.v" + version.replace(".", "_")).Client(host, tls=tls)
script = "for i in 1 2 3; do echo line $i; done; echo to stderr >&2; sleep 1; echo done; read end"
container = client.container_create({"Image": "busybox", "Cmd": ["sh", "-c", script], "OpenStdin": True})["Id"]
try:
    client.container_start(container)

    # An exec of its own: send, end the input, read what comes back.
    exec_id = client.container_exec(
        container, {"Cmd": ["tr", "a-z", "A-Z"], "AttachStdin": True, "AttachStdout": True}
    )["Id"]
    with client.exec_start(exec_id, {"Detach": False}) as process:
        process.send(b"hello\n")
        process.close_input()
        for stream, data in process.frames():
            print("exec", stream, data.decode(), end="")

    # The log as it is written, until the container ends.
    with client.container_logs(container, follow=True, stdout=True, stderr=True) as log:
        for stream, data in log.frames():
            print(stream, data.decode(), end="", flush=True)
            if data == b"done\n":
                with client.container_attach(container, stream=True, stdin=True) as terminal:
                    terminal.send(b"end\n")

    print("exit code", client.container_wait(container)["StatusCode"])
finally:
    client.container_delete(container, force=True)
