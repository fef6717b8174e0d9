// SPDX-License-Identifier: GPL-2.0
/*
 * Making lanes. They are made when a job needs one and all others are busy; what cannot
 * be had because of RLIMIT_MEMLOCK is done without. Only the first big lane is a must:
 * it is tried in ever smaller shapes, and 3 pages are enough.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "engine.h"
#include "tool.h"

static const struct shape {
	unsigned int nr_blocks;
	unsigned int block_size;
} shapes[] = {
	{ 4, 262144 }, { 4, 65536 }, { 2, 65536 }, { 2, 32768 },
	{ 2, 12288 },  { 2, 8192 },  { 2, 4096 },  { 1, 4096 },
};

static size_t page_bytes(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

static struct region *region_create(size_t len)
{
	struct region *region = calloc(1, sizeof(*region));

	if (!region)
		return NULL;
	region->len = len;
	region->mem = mmap(NULL, len, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (region->mem != MAP_FAILED)
		return region;
	free(region);
	return NULL;
}

static void region_destroy(struct region *region)
{
	munmap(region->mem, region->len);
	free(region);
}

static void region_keep(struct engine *engine, struct region *region)
{
	region->next = engine->regions;
	engine->regions = region;
}

static struct lane *lane_create(struct engine *engine, bool small,
				const struct shape *shape)
{
	struct lane *lane = calloc(1, sizeof(*lane));
	unsigned int i;

	if (!lane)
		return NULL;
	lane->engine = engine;
	lane->small = small;
	lane->nr_blocks = shape->nr_blocks;
	lane->block_size = shape->block_size;
	lane->digester.scope = (struct kscope_scope)KSCOPE_SCOPE_INIT;
	lane->digester.batch.descs = lane->descs;
	lane->digester.batch.cap = ARRAY_SIZE(lane->descs);
	for (i = 0; i < shape->nr_blocks; i++)
		lane->blocks[i].lane = lane;
	return lane;
}

static void lane_keep(struct engine *engine, struct lane *lane)
{
	engine->lanes[engine->nr_lanes++] = lane;
}

/* ---- Small lanes ---- */

static struct lane *small_create(struct engine *engine, struct region *region,
				 int buf, unsigned int index)
{
	static const struct shape shape = { 1, SMALL_BLOCK };
	struct lane *lane = lane_create(engine, true, &shape);
	size_t off = (size_t)index * SMALL_BLOCK;
	size_t out = (size_t)SMALL_GROUP * SMALL_BLOCK + index * DIGEST_MAX;

	if (!lane)
		return NULL;
	lane->mem = (unsigned char *)region->mem + off;
	lane->digest = (unsigned char *)region->mem + out;
	lane->read_buf = buf;
	lane->read_off = off;
	lane->hasher = &engine->reader;
	lane->hash = engine->reader_hash;
	lane->hash_buf = buf;
	lane->hash_off = off;
	lane->out_buf = buf;
	lane->out_off = out;
	return lane;
}

static int add_small(struct engine *engine)
{
	struct region *region;
	struct lane *lane;
	unsigned int i;
	int buf;

	region =
		region_create((size_t)SMALL_GROUP * SMALL_BLOCK + page_bytes());
	if (!region)
		return -ENOMEM;
	buf = kscope_buf_pin(&engine->reader.scope, region->mem, region->len,
			     0);
	if (buf < 0) {
		region_destroy(region);
		return buf;
	}
	region_keep(engine, region);
	for (i = 0; i < SMALL_GROUP; i++) {
		lane = small_create(engine, region, buf, i);
		if (!lane)
			return -ENOMEM;
		lane_keep(engine, lane);
		engine->nr_small++;
	}
	return 0;
}

/* ---- Big lanes ---- */

/* Pin the blocks for reading, and the digest's page behind them for writing. */
static int digester_pin(struct lane *lane, size_t len)
{
	const struct kscope_scope *scope = &lane->digester.scope;

	lane->hash_buf =
		kscope_buf_pin(scope, lane->mem, len, KSCOPE_PIN_READ_ONLY);
	if (lane->hash_buf < 0)
		return lane->hash_buf;
	lane->out_buf = kscope_buf_pin(scope, lane->digest, DIGEST_MAX, 0);
	return lane->out_buf < 0 ? lane->out_buf : 0;
}

static int digester_open(struct lane *lane, size_t len)
{
	struct engine *engine = lane->engine;
	struct feed *feed = &lane->digester;
	int ret;

	ret = feed_open(feed, engine->dev, KSCOPE_KIND_ORDERED,
			ARRAY_SIZE(lane->descs));
	if (ret)
		return ret;
	lane->hasher = feed;
	lane->hash = kscope_hash_open(&feed->scope, engine->hash_name, NULL);
	ret = lane->hash < 0 ? lane->hash : digester_pin(lane, len);
	if (ret)
		kscope_scope_close(&feed->scope);
	return ret;
}

static int big_pin(struct lane *lane, size_t len)
{
	const struct kscope_scope *reader = &lane->engine->reader.scope;
	int ret;

	lane->read_buf = kscope_buf_pin(reader, lane->mem, len, 0);
	if (lane->read_buf < 0)
		return lane->read_buf;
	ret = digester_open(lane, len);
	if (ret)
		kscope_buf_unpin(reader, lane->read_buf, NULL, NULL);
	return ret;
}

static int try_big(struct engine *engine, const struct shape *shape)
{
	size_t len = (size_t)shape->nr_blocks * shape->block_size;
	struct lane *lane = lane_create(engine, false, shape);
	struct region *region = region_create(len + page_bytes());
	int ret = -ENOMEM;

	if (lane && region) {
		lane->mem = region->mem;
		lane->digest = lane->mem + len;
		ret = big_pin(lane, len);
	}
	if (!ret) {
		region_keep(engine, region);
		lane_keep(engine, lane);
		engine->nr_big++;
		return 0;
	}
	if (region)
		region_destroy(region);
	free(lane);
	return ret;
}

static int add_big(struct engine *engine)
{
	int ret = -ENOMEM;
	size_t i;

	if (engine->nr_big)
		return try_big(engine, &shapes[0]);
	for (i = 0; i < ARRAY_SIZE(shapes) && ret == -ENOMEM; i++)
		ret = try_big(engine, &shapes[i]);
	return ret;
}

/* ---- Choosing ---- */

/* They leave most of a low limit to the big lanes. */
unsigned int memory_max_small(void)
{
	struct rlimit limit;
	rlim_t groups;

	if (getrlimit(RLIMIT_MEMLOCK, &limit) ||
	    limit.rlim_cur == RLIM_INFINITY)
		return SMALL_MAX;
	groups = limit.rlim_cur / 4 / ((rlim_t)SMALL_GROUP * SMALL_BLOCK);
	return groups < SMALL_MAX / SMALL_GROUP ? groups * SMALL_GROUP :
						  SMALL_MAX;
}

static struct lane *find_idle(const struct engine *engine, bool small)
{
	unsigned int i;

	for (i = 0; i < engine->nr_lanes; i++)
		if (engine->lanes[i]->small == small && !engine->lanes[i]->job)
			return engine->lanes[i];
	return NULL;
}

static struct lane *small_lane(struct engine *engine)
{
	struct lane *lane = find_idle(engine, true);

	if (!lane && engine->nr_small < engine->max_small) {
		if (add_small(engine))
			engine->max_small = engine->nr_small;
		lane = find_idle(engine, true);
	}
	return lane;
}

/* Without any big lane the engine ends, unless a job that ends may make room for it. */
static void grow_big(struct engine *engine)
{
	int ret = add_big(engine);

	if (ret && engine->nr_big)
		engine->max_big = engine->nr_big;
	else if (ret && !engine->nr_running)
		engine->failed = ret;
}

static struct lane *big_lane(struct engine *engine)
{
	struct lane *lane = find_idle(engine, false);

	if (!lane && engine->nr_big < engine->max_big) {
		grow_big(engine);
		lane = find_idle(engine, false);
	}
	return lane;
}

struct lane *memory_lane(struct engine *engine, const struct job *job)
{
	struct lane *lane;

	if (job->big || job->direct)
		return big_lane(engine);
	lane = small_lane(engine);
	return lane || engine->max_small ? lane : big_lane(engine);
}

void memory_close(struct engine *engine)
{
	struct region *region;
	unsigned int i;

	for (i = 0; i < engine->nr_lanes; i++)
		free(engine->lanes[i]);
	while ((region = engine->regions)) {
		engine->regions = region->next;
		region_destroy(region);
	}
}
