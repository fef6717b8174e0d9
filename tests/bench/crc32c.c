// SPDX-License-Identifier: GPL-2.0
/*
 * CRC-32C with the processor's instruction, as the kernel does it. One such
 * instruction waits for the one before, but three chains run side by side: a block is
 * taken as three lanes, and their CRCs are put together with a table that tells
 * what a CRC becomes when a lane of zeros follows.
 */
#include <string.h>

#include "bench.h"
#include "crc32c.h"

#define LANE 336UL /* bytes; four blocks of three lanes in a page */

static __u32 shifted[4][256];

__attribute__((target("sse4.2"))) static __u64 add8(__u64 crc, const __u8 *from)
{
	__u64 word;

	memcpy(&word, from, sizeof(word));
	return __builtin_ia32_crc32di(crc, word);
}

static __u32 shift(__u32 crc)
{
	return shifted[0][crc & 255] ^ shifted[1][crc >> 8 & 255] ^
	       shifted[2][crc >> 16 & 255] ^ shifted[3][crc >> 24];
}

__attribute__((target("sse4.2"))) static __u64 add_block(__u64 crc,
							 const __u8 *from)
{
	__u64 second = 0, third = 0;

#pragma GCC unroll 6
	for (size_t i = 0; i < LANE; i += 8) {
		crc = add8(crc, from + i);
		second = add8(second, from + LANE + i);
		third = add8(third, from + 2 * LANE + i);
	}
	return shift(shift((__u32)crc) ^ (__u32)second) ^ third;
}

__attribute__((target("sse4.2"))) __u32 crc32c(const void *mem, size_t len)
{
	const __u8 *from = mem;
	__u64 crc = ~0U;

	for (; len >= 3 * LANE; len -= 3 * LANE, from += 3 * LANE)
		crc = add_block(crc, from);
#pragma GCC unroll 8
	for (; len >= 8; len -= 8, from += 8)
		crc = add8(crc, from);
	for (; len; len--, from++)
		crc = __builtin_ia32_crc32qi((__u32)crc, *from);
	return ~(__u32)crc;
}

static __u32 crc_before_zeros(__u32 crc)
{
	static const __u8 zeros[LANE];
	__u64 value = crc;

	for (size_t i = 0; i < LANE; i += 8)
		value = add8(value, zeros + i);
	return (__u32)value;
}

void crc32c_init(void)
{
	CHECK(__builtin_cpu_supports("sse4.2"));
	for (__u32 byte = 0; byte < 4; byte++)
		for (__u32 i = 0; i < 256; i++)
			shifted[byte][i] = crc_before_zeros(i << 8 * byte);
	CHECK(crc32c("123456789", 9) == 0xe3069283);
}
