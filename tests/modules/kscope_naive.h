/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KSCOPE_NAIVE_H
#define KSCOPE_NAIVE_H

#include <linux/ioctl.h>
#include <linux/kscope.h>
#include <linux/types.h>

/**
 * struct kscope_naive - run children that do nothing (KSCOPE_NAIVE_RUN)
 * @descs: address of @nr descriptors
 * @completions: address of room for as many completions
 * @nr: how many
 * @reserved: 0
 */
struct kscope_naive {
	__u64 descs;
	__u64 completions;
	__u32 nr;
	__u32 reserved;
};

#define KSCOPE_NAIVE_RUN _IOW(KSCOPE_IOC_MAGIC, 0x80, struct kscope_naive)

#endif
