// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/resource.h>

#include "kscope.h"
#include "tool.h"

const char *message_prefix = "kscope";

void message(const char *format, ...)
{
	va_list args;

	progress_clear();
	fflush(stdout);
	fprintf(stderr, "%s: ", message_prefix);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

static const char *device_hint(int err)
{
	switch (err) {
	case ENOENT:
	case ENXIO:
	case ENODEV:
		return "the module is not loaded; load it as root: insmod kscope.ko";
	case EACCES:
	case EPERM:
		return "run this as root, or give users access: chmod 666 /dev/kscope";
	}
	return NULL;
}

int device_open(void)
{
	int dev = kscope_open();
	const char *hint;

	if (dev >= 0)
		return dev;
	message("/dev/kscope: %s", strerror(-dev));
	hint = device_hint(-dev);
	if (hint)
		message("%s", hint);
	return dev;
}

void message_memlock(void)
{
	struct rlimit limit;

	message("cannot pin memory: %s", strerror(ENOMEM));
	if (getrlimit(RLIMIT_MEMLOCK, &limit) ||
	    limit.rlim_cur == RLIM_INFINITY)
		return;
	message("the limit of locked memory is %llu KiB: raise it, see 'ulimit -l'",
		(unsigned long long)limit.rlim_cur / 1024);
}

static int output_error;

void output_check(void)
{
	if (!output_error && ferror(stdout))
		output_error = errno;
}

bool output_finish(void)
{
	if (!fflush(stdout) && !ferror(stdout))
		return true;
	output_check();
	message("write error: %s", strerror(output_error));
	return false;
}
