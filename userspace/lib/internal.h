/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef KSCOPE_LIB_INTERNAL_H
#define KSCOPE_LIB_INTERNAL_H

#include <errno.h>
#include <stdint.h>
#include <sys/ioctl.h>

#include "kscope.h"

static inline int ioctl_ret(int fd, unsigned long cmd, void *arg)
{
	int ret = ioctl(fd, cmd, arg);

	return ret < 0 ? -errno : ret;
}

static inline __u64 addr_u64(const void *addr)
{
	return (__u64)(uintptr_t)addr;
}

#endif /* KSCOPE_LIB_INTERNAL_H */
