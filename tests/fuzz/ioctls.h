/* SPDX-License-Identifier: GPL-2.0 */
#ifndef FUZZ_IOCTLS_H
#define FUZZ_IOCTLS_H

#include <stddef.h>
#include <linux/types.h>

struct ctx;
struct arg;
struct place;

long ioctl_make(struct ctx *ctx, const struct arg *args, unsigned int cmd,
		void *data, size_t size);
struct place blockers_put(struct ctx *ctx, const struct arg *at);
void blockers_check(const struct place *place, __u32 nr, long ret);

#endif /* FUZZ_IOCTLS_H */
