// A queue of bytes for one client: what its socket did not take yet.
#ifndef BERTH_BACKLOG_H
#define BERTH_BACKLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// The oldest bytes are in a little memory, the younger ones in a file without a
// name. A zeroed backlog is empty.
struct backlog {
	char *mem;
	size_t mem_n, mem_done;
	int file; // the descriptor + 1, 0: none
	off_t read_at, write_at;
	off_t freed; // below it the file's space was given back
};

// backlog_init says where the files go and how many bytes a client may lag
// behind.
void backlog_init(const char *dir, int64_t max);

bool backlog_empty(const struct backlog *b);

// backlog_put appends. False: there is no room, some bytes may have been taken.
bool backlog_put(struct backlog *b, const char *buf, size_t n);

// backlog_peek gives the oldest bytes: their number, 0 if there are none, -1 if
// they cannot be read. They are valid until the next call.
ssize_t backlog_peek(struct backlog *b, const char **buf);
void backlog_take(struct backlog *b, size_t n); // the first n of them are done

void backlog_release(struct backlog *b);

#endif
