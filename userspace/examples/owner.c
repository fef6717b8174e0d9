// SPDX-License-Identifier: GPL-2.0
/*
 * An owner that will be killed: it pins memory, starts children that take long, says
 * "ready PID PAGES" and waits for its end. The kernel then stops the children and
 * unpins the memory; there is nothing that this program does for it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kscope.h"

#define MIB (1024ULL * 1024)
#define HOUR_NS (3600 * 1000000000ULL)
#define NR_SLEEPS 4
#define NR_FILLS 32

/* Each part of the memory is filled by one child after the other: not by two at a time. */
static int spawn_fill(struct kscope_scope *scope, int buf, __u64 len,
		      __u64 which)
{
	static __u64 count;
	struct kscope_desc desc;
	__u64 part = len / NR_FILLS;

	kscope_prep_fill(&desc, buf, which * part, part, count++);
	desc.user_data = which;
	return kscope_spawn(scope, &desc, 1, NULL);
}

static int spawn_first(struct kscope_scope *scope, int buf, __u64 len)
{
	KSCOPE_BATCH(batch, NR_SLEEPS);
	struct kscope_desc *desc;
	int ret;
	int i;

	while ((desc = kscope_batch_get(&batch)))
		kscope_prep_sleep(desc, kscope_now_ns() + HOUR_NS);
	ret = kscope_batch_spawn(scope, &batch, NULL);
	for (i = 0; i < NR_FILLS && ret > 0; i++)
		ret = spawn_fill(scope, buf, len, (__u64)i);
	return ret < 0 ? ret : 0;
}

static int keep_busy(struct kscope_scope *scope, int buf, __u64 len)
{
	struct kscope_completion done;
	int ret;

	for (;;) {
		ret = kscope_wait(scope, 1, 0);
		while (ret > 0 && kscope_next(scope, &done))
			ret = done.status ? done.status :
					    spawn_fill(scope, buf, len,
						       done.user_data);
		if (ret < 0 && ret != -EINTR)
			return ret;
	}
}

static int own(struct kscope_scope *scope, void *memory, __u64 len)
{
	struct kscope_query query;
	int buf = kscope_buf_pin(scope, memory, len, 0);
	int ret = buf < 0 ? buf : spawn_first(scope, buf, len);

	if (!ret)
		ret = kscope_query(scope, &query);
	if (ret)
		return ret;
	printf("ready %d %llu\n", getpid(),
	       (unsigned long long)query.pinned_pages);
	fflush(stdout);
	return keep_busy(scope, buf, len);
}

static int run(__u64 len)
{
	void *memory = mmap(NULL, len, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	KSCOPE_SCOPED(scope);
	int dev = kscope_open();
	int ret = dev;

	if (memory == MAP_FAILED)
		return -ENOMEM;
	if (dev < 0)
		return ret;
	ret = kscope_scope_create(&scope, dev, NULL);
	return ret ? ret : own(&scope, memory, len);
}

/* Usage: owner [MIB] */
int main(int argc, char **argv)
{
	__u64 mib = argc > 1 ? strtoull(argv[1], NULL, 0) : 64;
	int ret = run((mib ? mib : 1) * MIB);

	fprintf(stderr, "owner: %s\n", strerror(-ret));
	return EXIT_FAILURE;
}
