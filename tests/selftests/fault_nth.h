/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kernel's fault injection by number. fail-nth of a thread makes the n-th point that
 * the thread comes to fail, and that one alone: a slab, a page, or a copy to or from user
 * space. What is left of n afterwards says whether there were so many points.
 */
#ifndef KSCOPE_FAULT_NTH_H
#define KSCOPE_FAULT_NTH_H

#include <dirent.h>

#include "kselftest.h"
#include "kscope_sys.h"

#define FAULT_DIR "/sys/kernel/debug/"
#define CACHE_DIR "/sys/kernel/slab/"
#define PARAM_DIR "/sys/module/kscope/parameters/"

static inline int text_put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), ret = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		ret = -errno;
	close(fd);
	return ret;
}

static inline int text_get(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len;

	if (fd < 0)
		return -errno;
	len = read(fd, text, size - 1);
	close(fd);
	if (len < 0)
		return -errno;
	text[len] = 0;
	return 0;
}

/* The number in a file; @missing if there is no such file. */
static inline long number_get(const char *path, long missing)
{
	char text[32];

	return text_get(path, text, sizeof(text)) ? missing : atol(text);
}

struct fault_setting {
	const char *path;
	const char *text;
};

/*
 * Probability stays 0, so that nothing fails but the n-th point of a thread that asked
 * for it. A failure on demand needs no line in the kernel's log. By default the kernel
 * spares allocations that may sleep, the pages of programs, and single pages, which leaves
 * nearly none; fault_sweep.h lets all of them fail, kind by kind.
 */
static const struct fault_setting fault_settings[] = {
	{ "failslab/probability", "0" },
	{ "failslab/verbose", "0" },
	{ "fail_page_alloc/probability", "0" },
	{ "fail_page_alloc/ignore-gfp-wait", "N" },
	{ "fail_page_alloc/verbose", "0" },
	{ "fail_usercopy/probability", "0" },
	{ "fail_usercopy/verbose", "0" },
};

/*
 * kmemleak and debugobjects get on without an object of their own, but say so in the
 * kernel's log, and stop for good if it happens too often. They are no part of what is
 * tested.
 */
static const char *const spared_caches[] = {
	"debug_objects_cache",
	"kmemleak_object",
	"kmemleak_scan_area",
};

static inline bool cache_is_spared(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(spared_caches); i++)
		if (!strcmp(name, spared_caches[i]))
			return true;
	return false;
}

/* Let all other caches fail. A cache that several share cannot be told to. */
static inline bool caches_mark(void)
{
	DIR *dir = opendir(CACHE_DIR);
	bool all = dir;
	struct dirent *entry;
	char path[300];

	while (dir && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.' || cache_is_spared(entry->d_name))
			continue;
		snprintf(path, sizeof(path), CACHE_DIR "%s/failslab",
			 entry->d_name);
		all &= !text_put(path, "1");
	}
	if (dir)
		closedir(dir);
	return all;
}

/* Return: NULL, or why there can be no faults here */
static inline const char *faults_set_up(void)
{
	char path[80];
	size_t i;

	if (geteuid())
		return "only root may inject faults";
	if (access("/proc/self/fail-nth", W_OK))
		return "this kernel has no /proc/self/fail-nth";
	for (i = 0; i < ARRAY_SIZE(fault_settings); i++) {
		const struct fault_setting *set = &fault_settings[i];

		snprintf(path, sizeof(path), FAULT_DIR "%s", set->path);
		if (text_put(path, set->text))
			return "this kernel lacks failslab, fail_page_alloc or fail_usercopy";
	}
	text_put(FAULT_DIR "failslab/cache-filter", caches_mark() ? "Y" : "N");
	return NULL;
}

static inline int nth_open(void)
{
	int fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* From the return of this on the @n-th point fails. */
static inline void nth_arm(int fd, unsigned int n)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", n);

	if (pwrite(fd, text, len, 0) != len)
		abort();
}

/*
 * Return: what is left of n; 0 if the n-th point was met and has failed. To read that is
 * itself a point, which fails if 1 is left, and to write 0 is one as well.
 */
static inline unsigned int nth_disarm(int fd)
{
	unsigned int left = 1, tries;
	char text[16] = "";

	if (pread(fd, text, sizeof(text) - 1, 0) > 0)
		left = atoi(text);
	for (tries = 0; tries < 3; tries++)
		if (pwrite(fd, "0", 1, 0) == 1)
			return left;
	abort();
}

#endif /* KSCOPE_FAULT_NTH_H */
