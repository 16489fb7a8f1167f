// The other ends of the monitor's socket: watchers (the daemon), attached
// clients, and one-shot requests. The protocol is described in package protocol.

#define _GNU_SOURCE
#include "clients.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum { EVENT_HELLO = 1, EVENT_OOM = 2, EVENT_EXIT = 3 };
enum { ATTACH_MAGIC = 0x48545242 }; // "BRTH"

struct attach_reply {
	uint32_t magic, tty;
	uint64_t inode, offset;
	uint64_t written[2];
};

struct event {
	uint32_t type, reserved;
	struct exit_record exit;
};

static const struct config *cfg;
static int epoll_fd;
struct client *clients;

void clients_init(const struct config *config, int epoll)
{
	cfg = config;
	epoll_fd = epoll;
	backlog_init(config->spool_dir, config->spool_max);
	input_init(config, epoll);
}

void client_interest(struct client *c)
{
	struct epoll_event ev = {.data.ptr = c};

	if (!c->input_ended && !c->input_held)
		ev.events |= EPOLLIN;
	if (!backlog_empty(&c->pending))
		ev.events |= EPOLLOUT;
	(void)epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &ev);
}

void client_close(struct client *c)
{
	bool was_open = !c->input_ended;

	if (c->fd < 0)
		return;
	close(c->fd); // leaves the epoll set by itself
	c->fd = -1;
	backlog_release(&c->pending);
	input_release(c);
	c->input_ended = true;
	if (was_open)
		input_over(c);
}

void clients_sweep(void)
{
	struct client **p = &clients;

	while (*p) {
		struct client *c = *p;
		if (c->fd >= 0) {
			p = &c->next;
			continue;
		}
		*p = c->next;
		free(c);
	}
}

// keep appends to what the client has to wait for. A client that lags too far
// behind, or for which there is no space, is dropped.
static void keep(struct client *c, const char *buf, size_t n)
{
	if (backlog_empty(&c->pending))
		c->deadline = now_ms() + LINGER_MS;
	if (!backlog_put(&c->pending, buf, n))
		client_close(c);
}

// client_send never blocks: what the socket does not take now is kept.
static void client_send(struct client *c, const void *head, size_t head_n, const char *buf, size_t n)
{
	struct iovec iov[2] = {{(void *)(uintptr_t)head, head_n}, {(void *)(uintptr_t)buf, n}};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};
	bool waits = !backlog_empty(&c->pending);
	size_t sent = 0;

	if (!waits) {
		ssize_t w;
		do
			w = sendmsg(c->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
		while (w < 0 && errno == EINTR);
		if (w < 0 && errno != EAGAIN && errno != ENOBUFS) {
			client_close(c);
			return;
		}
		if (w > 0)
			sent = (size_t)w;
		if (sent == head_n + n)
			return;
	}
	if (sent < head_n) {
		keep(c, (const char *)head + sent, head_n - sent);
		sent = 0;
	} else {
		sent -= head_n;
	}
	if (c->fd >= 0 && n > sent)
		keep(c, buf + sent, n - sent);
	if (c->fd >= 0 && !waits)
		client_interest(c);
}

// One client's flush is bounded, so that the others have their turn.
static void client_flush(struct client *c)
{
	for (int round = 0; round < 16; round++) {
		const char *buf;
		ssize_t n = backlog_peek(&c->pending, &buf), w;

		if (n == 0)
			break;
		if (n < 0) {
			client_close(c);
			return;
		}
		w = send(c->fd, buf, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0 && (errno == EAGAIN || errno == ENOBUFS))
			return;
		if (w <= 0) {
			client_close(c);
			return;
		}
		backlog_take(&c->pending, (size_t)w);
		c->deadline = now_ms() + LINGER_MS;
	}
	if (backlog_empty(&c->pending))
		client_interest(c);
}

static void send_frame(struct client *c, int stream, const char *buf, size_t n)
{
	unsigned char head[8] = {(unsigned char)stream};

	head[4] = (unsigned char)(n >> 24);
	head[5] = (unsigned char)(n >> 16);
	head[6] = (unsigned char)(n >> 8);
	head[7] = (unsigned char)n;
	client_send(c, head, sizeof head, buf, n);
}

static bool wants(const struct client *c, int stream)
{
	return c->fd >= 0 && c->op == OP_ATTACH && !c->ended &&
	       (c->flags & (stream == STREAM_OUT ? ATTACH_STDOUT : ATTACH_STDERR));
}

// send_time tells when the output that comes next was written.
static void send_time(struct client *c)
{
	struct timespec ts;
	int64_t at[2];

	clock_gettime(CLOCK_REALTIME, &ts);
	at[0] = ts.tv_sec;
	at[1] = ts.tv_nsec;
	send_frame(c, STREAM_TIME, (const char *)at, sizeof at);
}

void clients_output(int stream, const char *buf, size_t n)
{
	for (struct client *c = clients; c; c = c->next) {
		if (wants(c, stream) && (c->flags & ATTACH_TIMES))
			send_time(c);
		if (wants(c, stream))
			send_frame(c, stream, buf, n);
	}
}

int clients_timeout(int64_t now)
{
	int64_t first = -1;

	for (struct client *c = clients; c && exit_known; c = c->next)
		if (!backlog_empty(&c->pending) && (first < 0 || c->deadline < first))
			first = c->deadline;
	if (first < 0)
		return -1;
	return first <= now ? 0 : (int)(first - now);
}

void clients_expire(int64_t now)
{
	for (struct client *c = clients; c && exit_known; c = c->next)
		if (!backlog_empty(&c->pending) && c->deadline <= now)
			client_close(c);
}

static void send_event(struct client *c, uint32_t type)
{
	struct event e = {.type = type, .exit = exit_state};

	client_send(c, &e, sizeof e, NULL, 0);
}

static void send_end(struct client *c)
{
	c->ended = true;
	send_frame(c, STREAM_END, NULL, 0);
}

void clients_oom(void)
{
	for (struct client *c = clients; c; c = c->next)
		if (c->fd >= 0 && c->op == OP_WATCH)
			send_event(c, EVENT_OOM);
}

void clients_exit(void)
{
	for (struct client *c = clients; c; c = c->next) {
		if (c->fd >= 0 && c->op == OP_WATCH)
			send_event(c, EVENT_EXIT);
		if (c->fd >= 0 && c->op == OP_ATTACH && !c->ended)
			send_end(c);
		c->deadline = now_ms() + LINGER_MS;
	}
}

bool clients_idle(void)
{
	for (struct client *c = clients; c; c = c->next)
		if (!backlog_empty(&c->pending))
			return false;
	return true;
}

static void start_attach(struct client *c)
{
	struct attach_reply reply = {.magic = ATTACH_MAGIC, .tty = cfg->tty};
	int size = CLIENT_BUFFER;

	if (setsockopt(c->fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) < 0)
		(void)setsockopt(c->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
	log_position(&reply.inode, &reply.offset, reply.written);
	client_send(c, &reply, sizeof reply, NULL, 0);
	for (int stream = STREAM_OUT; stream <= STREAM_ERR && (c->flags & ATTACH_PENDING); stream++) {
		size_t n;
		const char *buf = log_pending(stream, &n);
		if (n > 0 && wants(c, stream))
			send_frame(c, stream, buf, n);
	}
	if (exit_known && c->fd >= 0)
		send_end(c);
}

static void handle_request(struct client *c)
{
	int32_t result = 0;

	c->op = c->request.op;
	c->flags = c->request.flags;
	switch (c->op) {
	case OP_WATCH:
		send_event(c, exit_known ? EVENT_EXIT : EVENT_HELLO);
		return;
	case OP_ATTACH:
		start_attach(c);
		return;
	case OP_RESIZE: {
		struct winsize ws = {.ws_row = c->request.height, .ws_col = c->request.width};
		if (!cfg->tty)
			result = ENOTTY;
		else if (ioctl(cfg->out_fd, TIOCSWINSZ, &ws) < 0)
			result = errno;
		client_send(c, &result, sizeof result, NULL, 0);
		return;
	}
	default:
		client_close(c);
	}
}

static void client_read(struct client *c)
{
	static char buf[CHUNK_BYTES];

	while (c->fd >= 0 && !c->input_ended && !c->input_held) {
		bool head = c->op == 0;
		char *to = head ? (char *)&c->request + c->request_n : buf;
		size_t want = head ? sizeof c->request - c->request_n : sizeof buf;
		ssize_t r = recv(c->fd, to, want, MSG_DONTWAIT);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0 && errno == EAGAIN)
			return;
		if (r < 0) {
			client_close(c);
			return;
		}
		if (r == 0) {
			if (head) {
				client_close(c);
				return;
			}
			c->input_ended = true;
			client_interest(c);
			input_over(c);
			return;
		}
		if (head) {
			c->request_n += (size_t)r;
			if (c->request_n == sizeof c->request)
				handle_request(c);
			continue;
		}
		input_take(c, buf, (size_t)r);
		if ((size_t)r < want)
			return;
	}
}

void client_event(struct client *c, uint32_t events)
{
	if (c->fd >= 0 && (events & EPOLLOUT))
		client_flush(c);
	if (c->fd >= 0 && (events & EPOLLIN))
		client_read(c);
	if (c->fd >= 0 && (events & (EPOLLHUP | EPOLLERR)) && !(events & EPOLLIN))
		client_close(c);
}

void client_add(int fd)
{
	struct client *c = calloc(1, sizeof *c);
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};

	if (!c) {
		close(fd);
		return;
	}
	c->kind = KIND_CLIENT;
	c->fd = fd;
	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0) {
		close(fd);
		free(c);
		return;
	}
	c->next = clients;
	clients = c;
}

void clients_prefill(void)
{
	for (struct client *c = clients; c; c = c->next)
		client_read(c);
}
