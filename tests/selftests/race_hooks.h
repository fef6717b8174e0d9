/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The module's test hooks, seen from a test: noise, small limits, and stops. They are there
 * only if the module was built with them; hooks_there() tells.
 */
#ifndef RACE_HOOKS_H
#define RACE_HOOKS_H

#include "kscope_sys.h"

#define PARAMETERS "/sys/module/kscope/parameters/"
#define GATE "/sys/module/kscope_gate/parameters/open"
#define GATE_HEEDS (1U << 0)
#define GATE_REFUSES (1U << 1)

static inline int text_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t len = strlen(text);
	int ret;

	if (fd < 0)
		return -errno;
	ret = write(fd, text, len) == len ? 0 : -errno;
	close(fd);
	return ret;
}

/* The start of a file, as a string without its last newline. */
static inline int text_read(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len;

	if (fd < 0)
		return -errno;
	len = read(fd, text, size - 1);
	close(fd);
	if (len < 0)
		return -EIO;
	if (len && text[len - 1] == '\n')
		len--;
	text[len] = '\0';
	return 0;
}

static inline int number_write(const char *path, __u64 value)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	return text_write(path, text);
}

static inline bool hooks_there(void)
{
	return !access(PARAMETERS "test_stop", W_OK);
}

static inline void hooks_noise(__u64 seed)
{
	number_write(PARAMETERS "test_seed", seed);
}

static inline void hooks_limit(unsigned int limit)
{
	number_write(PARAMETERS "test_limit", limit);
}

static inline int stop_go(void)
{
	return text_write(PARAMETERS "test_go", "1");
}

/* No noise, no limit, nobody held. */
static inline void hooks_quiet(void)
{
	if (!hooks_there())
		return;
	stop_go();
	hooks_noise(0);
	hooks_limit(0);
}

/* Let the next child with @user_data that comes to @stage wait there. */
static inline int stop_at(const char *stage, __u64 user_data)
{
	char text[64];

	snprintf(text, sizeof(text), "%s %llu", stage,
		 (unsigned long long)user_data);
	return text_write(PARAMETERS "test_stop", text);
}

static inline bool stop_holds(void)
{
	char text[64];

	return !text_read(PARAMETERS "test_stop", text, sizeof(text)) &&
	       !strncmp(text, "holding", 7);
}

/* Wait until somebody is held: 0 or -ETIMEDOUT. */
static inline int stop_wait(void)
{
	__u64 deadline = in_ms(PATIENCE_MS);

	while (!stop_holds()) {
		if (now_ns() > deadline)
			return -ETIMEDOUT;
		usleep(200);
	}
	return 0;
}

/* Do the module's counts agree with its objects: yes, also where it cannot be asked. */
static inline bool hooks_agree(void)
{
	char text[2048];

	if (!hooks_there())
		return true;
	if (text_read(PARAMETERS "test_check", text, sizeof(text)))
		return false;
	if (!strncmp(text, "ok", 2))
		return true;
	printf("# test_check: %s\n", text);
	return false;
}

static inline int gate_set(bool open_it)
{
	return text_write(GATE, open_it ? "1" : "0");
}

/* The number of the op "gate", or -errno. */
static inline int gate_op(void)
{
	struct kscope_op_info info = { .size = sizeof(info),
				       .flags = KSCOPE_OP_INFO_BY_NAME,
				       .name = "gate" };
	int dev = dev_open(), ret;

	ret = xioctl(dev, KSCOPE_IOC_OP_INFO, &info);
	close(dev);
	return ret ?: (int)info.op;
}

static inline struct kscope_desc
desc_gate(unsigned int op, unsigned int op_flags, unsigned int buf)
{
	return (struct kscope_desc){
		.op = op, .op_flags = op_flags, .buf = buf, .len = 16
	};
}

#endif /* RACE_HOOKS_H */
