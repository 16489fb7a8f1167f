// The process's standard input. What it does not take now is kept per client,
// and that client is not read from meanwhile.

#include "clients.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

static int epoll_fd, stdin_fd = -1;
static bool ends_with_client;
static int held; // clients whose input waits
static enum kind kind = KIND_STDIN;

void input_init(const struct config *cfg, int epoll)
{
	epoll_fd = epoll;
	stdin_fd = cfg->in_fd;
	ends_with_client = cfg->stdin_once && !cfg->tty;
}

static void wait_for_room(void)
{
	struct epoll_event ev = {.events = EPOLLOUT, .data.ptr = &kind};

	if (stdin_fd < 0)
		return;
	if (held > 0) {
		if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, stdin_fd, &ev) < 0 && errno == EEXIST)
			(void)epoll_ctl(epoll_fd, EPOLL_CTL_MOD, stdin_fd, &ev);
	} else {
		(void)epoll_ctl(epoll_fd, EPOLL_CTL_DEL, stdin_fd, NULL);
	}
}

static void release(struct client *c)
{
	if (c->input_held) {
		c->input_held = false;
		held--;
	}
	free(c->input);
	c->input = NULL;
	c->input_n = c->input_done = 0;
}

static void stdin_close(void)
{
	if (stdin_fd < 0)
		return;
	(void)epoll_ctl(epoll_fd, EPOLL_CTL_DEL, stdin_fd, NULL);
	close(stdin_fd);
	stdin_fd = -1;
	for (struct client *c = clients; c; c = c->next) {
		if (c->fd >= 0 && c->input_held) {
			release(c);
			client_interest(c);
		}
	}
}

void input_over(struct client *c)
{
	if (c->op == OP_ATTACH && (c->flags & ATTACH_STDIN) && ends_with_client)
		stdin_close();
}

void input_take(struct client *c, const char *buf, size_t n)
{
	size_t done = 0;

	if (c->op != OP_ATTACH || !(c->flags & ATTACH_STDIN))
		return; // nobody asked for it
	while (stdin_fd >= 0 && done < n) {
		ssize_t w = held > 0 ? -1 : write(stdin_fd, buf + done, n - done);
		if (w < 0 && (held > 0 || errno == EAGAIN)) {
			c->input = malloc(n - done);
			if (!c->input) {
				client_close(c);
				return;
			}
			memcpy(c->input, buf + done, n - done);
			c->input_n = n - done;
			c->input_done = 0;
			c->input_held = true;
			held++;
			wait_for_room();
			client_interest(c);
			return;
		}
		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0) { // the process closed it: the rest is read and dropped
			stdin_close();
			return;
		}
		done += (size_t)w;
	}
}

void stdin_event(void)
{
	for (struct client *c = clients; c; c = c->next) {
		while (c->fd >= 0 && c->input_held && c->input_done < c->input_n) {
			ssize_t w = write(stdin_fd, c->input + c->input_done, c->input_n - c->input_done);
			if (w < 0 && errno == EINTR)
				continue;
			if (w < 0 && errno == EAGAIN)
				return;
			if (w <= 0) {
				stdin_close();
				return;
			}
			c->input_done += (size_t)w;
		}
		if (c->fd >= 0 && c->input_held) {
			release(c);
			client_interest(c);
		}
	}
	wait_for_room();
}

void input_release(struct client *c)
{
	release(c);
	wait_for_room();
}
