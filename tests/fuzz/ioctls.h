/* SPDX-License-Identifier: GPL-2.0 */
#ifndef FUZZ_IOCTLS_H
#define FUZZ_IOCTLS_H

#include <stddef.h>

struct ctx;
struct arg;

long ioctl_make(struct ctx *ctx, const struct arg *args, unsigned int cmd,
		void *data, size_t size);

#endif /* FUZZ_IOCTLS_H */
