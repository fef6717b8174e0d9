// SPDX-License-Identifier: GPL-2.0
#include <stdint.h>

#include "engine.h"

int feed_open(struct feed *feed, int dev, unsigned int kind,
	      unsigned int capacity)
{
	const struct kscope_scope_params params = {
		.kind = kind,
		.capacity = capacity,
	};

	return kscope_scope_create(&feed->scope, dev, &params);
}

/*
 * A block has one child at a time in the reader, and the batch has room for one child of
 * each block: it cannot be full. The same holds for a digester.
 */
struct kscope_desc *feed_get(struct feed *feed, struct block *block)
{
	block->lane->inflight++;
	feed->inflight++;
	return kscope_batch_get(&feed->batch);
}

static struct block *block_of(__u64 user_data)
{
	return (struct block *)(uintptr_t)user_data;
}

static void child_ended(struct feed *feed, __u64 user_data, int status,
			__u64 done)
{
	feed->inflight--;
	lane_child_ended(block_of(user_data), status, done);
}

void feed_flush(struct feed *feed)
{
	__u64 user_data;
	int ret;

	while (feed->batch.nr) {
		ret = kscope_batch_spawn(&feed->scope, &feed->batch, NULL);
		if (ret > 0)
			continue;
		user_data = feed->batch.descs[0].user_data;
		kscope_batch_drop(&feed->batch, 1);
		child_ended(feed, user_data, ret ? ret : -EINVAL, 0);
	}
}

void feed_reap(struct feed *feed)
{
	struct kscope_completion completion;

	while (kscope_next(&feed->scope, &completion))
		child_ended(feed, completion.user_data, completion.status,
			    completion.done);
}
