// See namespace.go. It runs before the Go runtime starts its threads, because only
// a process with one thread may move to another user namespace (setns(2)).
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static void fail(const char *what)
{
	dprintf(2, "%s: %s", what, strerror(errno));
	_exit(1);
}

__attribute__((constructor)) static void network_namespace(int argc, char **argv)
{
	char byte = 0;

	if (argc != 2 || strcmp(argv[1], "network-namespace") != 0)
		return;
	if (setns(3, CLONE_NEWUSER) < 0)
		fail("join the user namespace");
	if (unshare(CLONE_NEWNET) < 0)
		fail("make a network namespace");
	// Nobody of that user namespace is to look into this process.
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		fail("hide");
	if (write(1, &byte, 1) != 1)
		_exit(1);
	while (read(0, &byte, 1) < 0 && errno == EINTR)
		;
	_exit(0);
}
