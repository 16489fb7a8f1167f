"""Tries docker-py 5 against an engine, at the version DOCKER_API_VERSION.

Needs DOCKER_HOST and an image busybox:latest. Without arguments it runs all
tests; arguments are the names of some (ClientTest.test_run).
"""

import io
import os
import re
import socket
import tarfile
import tempfile
import threading
import time
import unittest

import docker
from docker.errors import APIError, NotFound

VERSION = os.environ["DOCKER_API_VERSION"]
PATIENCE = 60


def at_least(version):
    return [int(n) for n in VERSION.split(".")] >= [int(n) for n in version.split(".")]


class ClientTest(unittest.TestCase):
    def setUp(self):
        self.client = docker.DockerClient(base_url=os.environ["DOCKER_HOST"], version=VERSION, timeout=PATIENCE)
        self.addCleanup(self.client.close)
        self.api = self.client.api

    def name(self, suffix="c"):
        name = "py-%s-%s-%s" % (VERSION, self._testMethodName, suffix)
        self.addCleanup(self.remove, name)
        return name

    def remove(self, name):
        try:
            self.api.remove_container(name, force=True, v=True)
        except NotFound:
            pass

    def run_detached(self, command, **options):
        return self.client.containers.run("busybox", command, detach=True, name=self.name(options.pop("suffix", "c")), **options)

    def eventually(self, what, holds):
        end = time.time() + PATIENCE
        while time.time() < end:
            if holds():
                return
            time.sleep(0.02)
        self.fail("waited %d s in vain: %s" % (PATIENCE, what))

    def code(self, result):
        """wait() gives a dict in this docker-py, an int in older ones."""
        return result["StatusCode"] if isinstance(result, dict) else result

    # Builds

    def test_build(self):
        tag = "py/%s-%s" % (self._testMethodName, VERSION)
        self.addCleanup(self.api.remove_image, tag, force=True)
        with tempfile.TemporaryDirectory() as directory:
            for name, content in {"Dockerfile": "FROM busybox\nARG WHO\nCOPY word /word\nRUN echo $WHO $(cat /word) > /made\nCMD cat /made\n", "word": VERSION}.items():
                with open(os.path.join(directory, name), "w") as f:
                    f.write(content)
            options = {"labels": {"of": "docker-py"}} if at_least("1.23") else {}
            image, log = self.client.images.build(path=directory, tag=tag, buildargs={"WHO": "me"}, rm=True, **options)
        said = "".join(line.get("stream", "") for line in log)
        self.assertIn("Step 4 : RUN", said)
        self.assertIn("Successfully built " + image.id.split(":")[1][:12], said)
        if options:
            self.assertEqual(image.labels, options["labels"])
        self.assertEqual(self.client.containers.run(tag, name=self.name(), remove=True), ("me %s\n" % VERSION).encode())

    def test_build_fails(self):
        with self.assertRaises(docker.errors.BuildError) as caught:
            self.client.images.build(fileobj=io.BytesIO(b"FROM busybox\nRUN exit 5\n"), rm=True, forcerm=True)
        self.assertIn("returned a non-zero code: 5", str(caught.exception))

    # System

    def test_ping_version_info(self):
        self.assertTrue(self.client.ping())
        self.assertEqual("linux", self.client.version()["Os"])
        info = self.client.info()
        self.assertGreaterEqual(info["Images"], 1)
        self.assertIsInstance(info["MemoryLimit"], bool)

    # Containers

    def test_run(self):
        self.assertEqual(b"hi\n", self.client.containers.run("busybox", "echo hi", remove=True, name=self.name()))

    def test_run_fails(self):
        with self.assertRaises(docker.errors.ContainerError) as caught:
            self.client.containers.run("busybox", ["sh", "-c", "echo bad >&2; exit 3"], stderr=True, name=self.name())
        self.assertEqual(3, caught.exception.exit_status)
        self.assertIn(b"bad", caught.exception.stderr)

    def test_life(self):
        c = self.run_detached("sleep 1000", labels={"colour": "blue"}, environment={"A": "b"}, hostname="h1")
        self.assertEqual("running", c.status if c.status != "created" else self.reload(c).status)
        self.assertEqual("blue", c.labels["colour"])
        self.assertIn(c, self.client.containers.list(filters={"label": "colour=blue"}))
        c.stop(timeout=0)
        self.assertEqual(137, self.code(c.wait()))
        self.assertEqual("exited", self.reload(c).status)
        c.start()
        self.assertEqual("running", self.reload(c).status)
        c.restart(timeout=0)
        self.assertEqual("running", self.reload(c).status)
        c.kill("SIGKILL")
        self.assertEqual(137, self.code(c.wait()))
        renamed = self.name("renamed")
        c.rename(renamed)
        self.assertEqual(renamed, self.reload(c).name)
        c.remove()
        with self.assertRaises(NotFound):
            self.client.containers.get(renamed)

    def reload(self, c):
        c.reload()
        return c

    def test_conflict(self):
        name = self.name()
        self.client.containers.create("busybox", name=name)
        with self.assertRaises(APIError) as caught:
            self.client.containers.create("busybox", name=name)
        self.assertEqual(409, caught.exception.status_code)

    def test_missing(self):
        with self.assertRaises(NotFound):
            self.client.containers.get("nosuch")
        with self.assertRaises(docker.errors.ImageNotFound):
            self.client.images.get("nosuch:tag")

    def test_inspect_and_list(self):
        c = self.run_detached("sleep 1000", mem_limit="64m", cpu_shares=512, cap_drop=["CHOWN"], dns=["192.0.2.1"], extra_hosts={"other": "10.1.2.3"})
        a = self.api.inspect_container(c.id)
        self.assertEqual(64 << 20, a["HostConfig"]["Memory"])
        self.assertEqual(512, a["HostConfig"]["CpuShares"])
        self.assertEqual(["CHOWN"], a["HostConfig"]["CapDrop"])
        self.assertEqual(["192.0.2.1"], a["HostConfig"]["Dns"])
        self.assertEqual(["other:10.1.2.3"], a["HostConfig"]["ExtraHosts"])
        self.assertTrue(a["NetworkSettings"]["Networks"]["bridge"]["IPAddress"])
        row = [r for r in self.api.containers() if r["Id"] == c.id][0]
        self.assertEqual("sleep 1000", row["Command"])
        self.assertEqual(["/" + c.name], row["Names"])

    def test_bind(self):
        with tempfile.TemporaryDirectory(prefix="berth-py-") as host:
            self.client.containers.run("busybox", ["sh", "-c", "echo written >/data/f"], volumes={host: {"bind": "/data", "mode": "rw"}}, name=self.name())
            with open(os.path.join(host, "f")) as f:
                self.assertEqual("written\n", f.read())

    def test_port(self):
        c = self.run_detached(["sh", "-c", "while :; do echo served | nc -l -p 8080; done"], ports={"8080/tcp": ("127.0.0.1", None)})
        port = int(self.api.port(c.id, 8080)[0]["HostPort"])

        def answers():
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=2) as s:
                    return s.makefile().read() == "served\n"
            except OSError:
                return False

        self.eventually("port %d answers" % port, answers)

    # Streams

    def test_logs(self):
        c = self.run_detached(["sh", "-c", "echo one; echo two >&2; echo three"])
        self.assertEqual(0, self.code(c.wait()))
        self.assertEqual(b"one\nthree\n", c.logs(stderr=False))
        self.assertEqual(b"two\n", c.logs(stdout=False))

    def test_logs_tail(self):
        c = self.run_detached(["sh", "-c", "echo one; echo two; echo three"])
        self.assertEqual(0, self.code(c.wait()))
        self.assertEqual(b"three\n", c.logs(tail=1))
        self.assertRegex(c.logs(tail=1, timestamps=True), rb"^\d{4}-\d\d-\d\dT\S+Z three\n$")

    def test_logs_follow(self):
        c = self.run_detached(["sh", "-c", "for i in 1 2 3 4 5; do echo $i; sleep 0.05; done"])
        self.assertEqual(b"1\n2\n3\n4\n5\n", b"".join(c.logs(stream=True, follow=True)))

    def test_attach_output(self):
        c = self.client.containers.create("busybox", ["sh", "-c", "echo out; echo err >&2"], name=self.name())
        stream = c.attach(stream=True, demux=True)
        c.start()
        out, err = b"", b""
        for o, e in stream:
            out, err = out + (o or b""), err + (e or b"")
        self.assertEqual((b"out\n", b"err\n"), (out, err))

    def test_attach_socket(self):
        c = self.client.containers.create("busybox", ["sh", "-c", "cat; echo end"], stdin_open=True, name=self.name())
        # With docker-py, StdinOnce is set, so the end of our half ends cat.
        s = c.attach_socket(params={"stdin": 1, "stdout": 1, "stream": 1})
        c.start()
        s._sock.sendall(b"typed\n")
        s._sock.shutdown(socket.SHUT_WR)
        s._sock.settimeout(PATIENCE)
        data = b""
        while True:
            part = s._sock.recv(4096)
            if not part:
                break
            data += part
        text = b""
        while data:
            size = int.from_bytes(data[4:8], "big")
            text, data = text + data[8:8 + size], data[8 + size:]
        self.assertEqual(b"typed\nend\n", text)
        s.close()

    def test_exec(self):
        c = self.run_detached("sleep 1000")
        # docker-py loses what comes in one piece with the answer's head.
        code, output = c.exec_run(["sh", "-c", "sleep 0.5; echo out; echo err >&2; exit 5"], demux=True)
        self.assertEqual((5, (b"out\n", b"err\n")), (code, output))
        code, output = c.exec_run(["sh", "-c", "sleep 0.5; id -un"], user="nobody")
        self.assertEqual((0, b"nobody\n"), (code, output))
        code, output = c.exec_run(["sh", "-c", "sleep 0.5; tty"], tty=True)
        self.assertRegex(output, rb"^/dev/")
        e = self.api.exec_create(c.id, "sleep 1000")
        self.api.exec_start(e["Id"], detach=True)
        self.assertTrue(self.api.exec_inspect(e["Id"])["Running"])

    def test_terminal(self):
        c = self.run_detached(["sh", "-c", "tty; stty size; sleep 1000"], tty=True, stdin_open=True)
        c.resize(33, 77)
        self.eventually("the terminal's name is in the log", lambda: b"/dev/" in c.logs())

    def shown(self, s, pattern):
        """Reads a connection until it has shown what matches; it ends at b""."""
        s.settimeout(PATIENCE)
        text = b""
        while not re.search(pattern, text):
            part = s.recv(4096)
            if not part:
                self.fail("no %r in %r" % (pattern, text))
            text += part
        return text

    def rest(self, s):
        s.settimeout(PATIENCE)
        text = b""
        while True:
            part = s.recv(4096)
            if not part:
                return text
            text += part

    def test_terminal_detach(self):
        c = self.run_detached("sh", tty=True, stdin_open=True)
        params = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
        s = c.attach_socket(params=params)
        c.resize(30, 100)
        s._sock.sendall(b"stty size; echo is-$((40+2))\n")
        self.shown(s._sock, rb"30 100[\s\S]*is-42")
        s._sock.sendall(b"\x10\x11")
        self.rest(s._sock)
        s.close()
        self.assertEqual("running", self.reload(c).status)
        s = c.attach_socket(params=params)
        s._sock.sendall(b"exit 5\n")
        self.assertEqual(5, self.code(c.wait()))
        s.close()

    def test_exec_terminal(self):
        c = self.run_detached("sleep 1000")
        e = self.api.exec_create(c.id, "sh", tty=True, stdin=True)
        s = self.api.exec_start(e["Id"], tty=True, socket=True)
        self.api.exec_resize(e["Id"], height=33, width=77)
        s._sock.sendall(b"stty size; echo is-$((40+2))\n")
        self.shown(s._sock, rb"33 77[\s\S]*is-42")
        s._sock.sendall(b"exit 6\n")
        self.rest(s._sock)
        s.close()
        self.assertEqual(6, self.api.exec_inspect(e["Id"])["ExitCode"])

    def test_archive(self):
        c = self.client.containers.create("busybox", "true", name=self.name())
        given = io.BytesIO()
        with tarfile.open(fileobj=given, mode="w") as tar:
            member = tarfile.TarInfo("given")
            member.size = 7
            tar.addfile(member, io.BytesIO(b"content"))
        self.assertTrue(c.put_archive("/tmp", given.getvalue()))
        chunks, stat = c.get_archive("/tmp/given")
        self.assertEqual(("given", 7), (stat["name"], stat["size"]))
        with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as tar:
            self.assertEqual(b"content", tar.extractfile("given").read())
        with self.assertRaises(NotFound):
            c.get_archive("/no/such")

    def test_stats_and_top(self):
        c = self.run_detached("sleep 1000", mem_limit="64m")
        stream = c.stats(decode=True)
        first, second = next(stream), next(stream)
        self.assertEqual(64 << 20, first["memory_stats"]["limit"])
        self.assertEqual(first["cpu_stats"], second["precpu_stats"])
        self.assertIn("eth0", c.stats(stream=False)["networks"])
        self.assertEqual("sleep 1000", c.top()["Processes"][0][-1])

    def test_update(self):
        if not at_least("1.22"):
            self.skipTest("there is none before 1.22")
        c = self.run_detached("sleep 1000", mem_limit="64m", memswap_limit="128m")
        c.update(mem_limit="32m", cpu_shares=256)
        h = self.reload(c).attrs["HostConfig"]
        self.assertEqual((32 << 20, 256), (h["Memory"], h["CpuShares"]))

    def test_events(self):
        since = int(time.time()) - 1
        c = self.run_detached("true")
        c.wait()
        name, id = c.name, c.id
        c.remove()
        seen = [e["status"] for e in self.client.events(since=since, until=int(time.time()) + 1, decode=True, filters={"container": id})]
        for want in ("create", "start", "die", "destroy"):
            self.assertIn(want, seen)

    # Images

    def test_images(self):
        image = self.client.images.get("busybox:latest")
        repository = "py/test-%s" % VERSION
        self.assertTrue(image.tag(repository, "one"))
        try:
            self.assertIn(repository + ":one", self.client.images.get(repository + ":one").tags)
            self.assertEqual([image.id], [i.id for i in self.client.images.list(name=repository)])
        finally:
            self.client.images.remove(repository + ":one")
        self.assertEqual([], self.client.images.list(name=repository))
        self.assertTrue(image.history())

    def test_save_load(self):
        image = self.client.images.get("busybox:latest")
        data = b"".join(self.api.get_image("busybox:latest"))
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            self.assertIn("manifest.json", tar.getnames())
        self.api.load_image(data)
        self.assertEqual(image.id, self.client.images.get("busybox:latest").id)

    def test_import(self):
        root = io.BytesIO()
        with tarfile.open(fileobj=root, mode="w") as tar:
            content = b"imported\n"
            member = tarfile.TarInfo("file")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        repository = "py/imported-%s" % VERSION
        self.api.import_image_from_data(root.getvalue(), repository=repository, tag="x")
        try:
            self.assertEqual("linux", self.client.images.get(repository + ":x").attrs["Os"])
        finally:
            self.client.images.remove(repository + ":x")

    # Networks and volumes (the defaults; the rest of their life is later work)

    def test_networks_list(self):
        self.assertTrue({"bridge", "host", "none"} <= {n.name for n in self.client.networks.list()})

    def test_wait_in_another_thread(self):
        c = self.run_detached(["sh", "-c", "read line; exit 4"], stdin_open=True)
        got = []
        waiter = threading.Thread(target=lambda: got.append(self.code(docker.APIClient(base_url=os.environ["DOCKER_HOST"], version=VERSION).wait(c.id))))
        waiter.start()
        s = c.attach_socket(params={"stdin": 1, "stream": 1})
        s._sock.sendall(b"go\n")
        waiter.join(PATIENCE)
        s.close()
        self.assertEqual([4], got)


if __name__ == "__main__":
    unittest.main(verbosity=2)
