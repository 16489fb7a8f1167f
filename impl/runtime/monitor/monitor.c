// The monitor's main loop. It starts from a constructor, before the Go runtime
// would: see monitor.go.

#define _GNU_SOURCE
#include "monitor.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct exit_record exit_state;
bool exit_known;

enum { DRAIN_BYTES = 1 << 20 };

static struct config cfg;
static int epoll_fd, signal_fd;
static bool child_gone, recorded, out_open, err_open;
static enum kind kind_signal = KIND_SIGNAL, kind_listen = KIND_LISTEN, kind_out = KIND_OUT,
		 kind_err = KIND_ERR, kind_oom = KIND_OOM;

int64_t now_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void watch(int fd, uint32_t events, enum kind *kind)
{
	struct epoll_event ev = {.events = events, .data.ptr = kind};
	if (fd >= 0)
		(void)epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &ev);
}

static void unwatch(int fd)
{
	if (fd >= 0)
		(void)epoll_ctl(epoll_fd, EPOLL_CTL_DEL, fd, NULL);
}

static void nonblock(int fd)
{
	int flags = fd < 0 ? -1 : fcntl(fd, F_GETFL);
	if (flags >= 0)
		(void)fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

// oom_check reads the line "oom_kill N" of memory.oom_control (cgroup v1) or
// memory.events (v2). False: the cgroup is gone.
static bool oom_check(void)
{
	char buf[512], *p;
	ssize_t n;
	int count;

	if (cfg.oom_file_fd < 0)
		return true;
	n = pread(cfg.oom_file_fd, buf, sizeof buf - 1, 0);
	if (n < 0 && errno == ENODEV)
		return false;
	if (n <= 0)
		return true;
	buf[n] = 0;
	p = strstr(buf, "oom_kill ");
	if (!p)
		return true;
	count = atoi(p + sizeof "oom_kill " - 1);
	if (count == exit_state.oom)
		return true;
	exit_state.oom = count;
	clients_oom();
	return true;
}

static void oom_event(void)
{
	char buf[4096];

	// An eventfd or an inotify descriptor; what it says does not matter.
	if (read(cfg.oom_event_fd, buf, sizeof buf) < 0 && errno != EAGAIN && errno != EINTR)
		unwatch(cfg.oom_event_fd);
	(void)oom_check();
}

// Without a pid namespace of its own, the container's other processes outlive
// its first one; Docker ends them with it.
static void kill_rest(void)
{
	if (!cfg.cgroup_procs[0])
		return;
	for (int round = 0; round < 50; round++) {
		bool found = false;
		FILE *f = fopen(cfg.cgroup_procs, "re");
		int pid;

		if (!f)
			return;
		while (fscanf(f, "%d", &pid) == 1) {
			if (pid <= 1 || pid == getpid())
				continue;
			found = true;
			(void)kill(pid, SIGKILL);
		}
		fclose(f);
		if (!found)
			return;
		usleep(1000);
	}
}

static void reap(void)
{
	struct signalfd_siginfo si;
	struct timespec ts;
	int status;
	pid_t pid;

	while (read(signal_fd, &si, sizeof si) > 0)
		;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid != cfg.child || child_gone)
			continue;
		clock_gettime(CLOCK_REALTIME, &ts);
		exit_state.status = status;
		exit_state.sec = ts.tv_sec;
		exit_state.nsec = ts.tv_nsec;
		child_gone = true;
		// Before all else: systemd removes the cgroup as soon as it is empty.
		if (!oom_check() && exit_state.oom == 0)
			exit_state.oom = OOM_UNKNOWN;
		kill_rest();
		(void)oom_check();
	}
}

// drain reads one chunk and returns its size, 0 when there is nothing at present.
static size_t drain(int fd, int stream, bool *open)
{
	static char buf[CHUNK_BYTES];
	ssize_t n;

	if (!*open)
		return 0;
	do
		n = read(fd, buf, sizeof buf);
	while (n < 0 && errno == EINTR);
	if (n > 0) {
		clients_output(stream, buf, (size_t)n);
		log_write(stream, buf, (size_t)n);
		log_flush();
		return (size_t)n;
	}
	if (n < 0 && errno == EAGAIN)
		return 0;
	unwatch(fd);
	close(fd);
	*open = false;
	return 0;
}

// drain_rest reads what the process left in a pipe. Its children may go on
// writing, so it stops after as much as a pipe holds (by default at most 1 MiB,
// fs.pipe-max-size).
static void drain_rest(int fd, int stream, bool *open)
{
	int held = *open ? fcntl(fd, F_GETPIPE_SZ) : 0; // a terminal has less
	int64_t left = held > DRAIN_BYTES ? held : DRAIN_BYTES;

	while (left > 0) {
		size_t n = drain(fd, stream, open);
		if (n == 0)
			return;
		left -= (int64_t)n;
	}
}

static int record_exit(void)
{
	char text[128];
	int n, fd;
	bool ok;

	n = snprintf(text, sizeof text, "1 %d %d %lld %lld\n", exit_state.status, exit_state.oom,
		     (long long)exit_state.sec, (long long)exit_state.nsec);
	fd = openat(cfg.dir_fd, "exit.new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -1;
	ok = write(fd, text, (size_t)n) == n;
	if (close(fd) < 0)
		ok = false;
	if (!ok || renameat(cfg.dir_fd, "exit.new", cfg.dir_fd, "exit") < 0)
		return -1;
	return 0;
}

static void accept_clients(void)
{
	for (;;) {
		int fd = accept4(cfg.listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0)
			return;
		client_add(fd);
	}
}

// finish runs when the process is gone. Everything it wrote is in the pipes by
// now, because a pid namespace's first process is reaped last.
static void finish(void)
{
	drain_rest(cfg.out_fd, STREAM_OUT, &out_open);
	drain_rest(cfg.err_fd, STREAM_ERR, &err_open);
	log_finish();
	if (record_exit() < 0)
		return; // no space: tried again, and watchers can ask meanwhile
	recorded = true;
}

static void loop(void)
{
	struct epoll_event events[16];

	for (;;) {
		int timeout = clients_timeout(now_ms()), n;

		if (child_gone && !recorded && (timeout < 0 || timeout > 200))
			timeout = 200;
		n = epoll_wait(epoll_fd, events, 16, timeout);
		for (int i = 0; i < n; i++) {
			switch (*(enum kind *)events[i].data.ptr) {
			case KIND_SIGNAL:
				reap();
				break;
			case KIND_LISTEN:
				accept_clients();
				break;
			case KIND_OUT:
				(void)drain(cfg.out_fd, STREAM_OUT, &out_open);
				break;
			case KIND_ERR:
				(void)drain(cfg.err_fd, STREAM_ERR, &err_open);
				break;
			case KIND_STDIN:
				stdin_event();
				break;
			case KIND_OOM:
				oom_event();
				break;
			case KIND_CLIENT:
				client_event(events[i].data.ptr, events[i].events);
				break;
			}
		}
		clients_expire(now_ms());
		clients_sweep();
		if (child_gone && !recorded) {
			finish();
			if (recorded) {
				exit_known = true;
				clients_exit();
			}
		}
		if (recorded && clients_idle())
			return;
	}
}

// outlast keeps the pipes of an exec open for what it left in the background,
// which would otherwise be killed by SIGPIPE. It ends with the container.
static void outlast(void)
{
	char buf[4096];
	struct epoll_event ev;

	if (!cfg.exec || cfg.tty)
		return;
	close(cfg.listen_fd);
	close(epoll_fd);
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (out_open)
		watch(cfg.out_fd, EPOLLIN, &kind_out);
	if (err_open)
		watch(cfg.err_fd, EPOLLIN, &kind_err);
	while (out_open || err_open) {
		bool is_out;
		if (epoll_wait(epoll_fd, &ev, 1, -1) < 1)
			continue;
		is_out = ev.data.ptr == &kind_out;
		if (read(is_out ? cfg.out_fd : cfg.err_fd, buf, sizeof buf) == 0) {
			close(is_out ? cfg.out_fd : cfg.err_fd);
			*(is_out ? &out_open : &err_open) = false;
		}
	}
}

// prepare_signals: the container must not end because somebody stops the
// daemon's whole service or its terminal is closed.
static void prepare_signals(void)
{
	static const int ignored[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE, SIGUSR1, SIGUSR2};
	sigset_t mask;

	for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
		(void)signal(ignored[i], SIG_IGN);
	sigemptyset(&mask);
	sigaddset(&mask, SIGCHLD);
	(void)signal(SIGCHLD, SIG_DFL);
	(void)sigprocmask(SIG_SETMASK, &mask, NULL);
	signal_fd = signalfd(-1, &mask, SFD_NONBLOCK | SFD_CLOEXEC);
}

// leave_mounts goes back to the daemon's mount namespace. The private one, in
// which the container's root was mounted, would keep every mount alive that the
// host had when the container started. The container has its own by now.
static void leave_mounts(void)
{
	if (cfg.mntns_fd < 0)
		return;
	(void)setns(cfg.mntns_fd, CLONE_NEWNS);
	close(cfg.mntns_fd);
	(void)chdir("/");
}

static void run(int argc, char **argv)
{
	config_parse(&cfg, argc, argv);
	prepare_signals();
	leave_mounts();
	(void)prctl(PR_SET_NAME, "berth-shim");
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	nonblock(cfg.listen_fd);
	nonblock(cfg.in_fd);
	nonblock(cfg.out_fd);
	nonblock(cfg.err_fd);
	// Kept open, or the terminal would be over when its last user closes it.
	if (cfg.tty)
		(void)ioctl(cfg.out_fd, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	out_open = cfg.out_fd >= 0;
	err_open = cfg.err_fd >= 0;
	log_open(&cfg);
	clients_init(&cfg, epoll_fd);
	for (int i = 0; i < cfg.nconns; i++) {
		nonblock(cfg.conns[i]);
		client_add(cfg.conns[i]);
	}
	clients_prefill();
	watch(signal_fd, EPOLLIN, &kind_signal);
	watch(cfg.listen_fd, EPOLLIN, &kind_listen);
	watch(cfg.oom_event_fd, EPOLLIN, &kind_oom);
	if (out_open)
		watch(cfg.out_fd, EPOLLIN, &kind_out);
	if (err_open)
		watch(cfg.err_fd, EPOLLIN, &kind_err);
	reap(); // it may be over already
	if (child_gone) {
		finish();
		if (recorded) {
			exit_known = true;
			clients_exit();
		}
	}
	if (!recorded || !clients_idle())
		loop();
	outlast();
	_exit(0);
}

// The constructor runs before the Go runtime is set up, which is the point: a
// monitor touches a tenth of the memory that an idle Go program needs.
__attribute__((constructor)) static void berth_monitor(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "monitor") == 0)
		run(argc, argv);
}
