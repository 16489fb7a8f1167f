// What a client did not read yet: see backlog.h.

#define _GNU_SOURCE
#include "backlog.h"

#include "monitor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MEMORY_BYTES = 65536, FREE_BYTES = 16 << 20 };

static const char *dir = "";
static int64_t max;

void backlog_init(const char *spool_dir, int64_t spool_max)
{
	dir = spool_dir;
	max = spool_max;
}

bool backlog_empty(const struct backlog *b)
{
	return b->mem_done == b->mem_n && b->read_at == b->write_at;
}

static bool put_memory(struct backlog *b, const char *buf, size_t n)
{
	char *grown = realloc(b->mem, b->mem_n + n);

	if (!grown)
		return false;
	b->mem = grown;
	memcpy(b->mem + b->mem_n, buf, n);
	b->mem_n += n;
	return true;
}

static bool put_file(struct backlog *b, const char *buf, size_t n)
{
	if (b->write_at - b->read_at + (int64_t)n > max)
		return false;
	if (!b->file) {
		int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
		if (fd < 0)
			return false;
		b->file = fd + 1;
	}
	while (n > 0) {
		ssize_t w = pwrite(b->file - 1, buf, n, b->write_at);
		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0)
			return false;
		b->write_at += w;
		buf += w;
		n -= (size_t)w;
	}
	return true;
}

bool backlog_put(struct backlog *b, const char *buf, size_t n)
{
	if (n == 0)
		return true;
	if (b->read_at == b->write_at && b->mem_n + n <= MEMORY_BYTES)
		return put_memory(b, buf, n);
	return put_file(b, buf, n);
}

ssize_t backlog_peek(struct backlog *b, const char **buf)
{
	static char chunk[CHUNK_BYTES];
	size_t want = sizeof chunk;
	ssize_t r;

	if (b->mem_done < b->mem_n) {
		*buf = b->mem + b->mem_done;
		return (ssize_t)(b->mem_n - b->mem_done);
	}
	if (b->read_at == b->write_at)
		return 0;
	if (b->write_at - b->read_at < (off_t)want)
		want = (size_t)(b->write_at - b->read_at);
	do
		r = pread(b->file - 1, chunk, want, b->read_at);
	while (r < 0 && errno == EINTR);
	*buf = chunk;
	return r > 0 ? r : -1;
}

void backlog_take(struct backlog *b, size_t n)
{
	if (b->mem_done < b->mem_n) {
		b->mem_done += n;
		if (b->mem_done == b->mem_n) {
			free(b->mem);
			b->mem = NULL;
			b->mem_n = b->mem_done = 0;
		}
		return;
	}
	b->read_at += (off_t)n;
	if (b->read_at == b->write_at) {
		b->read_at = b->write_at = b->freed = 0;
		(void)ftruncate(b->file - 1, 0);
	} else if (b->read_at - b->freed >= FREE_BYTES) {
		// A client that never quite catches up must not make the file grow for ever.
		(void)fallocate(b->file - 1, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, b->freed,
				b->read_at - b->freed);
		b->freed = b->read_at;
	}
}

void backlog_release(struct backlog *b)
{
	free(b->mem);
	if (b->file)
		close(b->file - 1);
	*b = (struct backlog){0};
}
