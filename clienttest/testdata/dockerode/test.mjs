// Tries dockerode against an engine, at the version DOCKER_API_VERSION. Needs
// DOCKER_SOCKET and an image busybox:latest. All tests run at once; each prints
// a line "ok NAME" or "FAIL NAME: why".

import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const Docker = require("dockerode");
const tar = require("tar-stream");

const version = process.env.DOCKER_API_VERSION;
const docker = new Docker({ socketPath: process.env.DOCKER_SOCKET, version: "v" + version });
const since = (v) => Number(version.split(".")[1]) >= Number(v.split(".")[1]);
const patience = 60_000;

// text reads a stream to its end.
const text = (stream) => new Promise((resolve, reject) => {
	let all = "";
	stream.on("data", (d) => { all += d; });
	stream.on("end", () => resolve(all));
	stream.on("close", () => resolve(all));
	stream.on("error", reject);
});

// shown waits until a stream has shown what matches.
const shown = (stream, pattern) => new Promise((resolve, reject) => {
	let all = "";
	const timer = setTimeout(() => reject(new Error(`no ${pattern} in ${JSON.stringify(all)}`)), patience);
	const look = (d) => {
		all += d;
		if (pattern.test(all)) {
			clearTimeout(timer);
			stream.off("data", look);
			resolve(all);
		}
	};
	stream.on("data", look);
});

// apart takes the frames of a stream apart; close ends both outputs.
const apart = (stream) => {
	const out = new PassThrough(), err = new PassThrough();
	docker.modem.demuxStream(stream, out, err);
	const close = () => { out.end(); err.end(); };
	stream.on("end", close);
	stream.on("close", close);
	return { out, err };
};

const lines = (stream, want) => new Promise((resolve, reject) => {
	const found = [];
	let rest = "";
	const timer = setTimeout(() => reject(new Error(`only ${JSON.stringify(found)}`)), patience);
	stream.on("data", (d) => {
		const parts = (rest + d).split("\n");
		rest = parts.pop();
		for (const p of parts) {
			if (p.trim() !== "") {
				found.push(JSON.parse(p));
			}
		}
		if (want(found)) {
			clearTimeout(timer);
			stream.destroy();
			resolve(found);
		}
	});
	stream.on("error", reject);
});

const archive = (name, content) => {
	const pack = tar.pack();
	pack.entry({ name }, content);
	pack.finalize();
	return pack;
};

const contents = (stream) => new Promise((resolve, reject) => {
	const found = {}, extract = tar.extract();
	extract.on("entry", async (header, entry, next) => { found[header.name] = await text(entry); next(); });
	extract.on("finish", () => resolve(found));
	extract.on("error", reject);
	stream.pipe(extract);
});

const tests = {
	async run(make) {
		const c = await make({ Cmd: ["sh", "-c", "echo out; echo err >&2; exit 4"] });
		const { out, err } = apart(await c.attach({ stream: true, stdout: true, stderr: true }));
		const both = Promise.all([text(out), text(err)]);
		await c.start();
		assert.deepEqual(await both, ["out\n", "err\n"]);
		assert.equal((await c.wait()).StatusCode, 4);
		assert.equal((await c.inspect()).State.ExitCode, 4);
	},

	async terminal(make) {
		const c = await make({ Cmd: ["sh"], Tty: true, OpenStdin: true, AttachStdin: true, AttachStdout: true, AttachStderr: true });
		const stream = await c.attach({ stream: true, stdin: true, stdout: true, stderr: true, hijack: true });
		await c.start();
		await c.resize({ h: 30, w: 100 });
		stream.write("stty size; echo is-$((40+2))\n");
		await shown(stream, /30 100[\s\S]*is-42/);
		const ended = text(stream);
		stream.write("\x10\x11");
		await ended;
		assert.equal((await c.inspect()).State.Running, true);
		const again = await c.attach({ stream: true, stdin: true, stdout: true, stderr: true, hijack: true });
		again.write("echo again-$((1+1))\n");
		await shown(again, /again-2/);
		again.write("exit 5\n");
		assert.equal((await c.wait()).StatusCode, 5);
	},

	async exec(make) {
		const c = await make({ Cmd: ["sleep", "1000"] });
		await c.start();
		const x = await c.exec({ Cmd: ["sh"], Tty: true, AttachStdin: true, AttachStdout: true, AttachStderr: true });
		const stream = await x.start({ hijack: true, stdin: true, Tty: true });
		// The documents say 201, dockerode knows only the 200 of other engines.
		await x.resize({ h: 33, w: 77 }).catch((error) => assert.equal(error.statusCode, 201));
		stream.write("stty size; echo is-$((40+2))\n");
		await shown(stream, /33 77[\s\S]*is-42/);
		const ended = text(stream);
		stream.write("exit 6\n");
		await ended;
		assert.equal((await x.inspect()).ExitCode, 6);
		const y = await c.exec({ Cmd: ["sh", "-c", "cat; echo err >&2"], AttachStdin: true, AttachStdout: true, AttachStderr: true });
		const piped = await y.start({ hijack: true, stdin: true });
		const { out, err } = apart(piped);
		const both = Promise.all([text(out), text(err)]);
		piped.end("through\n");
		assert.deepEqual(await both, ["through\n", "err\n"]);
	},

	async copy(make) {
		const c = await make({ Cmd: ["true"] });
		if (!since("1.20")) { // the archive came with 1.20
			assert.match(await contents(await c.copy({ Resource: "/etc/passwd" })).then((f) => f.passwd), /^root:/);
			return;
		}
		await c.putArchive(archive("given", "content"), { path: "/tmp" });
		assert.deepEqual(await contents(await c.getArchive({ path: "/tmp/given" })), { given: "content" });
		assert.equal(JSON.parse(Buffer.from((await c.infoArchive({ path: "/tmp/given" })).headers["x-docker-container-path-stat"], "base64")).size, 7);
		await assert.rejects(c.getArchive({ path: "/no/such" }), { statusCode: 404 });
	},

	async logs(make) {
		const c = await make({ Cmd: ["sh", "-c", "echo before; read line; seq 100; exit 1"], OpenStdin: true });
		await c.start();
		const { out } = apart(await c.logs({ follow: true, stdout: true, stderr: true }));
		const all = text(out);
		const stdin = await c.attach({ stream: true, stdin: true, hijack: true });
		stdin.write("go\n");
		const got = (await all).split("\n");
		assert.equal(got.length, 102);
		assert.equal(got[0] + " " + got[100], "before 100");
		assert.match((await c.logs({ stdout: true, tail: 1 })).toString(), /100\n$/);
	},

	async events(make, name) {
		const stream = await docker.getEvents({ filters: { container: [name] } });
		const seen = lines(stream, (all) => all.some((e) => e.status === "destroy"));
		const c = await make({ Cmd: ["true"] });
		await c.start();
		await c.wait();
		await c.remove();
		assert.deepEqual((await seen).map((e) => e.status), ["create", "start", "die", "destroy"]);
	},

	async stats(make) {
		const c = await make({ Cmd: ["sleep", "1000"], HostConfig: { Memory: 64 << 20 } });
		await c.start();
		const [first, second] = await lines(await c.stats({ stream: true }), (all) => all.length >= 2);
		assert.equal(first.memory_stats.limit, 64 << 20);
		assert.deepEqual(second.precpu_stats, first.cpu_stats);
		assert.equal(Boolean(first.networks), since("1.21"));
		assert.match((await c.top()).Processes[0].join(" "), /sleep 1000$/);
	},

	async update(make) {
		const c = await make({ Cmd: ["sleep", "1000"], HostConfig: { Memory: 64 << 20, MemorySwap: 128 << 20 } });
		await c.start();
		if (!since("1.22")) {
			await assert.rejects(c.update({ CpuShares: 256 }), { statusCode: 404 });
			return;
		}
		await c.update({ Memory: 32 << 20, CpuShares: 256 });
		const { HostConfig } = await c.inspect();
		assert.deepEqual([HostConfig.Memory, HostConfig.CpuShares], [32 << 20, 256]);
	},

	async lifecycle(make) {
		const c = await make({ Cmd: ["sleep", "1000"], Labels: { suite: "dockerode" } });
		await c.start();
		await assert.rejects(c.start(), { statusCode: 304 });
		await c.pause();
		assert.equal((await c.inspect()).State.Paused, true);
		await c.unpause();
		assert.ok((await docker.listContainers({ filters: { label: ["suite=dockerode"] } })).some((r) => r.Id === c.id));
		await c.restart({ t: 0 });
		await c.kill();
		assert.equal((await c.wait()).StatusCode, 137);
		await assert.rejects(docker.createContainer({ Image: "busybox", Cmd: ["true"], name: (await c.inspect()).Name.slice(1) }), { statusCode: 409 });
		await c.remove();
		await assert.rejects(c.inspect(), { statusCode: 404 });
	},
};

const results = await Promise.all(Object.entries(tests).map(async ([test, body]) => {
	const name = `dockerode-${version}-${test}`;
	let made;
	const make = async (options) => {
		made = await docker.createContainer({ Image: "busybox", name, ...options });
		return made;
	};
	let timer;
	try {
		await Promise.race([body(make, name), new Promise((_, reject) => { timer = setTimeout(() => reject(new Error("it hangs")), patience); })]);
		console.log("ok", test);
		return true;
	} catch (error) {
		console.log(`FAIL ${test}: ${error.stack}`);
		return false;
	} finally {
		clearTimeout(timer);
		await made?.remove({ force: true, v: true }).catch((error) => {
			if (error.statusCode !== 404) {
				console.log(`FAIL ${test}: remove: ${error}`);
			}
		});
	}
}));
process.exit(results.every(Boolean) ? 0 : 1);
