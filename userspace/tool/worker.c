// SPDX-License-Identifier: GPL-2.0
/*
 * Making workers. What cannot be had because of RLIMIT_MEMLOCK is done without: only the first
 * worker is a must, and it is tried in ever smaller shapes.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine.h"
#include "tool.h"

static const struct shape {
	unsigned int nr_blocks;
	unsigned int block;
} shapes[] = {
	{ BLOCKS_MAX, 65536 }, { 8, 16384 }, { 4, 8192 },
	{ 2, 4096 },	       { 1, 4096 },
};

static int shape_try(struct worker *worker, const struct shape *shape)
{
	size_t len = (size_t)shape->nr_blocks * shape->block;
	void *mem;

	len += (size_t)sysconf(_SC_PAGESIZE);
	mem = mmap(NULL, len, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (mem == MAP_FAILED)
		return -errno;
	worker->buf = kscope_buf_pin(&worker->scope, mem, len, 0);
	if (worker->buf < 0) {
		munmap(mem, len);
		return worker->buf;
	}
	worker->mem = mem;
	worker->len = len;
	worker->nr_blocks = shape->nr_blocks;
	worker->block = shape->block;
	return 0;
}

static int memory_get(struct worker *worker, bool is_first)
{
	int ret = shape_try(worker, &shapes[0]);
	size_t i;

	for (i = 1; is_first && ret == -ENOMEM && i < ARRAY_SIZE(shapes); i++)
		ret = shape_try(worker, &shapes[i]);
	if (is_first && ret == -ENOMEM)
		message_memlock();
	else if (is_first && ret)
		message("cannot pin memory: %s", strerror(-ret));
	return ret;
}

static int hash_get(struct worker *worker, bool is_first)
{
	struct engine *engine = worker->engine;
	int ret = kscope_hash_open(&worker->scope, engine->hash_name,
				   is_first ? &engine->digest_size : NULL);

	worker->hash = ret;
	if (ret >= 0)
		return engine->digest_size > DIGEST_MAX ? -EOVERFLOW : 0;
	if (is_first && ret == -ENOENT)
		message("%s: the kernel has no such hash; see 'name' in /proc/crypto",
			engine->hash_name);
	else if (is_first)
		message("%s: %s", engine->hash_name, strerror(-ret));
	return ret;
}

static int scope_get(struct worker *worker, bool is_first)
{
	const struct kscope_scope_params params = { .capacity = BLOCKS_MAX };
	int ret = kscope_scope_create(&worker->scope, worker->engine->dev,
				      &params);

	if (ret && is_first)
		message("cannot create a scope: %s", strerror(-ret));
	return ret;
}

int worker_open(struct worker *worker)
{
	bool is_first = worker == worker->engine->workers;
	int ret = scope_get(worker, is_first);

	if (!ret)
		ret = hash_get(worker, is_first);
	if (!ret)
		ret = memory_get(worker, is_first);
	return ret;
}

void worker_close(struct worker *worker)
{
	kscope_scope_close(&worker->scope);
	if (worker->mem)
		munmap(worker->mem, worker->len);
	worker->mem = NULL;
}
