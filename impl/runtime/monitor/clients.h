// What the two files about clients share.
#ifndef BERTH_CLIENTS_H
#define BERTH_CLIENTS_H

#include "backlog.h"
#include "monitor.h"

enum { OP_WATCH = 1, OP_ATTACH = 2, OP_RESIZE = 3 };
enum { ATTACH_STDIN = 1, ATTACH_STDOUT = 2, ATTACH_STDERR = 4, ATTACH_PENDING = 8, ATTACH_TIMES = 16 };

struct request {
	uint8_t op, flags;
	uint16_t height, width, reserved;
};

struct client {
	enum kind kind; // KIND_CLIENT, first
	int fd;         // -1: closed, to be freed
	uint8_t op;     // 0: the request is not complete
	uint8_t flags;
	bool input_ended; // read the end of what it sends
	bool input_held;  // its input waits for the process
	bool ended;       // got the end frame
	size_t request_n;
	struct request request;
	struct backlog pending; // output that its socket did not take
	int64_t deadline;       // when it is dropped if anything is pending after the exit
	char *input;      // input that the process did not take
	size_t input_n, input_done;
	struct client *next;
};

extern struct client *clients;
void client_interest(struct client *c); // what the epoll set waits for
void client_close(struct client *c);

void input_init(const struct config *cfg, int epoll_fd);
void input_take(struct client *c, const char *buf, size_t n);
void input_over(struct client *c); // it sends no more, and all it sent has arrived
void input_release(struct client *c);

#endif
