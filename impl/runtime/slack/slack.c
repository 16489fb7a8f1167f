// See slack.go. It runs before the Go runtime starts its threads, which get the
// timer slack of the thread that makes them (prctl(2), PR_SET_TIMERSLACK).
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

// MONITOR_SLACK is in nanoseconds.
#define MONITOR_SLACK 1000000

// ready says that this process is the one in which the Go runtime is going to
// start. libcontainer's nsenter makes two more before, from a constructor that may
// come after this one, and names the last of them. What those fork would keep this
// slack for good, the container's process as well.
static int ready(void)
{
	char name[16] = "";

	if (getenv("_LIBCONTAINER_INITPIPE") == NULL)
		return 1;
	return prctl(PR_GET_NAME, name, 0, 0, 0) == 0 && strcmp(name, "runc:[2:INIT]") == 0;
}

__attribute__((constructor)) static void slacken(void)
{
	if (ready())
		prctl(PR_SET_TIMERSLACK, MONITOR_SLACK, 0, 0, 0);
}
