// SPDX-License-Identifier: LGPL-2.1-or-later
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

__u64 kscope_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (__u64)ts.tv_sec * 1000000000ULL + (__u64)ts.tv_nsec;
}

int kscope_open(void)
{
	int dev = open("/dev/kscope", O_RDWR | O_CLOEXEC);

	return dev < 0 ? -errno : dev;
}

int kscope_close(int dev)
{
	return close(dev) ? -errno : 0;
}

int kscope_info(int dev, struct kscope_info *info)
{
	*info = (struct kscope_info){ .size = sizeof(*info) };
	return ioctl_ret(dev, KSCOPE_IOC_INFO, info);
}

int kscope_op_at(int dev, unsigned int index, struct kscope_op_info *op)
{
	*op = (struct kscope_op_info){ .size = sizeof(*op), .index = index };
	return ioctl_ret(dev, KSCOPE_IOC_OP_INFO, op);
}

int kscope_op_lookup(int dev, const char *name, struct kscope_op_info *op)
{
	size_t len = strlen(name);

	*op = (struct kscope_op_info){ .size = sizeof(*op),
				       .flags = KSCOPE_OP_INFO_BY_NAME };
	if (len >= sizeof(op->name))
		return -ENOENT;
	memcpy(op->name, name, len);
	return ioctl_ret(dev, KSCOPE_IOC_OP_INFO, op);
}
