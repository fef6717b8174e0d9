// SPDX-License-Identifier: GPL-2.0
/*
 * The rest of the system: levels that must be as before when nobody is left, and memory
 * that is short meanwhile.
 */
#include <sys/mount.h>
#include <sys/swap.h>

#include "soak.h"

#define GROUP_HIGH "12582912" /* bytes; less than what the owners touch */
#define SWAP "/dev/vdb"
#define SOAK_SCOPES 5U

static long text_number(const char *path)
{
	char text[32];

	return text_read(path, text, sizeof(text)) ? -1 : atol(text);
}

static void level_add(struct levels *levels, const char *name, long value,
		      long tolerance)
{
	levels->name[levels->nr] = name;
	levels->value[levels->nr] = value;
	levels->tolerance[levels->nr++] = tolerance;
}

static bool slab_is_ours(const char *name)
{
	return !strncmp(name, "kmalloc", 7) || !strcmp(name, "filp") ||
	       !strcmp(name, "cred") || !strcmp(name, "cred_jar") ||
	       !strcmp(name, "mm_struct");
}

/* Bytes of objects in the caches that the module's objects come from */
static long slab_bytes(void)
{
	unsigned long active, total, size, sum = 0;
	FILE *file = fopen("/proc/slabinfo", "re");
	char line[256], name[64];

	if (!file)
		return -1;
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "%63s %lu %lu %lu", name, &active, &total,
			   &size) == 4 &&
		    slab_is_ours(name))
			sum += active * size;
	fclose(file);
	return sum;
}

/* What the module's own recount finds: 0 if there is nothing at all, and all agrees. */
static long recount(void)
{
	char text[1024];

	if (!hooks_there())
		return 0;
	if (text_read(PARAMETERS "test_check", text, sizeof(text)))
		return -1;
	return strncmp(text, "ok scopes=0 children=0 buffers=0 pages=0", 40);
}

/*
 * The first ones are exact. Files are counted per processor, and what the allocator calls
 * active includes free objects: there a leak shows because it grows with the soak.
 */
void levels_read(struct levels *levels)
{
	/* KASAN keeps what was freed for a while; kmemleak is there as well. */
	bool debug = !access("/sys/kernel/debug/kmemleak", F_OK);
	long slack = debug ? 128 << 10 : 3 << 10;

	*levels = (struct levels){};
	level_add(levels, "pinned pages", pins_now(), 0);
	level_add(levels, "references to kscope",
		  text_number("/sys/module/kscope/refcnt"), 0);
	level_add(levels, "references to kscope_gate",
		  text_number("/sys/module/kscope_gate/refcnt"), 0);
	level_add(levels, "objects that the module finds", recount(), 0);
	level_add(levels, "open files", text_number("/proc/sys/fs/file-nr"),
		  256);
	level_add(levels, "KiB of vmalloc",
		  file_value("/proc/meminfo", "VmallocUsed"), 8192);
	level_add(levels, "KiB of slab objects", slab_bytes() >> 10, slack / 3);
	level_add(levels, "KiB of slabs in all",
		  file_value("/proc/meminfo", "SUnreclaim"), slack);
}

static unsigned int levels_wrong(const struct levels *before,
				 const struct levels *now)
{
	unsigned int i, wrong = 0;

	for (i = 0; i < now->nr; i++)
		wrong += now->value[i] >
				 before->value[i] + before->tolerance[i] ||
			 (!before->tolerance[i] &&
			  now->value[i] < before->value[i]);
	return wrong;
}

void levels_print(const struct levels *before, const struct levels *now)
{
	char text[1024];
	unsigned int i;

	for (i = 0; i < now->nr; i++)
		printf("# %s: %ld, was %ld\n", now->name[i], now->value[i],
		       before->value[i]);
	if (hooks_there() &&
	    !text_read(PARAMETERS "test_check", text, sizeof(text)))
		printf("# %s\n", text);
}

/* How many levels are wrong after at most @ms */
unsigned int levels_settle(const struct levels *before, struct levels *now,
			   unsigned int ms)
{
	__u64 deadline = in_ms(ms);
	unsigned int wrong;

	for (;;) {
		levels_read(now);
		wrong = levels_wrong(before, now);
		if (!wrong || now_ns() > deadline)
			return wrong;
		usleep(20000);
	}
}

/* All that the user may pin, and not a page more */
static int memlock_is_whole(int fd)
{
	char *mem = map_anon((MEMLOCK_PAGES + 1) * PAGE);
	int buf, ret = 0;

	buf = buf_pin(fd, mem, MEMLOCK_PAGES * PAGE, 0);
	if (buf <= 0)
		ret = 10;
	else if (buf_pin(fd, mem + MEMLOCK_PAGES * PAGE, 1, 0) != -ENOMEM)
		ret = 11;
	return ret ?: vm_pages("VmPin") == MEMLOCK_PAGES ? 0 : 12;
}

static int share_is_whole(void)
{
	struct kscope_scope_create arg = { .capacity = 64 };
	unsigned int i;
	int fd = -1;

	for (i = 0; i < SOAK_SCOPES; i++) {
		fd = scope_create(&arg);
		if (fd < 0)
			return 20;
	}
	arg.capacity = 1;
	if (scope_create(&arg) != -EDQUOT)
		return 21;
	return memlock_is_whole(fd);
}

/*
 * The user's shares, which nobody shows, are told by what they still allow: so many scopes
 * with so many slots, so many pages. 0, or where it went wrong
 */
int shares_are_whole(uid_t uid)
{
	char *scopes = PARAMETERS "max_user_scopes";
	char *children = PARAMETERS "max_user_children";
	char was_scopes[16], was_children[16];
	pid_t pid;
	int ret;

	text_read(scopes, was_scopes, sizeof(was_scopes));
	text_read(children, was_children, sizeof(was_children));
	number_write(scopes, SOAK_SCOPES + 1);
	number_write(children, SOAK_SCOPES * 64);
	pid = fork();
	if (!pid) {
		set_limit(RLIMIT_MEMLOCK, MEMLOCK_PAGES * PAGE);
		_exit(become(uid) ? 99 : share_is_whole());
	}
	ret = child_wait(pid);
	text_write(scopes, was_scopes);
	text_write(children, was_children);
	return ret;
}

/*
 * A group with little memory for the owners, swap for what does not fit, and a file
 * system that can only be unmounted when no file of it is held. memory.high, not max: the
 * log of an OOM kill looks like that of a crash.
 */
int pressure_start(void)
{
	mkdir(SOAK_GROUP, 0755);
	if (text_write(SOAK_GROUP "/memory.high", GROUP_HIGH))
		return -errno;
	chmod(SOAK_GROUP "/cgroup.procs", 0666);
	if (system("mkswap " SWAP " >/dev/null") || swapon(SWAP, 0))
		printf("# no swap: %s\n", strerror(errno));
	mkdir(SOAK_DATA, 0755);
	if (mount("soak", SOAK_DATA, "tmpfs", 0, "mode=1777"))
		return -errno;
	return 0;
}

void pressure_step(struct chance *chance)
{
	switch (chance_of(chance, 8)) {
	case 0:
		text_write("/proc/sys/vm/drop_caches", "3");
		break;
	case 1:
		text_write("/proc/sys/vm/compact_memory", "1");
		break;
	case 2:
		gate_set(true);
		break;
	case 3:
		gate_set(false);
		break;
	}
}

/* Put it all back: 0, or -EBUSY if a file is still held. */
int pressure_stop(void)
{
	__u64 deadline = in_ms(2000);
	int ret;

	do {
		ret = umount(SOAK_DATA) ? -errno : 0;
		usleep(20000);
	} while (ret == -EBUSY && now_ns() < deadline);
	swapoff(SWAP);
	rmdir(SOAK_DATA);
	rmdir(SOAK_GROUP);
	return ret;
}
