// SPDX-License-Identifier: GPL-2.0
/*
 * CRC-32C of the four quarters of a buffer, by four children at the same time.
 *
 * The scope is bound to the block: whatever way it is left, no child touches the memory
 * after that.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kscope.h"

#define PARTS 4
#define PART_BYTES (1024 * 1024)

static char memory[PARTS * PART_BYTES];

static int crc_of_parts(int dev)
{
	KSCOPE_SCOPED(scope);
	KSCOPE_BATCH(batch, PARTS);
	struct kscope_completion done;
	struct kscope_desc *desc;
	unsigned int i;
	int buf, ret;

	ret = kscope_scope_create(&scope, dev, NULL);
	if (ret)
		return ret;
	buf = kscope_buf_pin(&scope, memory, sizeof(memory), 0);
	if (buf < 0)
		return buf;
	for (i = 0; i < PARTS; i++) {
		desc = kscope_batch_get(&batch);
		kscope_prep_crc32c(desc, buf, (__u64)i * PART_BYTES, PART_BYTES,
				   0);
		desc->user_data = i;
	}
	ret = kscope_batch_spawn_wait(&scope, &batch, NULL, PARTS, 0);
	if (ret < 0)
		return ret;
	while (kscope_next(&scope, &done)) {
		if (done.status)
			return done.status;
		printf("part %llu: %08llx\n",
		       (unsigned long long)done.user_data,
		       (unsigned long long)done.value);
	}
	return 0;
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
