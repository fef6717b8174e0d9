// SPDX-License-Identifier: GPL-2.0
/*
 * Ending by a signal. The handler sets a flag and writes to a pipe, which is one of the
 * things that the main loop polls: no signal is lost between a check and a sleep. A
 * second signal ends the tool at once; the kernel then cleans up.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "tool.h"

volatile sig_atomic_t stop_signal;

static int stop_pipe[2] = { -1, -1 };
static sigset_t caught;

static const int stop_signals[] = { SIGINT, SIGTERM, SIGHUP };

static void on_signal(int sig)
{
	int saved = errno;
	ssize_t ret;

	stop_signal = sig;
	/* If the pipe is full, it is readable, too. */
	ret = write(stop_pipe[1], "", 1);
	(void)ret;
	errno = saved;
}

static bool is_ignored(int sig)
{
	struct sigaction old;

	return !sigaction(sig, NULL, &old) && old.sa_handler == SIG_IGN;
}

int stop_install(void)
{
	struct sigaction action = { .sa_handler = on_signal,
				    .sa_flags = (int)SA_RESETHAND };
	size_t i;

	if (pipe2(stop_pipe, O_CLOEXEC | O_NONBLOCK))
		return -errno;
	sigemptyset(&action.sa_mask);
	sigemptyset(&caught);
	for (i = 0; i < ARRAY_SIZE(stop_signals); i++) {
		if (is_ignored(stop_signals[i]))
			continue;
		sigaction(stop_signals[i], &action, NULL);
		sigaddset(&caught, stop_signals[i]);
	}
	return 0;
}

const sigset_t *stop_set(void)
{
	return &caught;
}

int stop_fd(void)
{
	return stop_pipe[0];
}

void stop_raise(void)
{
	signal(stop_signal, SIG_DFL);
	raise(stop_signal);
	_exit(128 + stop_signal);
}
