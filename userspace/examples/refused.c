// SPDX-License-Identifier: GPL-2.0
/*
 * A release that is refused, and says why; then what to do about it: cancel, join, release.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kscope.h"

#define MIB (1024ULL * 1024)
#define SECOND_NS 1000000000ULL
#define NR_FILLS 6

static void print_blocker(const struct kscope_blocker *blocker)
{
	printf("  child %#llx: %s, %s, for %.1f ms",
	       (unsigned long long)blocker->child, kscope_op_name(blocker->op),
	       kscope_state_str(blocker->state), blocker->age_ns / 1e6);
	if (blocker->buf)
		printf(", borrows bytes %llu to %llu of buffer %#x",
		       (unsigned long long)blocker->off,
		       (unsigned long long)(blocker->off + blocker->len),
		       blocker->buf);
	putchar('\n');
}

static int try_release(const struct kscope_scope *scope)
{
	struct kscope_blocker blockers[KSCOPE_MAX_BLOCKERS];
	unsigned int nr = KSCOPE_MAX_BLOCKERS;
	int ret = kscope_release(scope, blockers, &nr);
	unsigned int i;

	if (!ret) {
		puts("RELEASE: done, the memory is ours again");
		return 0;
	}
	printf("RELEASE: refused: %s, because of\n", strerror(-ret));
	for (i = 0; i < nr; i++)
		print_blocker(&blockers[i]);
	return ret;
}

static int spawn_children(const struct kscope_scope *scope, int buf, __u64 len)
{
	KSCOPE_BATCH(batch, NR_FILLS + 2);
	__u64 part = len / 2 / NR_FILLS;
	unsigned int i;

	kscope_prep_sleep(kscope_batch_get(&batch),
			  kscope_now_ns() + 3600 * SECOND_NS);
	for (i = 0; i < NR_FILLS; i++)
		kscope_prep_fill(kscope_batch_get(&batch), buf, i * part, part,
				 i);
	kscope_prep_copy(kscope_batch_get(&batch), buf, len / 2, buf,
			 len * 3 / 4, len / 4);
	printf("spawning %u children: a sleep of an hour, %d fills, a copy\n",
	       batch.nr, NR_FILLS);
	return kscope_batch_spawn(scope, &batch, NULL);
}

static void print_completions(struct kscope_scope *scope)
{
	struct kscope_completion done;

	while (kscope_next(scope, &done))
		printf("  child %#llx: %s after %llu bytes, cause: %s\n",
		       (unsigned long long)done.child,
		       kscope_outcome_str(done.outcome),
		       (unsigned long long)done.done,
		       kscope_cause_str(done.cause));
}

static int cancel_and_join(struct kscope_scope *scope)
{
	struct kscope_cancel counts;
	int ret = kscope_cancel_scope(scope, &counts);

	if (ret)
		return ret;
	printf("CANCEL: %u never started, %u running ones were told\n",
	       counts.never_started, counts.told);
	ret = KSCOPE_RETRY(kscope_join(scope, 0, NULL));
	if (ret)
		return ret;
	puts("JOIN: nothing is outstanding; the children ended like this");
	print_completions(scope);
	return 0;
}

static int show(struct kscope_scope *scope, void *memory, __u64 len)
{
	int buf = kscope_buf_pin(scope, memory, len, 0);
	int ret;

	if (buf < 0)
		return buf;
	printf("pinned %llu MiB of memory\n", (unsigned long long)(len / MIB));
	ret = spawn_children(scope, buf, len);
	if (ret < 0)
		return ret;
	usleep(1000); /* so that they run */
	ret = try_release(scope);
	if (ret != -EBUSY)
		return ret ? ret : -EPROTO;
	ret = cancel_and_join(scope);
	return ret ? ret : try_release(scope);
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
	kscope_close(dev);
	return ret ? ret : show(&scope, memory, len);
}

/* Usage: refused [MIB] */
int main(int argc, char **argv)
{
	__u64 mib = argc > 1 ? strtoull(argv[1], NULL, 0) : 4;
	int ret = run((mib ? mib : 1) * MIB);

	if (ret)
		fprintf(stderr, "refused: %s\n", strerror(-ret));
	return ret ? EXIT_FAILURE : EXIT_SUCCESS;
}
