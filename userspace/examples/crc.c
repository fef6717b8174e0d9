// SPDX-License-Identifier: GPL-2.0
/*
 * CRC-32C of each part of a buffer, several at the same time, told in their order.
 *
 * The scope is bound to the block: whatever way it is left, no child touches the memory
 * after that.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kscope.h"

#define PARTS 16
#define PART_BYTES (256 * 1024)
#define AT_A_TIME 4

static char memory[PARTS * PART_BYTES];

static int next_part(void *arg, __u64 i, struct kscope_desc *desc)
{
	const int *buf = arg;

	kscope_prep_crc32c(desc, *buf, i * PART_BYTES, PART_BYTES, 0);
	return i < PARTS;
}

static int print_part(void *arg, __u64 i, const struct kscope_completion *done)
{
	(void)arg;
	if (!done->status)
		printf("part %llu: %08llx\n", (unsigned long long)i,
		       (unsigned long long)done->value);
	return done->status;
}

static int crc_of_parts(int dev)
{
	KSCOPE_SCOPED(scope);
	int buf;
	const struct kscope_map map = { .next = next_part,
					.done = print_part,
					.arg = &buf,
					.bound = AT_A_TIME,
					.flags = KSCOPE_MAP_IN_ORDER };
	int ret = kscope_scope_create(&scope, dev, NULL);

	if (ret)
		return ret;
	buf = kscope_buf_pin(&scope, memory, sizeof(memory), 0);
	return buf < 0 ? buf : kscope_map(&scope, &map);
}

int main(void)
{
	int dev = kscope_open();
	int ret = dev;
	size_t i;

	for (i = 0; i < sizeof(memory); i++)
		memory[i] = (char)(i / 257);
	if (dev >= 0) {
		ret = crc_of_parts(dev);
		kscope_close(dev);
	}
	if (ret < 0)
		fprintf(stderr, "crc: %s\n", strerror(-ret));
	return ret < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
