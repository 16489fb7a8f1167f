// The monitor of one container or exec: declarations shared by its C files.
// See monitor.go for what it does and why it is C.
#ifndef BERTH_MONITOR_H
#define BERTH_MONITOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// Sizes. A line of the log is split after LINE_MAX_BYTES, as Docker's json-file
// driver does. A client that lags CLIENT_BUFFER bytes (kernel memory) behind gets
// a file for the rest. When the process is over, the monitor stays for a client
// until that has taken nothing for LINGER_MS.
enum {
	LINE_MAX_BYTES = 16384,
	CHUNK_BYTES = 32768,
	CLIENT_BUFFER = 4 << 20,
	LINGER_MS = 600000,
};

// Streams, as in the header of Docker's attach frames; STREAM_END (all
// output was delivered) and STREAM_TIME are ours.
enum { STREAM_END = 0, STREAM_OUT = 1, STREAM_ERR = 2, STREAM_TIME = 3 };

// config is what the shim hands over on the command line (monitor.go: Args).
struct config {
	int listen_fd, dir_fd, mntns_fd;
	int in_fd, out_fd, err_fd; // -1: there is none; with a terminal in and out are the pty, err is -1
	int oom_event_fd, oom_file_fd; // -1: not watched
	bool tty, stdin_once;
	bool exec; // a further process, not the container's first
	pid_t child;
	const char *cgroup_procs; // where the processes are that must end with child; "": nothing to do
	const char *log_path;     // "": no log
	int log_fd;
	int64_t log_max_size;
	int log_max_file;
	const char *log_attrs; // a JSON object that goes into each line, "": none
	const char *spool_dir; // for what clients did not read yet
	int64_t spool_max;     // bytes per client
	int nconns;
	const int *conns; // clients that attached before the start
};

// arguments.c
void config_parse(struct config *cfg, int argc, char **argv);

// log.c: the json-file log.
void log_open(const struct config *cfg);
void log_write(int stream, const char *buf, size_t n); // any bytes, in any pieces
void log_flush(void);                                  // complete lines reach the file
void log_finish(void);                                 // the unfinished lines, too
void log_position(uint64_t *inode, uint64_t *offset, uint64_t whole[2]);
const char *log_pending(int stream, size_t *n); // the unfinished line

// clients.c: the socket's other ends.
struct client;
void clients_init(const struct config *cfg, int epoll_fd);
void client_add(int fd);
void clients_prefill(void); // reads what the clients of before the start asked for
void client_event(struct client *c, uint32_t events);
void clients_output(int stream, const char *buf, size_t n);
int clients_timeout(int64_t now); // ms until a client is dropped, -1: none will be
void clients_expire(int64_t now);
void clients_oom(void);
void clients_exit(void); // tells everybody that it is over
bool clients_idle(void); // nothing is left to be sent
void clients_sweep(void); // frees closed clients; not during a batch of events

// input.c: the process's standard input.
void stdin_event(void);

// monitor.c
enum { OOM_UNKNOWN = -1 };

struct exit_record {
	int32_t status; // as wait(2) gives it
	int32_t oom;    // kills counted by the kernel, or OOM_UNKNOWN
	int64_t sec, nsec;
};
extern struct exit_record exit_state;
extern bool exit_known;
int64_t now_ms(void);

// epoll_event.data.ptr points at a byte of this kind, which is the first member
// of struct client.
enum kind { KIND_SIGNAL, KIND_LISTEN, KIND_OUT, KIND_ERR, KIND_STDIN, KIND_OOM, KIND_CLIENT };

#endif
