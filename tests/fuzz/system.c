// SPDX-License-Identifier: GPL-2.0
/*
 * What the system says when a worker has gone: the module's own recount, pages that are
 * still pinned, references to the module, and the kernel's log.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "fuzz.h"
#include "system.h"

#define PARAMETERS "/sys/module/kscope/parameters/"
#define SETTLE_MS 15000

static long pins_before;
static long users_before;
static int log_fd = -1;

static ssize_t file_read(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len;

	if (fd < 0)
		return -errno;
	len = read(fd, text, size - 1);
	close(fd);
	if (len >= 0)
		text[len] = 0;
	return len;
}

bool parameter_write(const char *name, __u32 value)
{
	char path[128], text[16];
	int fd, len;
	bool good;

	snprintf(path, sizeof(path), PARAMETERS "%s", name);
	len = snprintf(text, sizeof(text), "%u", value);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	good = write(fd, text, len) == len;
	close(fd);
	return good;
}

static long vmstat(const char *text, const char *key)
{
	const char *at = strstr(text, key);

	return at ? atol(at + strlen(key)) : 0;
}

static long pins_now(void)
{
	static char text[16384];
	int fd = open("/proc/sys/vm/stat_refresh", O_WRONLY | O_CLOEXEC);

	if (fd >= 0) {
		if (write(fd, "1", 1) < 0)
			perror("fuzz: stat_refresh");
		close(fd);
	}
	if (file_read("/proc/vmstat", text, sizeof(text)) < 0)
		return 0;
	return vmstat(text, "nr_foll_pin_acquired ") -
	       vmstat(text, "nr_foll_pin_released ");
}

static long users_now(void)
{
	char text[32];

	if (file_read("/sys/module/kscope/refcnt", text, sizeof(text)) < 0)
		return 0;
	return atol(text);
}

/* What is left now is not held against those that come. */
void system_forgive(void)
{
	pins_before = pins_now();
	users_before = users_now();
}

void system_start(void)
{
	system_forgive();
	log_fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (log_fd >= 0)
		lseek(log_fd, 0, SEEK_END);
}

static bool line_is_trouble(const char *line)
{
	static const char *const words[] = {
		"WARNING:",
		"BUG:",
		"Oops",
		"general protection",
		"kernel BUG",
		"possible circular",
		"possible recursive",
		"inconsistent lock",
		"suspicious RCU",
		"blocked for more",
		"lockup",
		"refcount_t",
		"UBSAN",
		"KASAN",
		"KFENCE",
		"KCSAN",
		"Bad page",
		"Bad rss",
		"corruption",
		"scheduling while atomic",
		"sleeping function",
		"ODEBUG",
		"leaked",
	};
	unsigned int i;

	/* races of the rest of the kernel are not ours */
	if (strstr(line, "KCSAN") && !strstr(line, "kscope"))
		return false;
	for (i = 0; i < ARRAY_SIZE(words); i++)
		if (strstr(line, words[i]))
			return true;
	return false;
}

/* Read the log up to its end; a line that means trouble goes to @text. */
bool log_is_clean(char *text, size_t size)
{
	char line[2048], *message;
	ssize_t len;
	bool clean = true;

	if (log_fd < 0)
		return true;
	while ((len = read(log_fd, line, sizeof(line) - 1)) > 0 ||
	       (len < 0 && errno == EPIPE)) {
		if (len < 0 || !clean)
			continue;
		line[len] = 0;
		message = strchr(line, ';');
		if (!message || !line_is_trouble(message))
			continue;
		snprintf(text, size, "kernel log: %.*s",
			 (int)strcspn(message + 1, "\n"), message + 1);
		clean = false;
	}
	return clean;
}

/* Return: true if nothing is left; else @text says what is */
static bool is_settled(char *text, size_t size)
{
	static const char good[] = "ok scopes=0 ", none[] = " charged=0/0/0";
	static char check[4096];
	long pins, users;

	if (file_read(PARAMETERS "test_check", check, sizeof(check)) > 0 &&
	    (strncmp(check, good, strlen(good)) || !strstr(check, none))) {
		snprintf(text, size, "test_check says: %s", check);
		return false;
	}
	users = users_now();
	if (users != users_before) {
		snprintf(text, size, "%ld references to the module are left",
			 users - users_before);
		return false;
	}
	pins = pins_now();
	if (pins != pins_before) {
		snprintf(text, size, "%ld pages are left pinned",
			 pins - pins_before);
		return false;
	}
	return true;
}

/* After all processes of a worker have gone. Return: true if all is well */
bool system_check(char *text, size_t size)
{
	__u64 deadline = now_ns() + SETTLE_MS * MSEC;

	while (!is_settled(text, size)) {
		if (now_ns() > deadline)
			return false;
		usleep(2000);
	}
	return log_is_clean(text, size);
}
