// SPDX-License-Identifier: GPL-2.0
/*
 * usage: states
 *
 * Looks at every state that the small world of world.h can get into, breadth first, so that
 * the way to a broken promise is a shortest one. Then it shows that from each of them
 * everything ends if the children return, whatever the program does or leaves undone.
 *
 * Prints the figures and exits with 0; prints the way to a broken promise and exits with 1; or
 * exits with 2 if it could not look.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "world.h"

#ifndef TABLE_BITS
#define TABLE_BITS 24
#endif
#define TABLE_SIZE (1U << TABLE_BITS)
#define TABLE_FULL (TABLE_SIZE / 4 * 3)
#define KNOWN \
	(1ULL << 63) /* so that no key is 0; world_pack() leaves it free */
#define NOBODY 0xffffffffU

/*
 * The worlds seen, in an open hash table; the index there is what a world is called elsewhere.
 * @parent is where it was first reached from. @onward is a step that the kernel takes by
 * itself, or NOBODY if it has nothing more to do.
 */
static __u64 *keys;
static __u32 *parent, *onward, *queue;
static __u32 nr_seen;
static __u64 nr_steps, taken[64];

static void *table(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED) {
		fprintf(stderr, "states: not enough memory\n");
		exit(2);
	}
	madvise(memory, size, MADV_HUGEPAGE);
	return memory;
}

static __u32 bucket(__u64 key)
{
	return key * 0x9e3779b97f4a7c15ULL >> (64 - TABLE_BITS);
}

/* Return: the index of a world, which is new if it is queue[nr_seen - 1] afterwards */
static __u32 look_up(__u64 key, __u32 from)
{
	__u32 i = bucket(key);

	key |= KNOWN;
	while (keys[i] && keys[i] != key)
		i = (i + 1) % TABLE_SIZE;
	if (keys[i])
		return i;
	if (nr_seen == TABLE_FULL) {
		fprintf(stderr, "states: the world is too large\n");
		exit(2);
	}
	keys[i] = key;
	parent[i] = from;
	queue[nr_seen++] = i;
	return i;
}

static void print_way(__u32 to)
{
	struct next next[MAX_NEXT];
	struct world world;
	int nr, i;

	if (parent[to] == NOBODY)
		return;
	print_way(parent[to]);
	world_unpack(keys[parent[to]] & ~KNOWN, &world);
	nr = world_expand(&world, next);
	for (i = 0; i < nr - 1 && (next[i].key | KNOWN) != keys[to]; i++)
		;
	printf("  scope %c: %s\n", 'A' + next[i].scope,
	       rule_words(next[i].rule));
	world_unpack(keys[to] & ~KNOWN, &world);
	world_print(&world);
}

static void report(__u32 at, const struct next *last)
{
	const char *words = broken;

	broken = NULL;
	printf("BROKEN: %s\n", words);
	print_way(at);
	if (last)
		printf("  scope %c: %s: %s\n", 'A' + last->scope,
		       rule_words(last->rule), words);
	exit(1);
}

static void visit(__u32 at)
{
	struct next next[MAX_NEXT];
	struct world world;
	int nr, i;
	__u32 to;

	world_unpack(keys[at] & ~KNOWN, &world);
	nr = world_expand(&world, next);
	if (broken)
		report(at, &next[nr - 1]);
	world_check(&world);
	if (broken)
		report(at, NULL);
	for (i = 0; i < nr; i++)
		__builtin_prefetch(&keys[bucket(next[i].key)]);
	onward[at] = NOBODY;
	for (i = 0; i < nr; i++) {
		to = look_up(next[i].key, at);
		taken[next[i].rule]++;
		if (next[i].own && onward[at] == NOBODY)
			onward[at] = to;
	}
	nr_steps += nr;
	if (onward[at] == NOBODY && !world_is_quiet(&world)) {
		broken = "nothing goes on although something is outstanding";
		report(at, NULL);
	}
}

/* Return: the depth */
static int search(void)
{
	__u32 done, level = 0;
	int depth = -1;

	look_up(0, NOBODY);
	for (done = 0; done < nr_seen; done++) {
		if (done == level) {
			level = nr_seen;
			depth++;
		}
		visit(queue[done]);
	}
	return depth;
}

/*
 * The kernel's own steps lead to a world with nothing left to do from everywhere. A path that
 * is known to do so is cut short, so that each is walked once.
 */
static void check_that_all_ends(void)
{
	__u32 i, at, next, length;

	for (i = 0; i < nr_seen; i++) {
		length = 0;
		for (at = queue[i]; onward[at] != NOBODY; at = onward[at])
			if (length++ == nr_seen) {
				broken = "it goes round in circles";
				report(queue[i], NULL);
			}
		for (at = queue[i]; onward[at] != NOBODY; at = next) {
			next = onward[at];
			onward[at] = NOBODY;
		}
	}
}

static int nothing_was_missed(void)
{
	unsigned int i;
	int ok = 1;

	for (i = 0; i < nr_rules; i++)
		if (!taken[i]) {
			printf("BROKEN: it never happened: %s\n",
			       rule_words(i));
			ok = 0;
		}
	for (i = 0; i < NR_EVENTS; i++)
		if (!events[i]) {
			printf("BROKEN: it never happened: %s\n",
			       event_words(i));
			ok = 0;
		}
	return ok;
}

static double cpu_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

int main(void)
{
	int depth;

	keys = table(TABLE_SIZE * sizeof(*keys));
	parent = table(TABLE_SIZE * sizeof(*parent));
	onward = table(TABLE_SIZE * sizeof(*onward));
	queue = table(TABLE_FULL * sizeof(*queue));
	depth = search();
	check_that_all_ends();
	if (!nothing_was_missed())
		return 1;
	printf("%u states, %llu transitions, depth %d, %.1f s of CPU\n",
	       nr_seen, (unsigned long long)nr_steps, depth, cpu_seconds());
	return 0;
}
