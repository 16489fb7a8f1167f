// What the shim says on the command line (monitor.go: Become).

#include "monitor.h"

#include <stdlib.h>
#include <unistd.h>

// number reads a decimal number; the shim writes nothing else.
static int64_t number(const char *s)
{
	return strtoll(s, NULL, 10);
}

enum {
	ARG_LISTEN = 3, // after the name, "monitor" and the id, which is for ps(1)
	ARG_DIR,
	ARG_MNTNS,
	ARG_IN,
	ARG_OUT,
	ARG_ERR,
	ARG_OOM_EVENT,
	ARG_OOM_FILE,
	ARG_TTY,
	ARG_STDIN_ONCE,
	ARG_EXEC,
	ARG_CHILD,
	ARG_CGROUP_PROCS,
	ARG_LOG_PATH,
	ARG_LOG_FD,
	ARG_LOG_MAX_SIZE,
	ARG_LOG_MAX_FILE,
	ARG_LOG_ATTRS,
	ARG_SPOOL_DIR,
	ARG_SPOOL_MAX,
	ARG_CONNS, // and all that follow
};

void config_parse(struct config *cfg, int argc, char **argv)
{
	static int conns[1024];

	if (argc < ARG_CONNS)
		_exit(125);
	*cfg = (struct config){
		.listen_fd = (int)number(argv[ARG_LISTEN]),
		.dir_fd = (int)number(argv[ARG_DIR]),
		.mntns_fd = (int)number(argv[ARG_MNTNS]),
		.in_fd = (int)number(argv[ARG_IN]),
		.out_fd = (int)number(argv[ARG_OUT]),
		.err_fd = (int)number(argv[ARG_ERR]),
		.oom_event_fd = (int)number(argv[ARG_OOM_EVENT]),
		.oom_file_fd = (int)number(argv[ARG_OOM_FILE]),
		.tty = number(argv[ARG_TTY]) != 0,
		.stdin_once = number(argv[ARG_STDIN_ONCE]) != 0,
		.exec = number(argv[ARG_EXEC]) != 0,
		.child = (pid_t)number(argv[ARG_CHILD]),
		.cgroup_procs = argv[ARG_CGROUP_PROCS],
		.log_path = argv[ARG_LOG_PATH],
		.log_fd = (int)number(argv[ARG_LOG_FD]),
		.log_max_size = number(argv[ARG_LOG_MAX_SIZE]),
		.log_max_file = (int)number(argv[ARG_LOG_MAX_FILE]),
		.log_attrs = argv[ARG_LOG_ATTRS],
		.spool_dir = argv[ARG_SPOOL_DIR],
		.spool_max = number(argv[ARG_SPOOL_MAX]),
		.conns = conns,
	};
	for (int i = ARG_CONNS; i < argc && cfg->nconns < 1024; i++)
		conns[cfg->nconns++] = (int)number(argv[i]);
}
