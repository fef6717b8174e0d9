/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KSCOPE_BENCH_CRC32C_H
#define KSCOPE_BENCH_CRC32C_H

#include <stddef.h>
#include <linux/types.h>

/* To be called once, before crc32c(). */
void crc32c_init(void);

/* The CRC-32C of @len bytes, as iSCSI and ext4 know it. */
__u32 crc32c(const void *from, size_t len);

#endif
