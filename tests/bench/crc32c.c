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

static uint32_t shifted[4][256];

__attribute__((target("sse4.2"))) static uint64_t add8(uint64_t crc,
						       const uint8_t *from)
{
	uint64_t word;

	memcpy(&word, from, sizeof(word));
	return __builtin_ia32_crc32di(crc, word);
}

static uint32_t shift(uint32_t crc)
{
	return shifted[0][crc & 255] ^ shifted[1][crc >> 8 & 255] ^
	       shifted[2][crc >> 16 & 255] ^ shifted[3][crc >> 24];
}

__attribute__((target("sse4.2"))) static uint64_t add_block(uint64_t crc,
							    const uint8_t *from)
{
	uint64_t second = 0, third = 0;

#pragma GCC unroll 6
	for (size_t i = 0; i < LANE; i += 8) {
		crc = add8(crc, from + i);
		second = add8(second, from + LANE + i);
		third = add8(third, from + 2 * LANE + i);
	}
	return shift(shift((uint32_t)crc) ^ (uint32_t)second) ^ third;
}

__attribute__((target("sse4.2"))) uint32_t crc32c(const void *mem, size_t len)
{
	const uint8_t *from = mem;
	uint64_t crc = ~0U;

	for (; len >= 3 * LANE; len -= 3 * LANE, from += 3 * LANE)
		crc = add_block(crc, from);
#pragma GCC unroll 8
	for (; len >= 8; len -= 8, from += 8)
		crc = add8(crc, from);
	for (; len; len--, from++)
		crc = __builtin_ia32_crc32qi((uint32_t)crc, *from);
	return ~(uint32_t)crc;
}

static uint32_t crc_before_zeros(uint32_t crc)
{
	static const uint8_t zeros[LANE];
	uint64_t value = crc;

	for (size_t i = 0; i < LANE; i += 8)
		value = add8(value, zeros + i);
	return (uint32_t)value;
}

void crc32c_init(void)
{
	CHECK(__builtin_cpu_supports("sse4.2"));
	for (uint32_t byte = 0; byte < 4; byte++)
		for (uint32_t i = 0; i < 256; i++)
			shifted[byte][i] = crc_before_zeros(i << 8 * byte);
	CHECK(crc32c("123456789", 9) == 0xe3069283);
}
