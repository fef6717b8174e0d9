// SPDX-License-Identifier: GPL-2.0
/*
 * Do two files differ? Their pieces are compared side by side, and the first difference ends it:
 * the other children are cancelled, and have ended before the files are unmapped.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kscope.h"

#define PIECES 64

struct both {
	void *mem[2];
	size_t len;
};

/* Privately, as only such mappings of files can be pinned */
static int map_file(const char *name, void **mem, size_t *len)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return -errno;
	*len = (size_t)st.st_size;
	*mem = mmap(NULL, *len ? *len : 1, PROT_READ | PROT_WRITE, MAP_PRIVATE,
		    fd, 0);
	close(fd);
	return *mem == MAP_FAILED ? -errno : 0;
}

static int compared(void *arg, __u64 i, const struct kscope_completion *done)
{
	__u64 *at = arg;

	if (done->status)
		return done->status;
	*at = i + 1;
	return (int)done->value; /* 1: they differ, and that ends it */
}

static int compare(const struct both *both, __u64 *at)
{
	KSCOPE_SCOPED(scope);
	struct kscope_desc descs[PIECES];
	size_t piece = both->len / PIECES + 1, off = 0;
	unsigned int nr = 0;
	int dev = kscope_open(), ret = dev, a, b;

	if (dev < 0)
		return ret;
	ret = kscope_scope_create(&scope, dev, NULL);
	kscope_close(dev);
	if (ret || !both->len)
		return ret;
	a = kscope_buf_pin(&scope, both->mem[0], both->len, 0);
	b = kscope_buf_pin(&scope, both->mem[1], both->len, 0);
	if (a < 0 || b < 0)
		return a < 0 ? a : b;
	for (; off < both->len; off += piece, nr++) {
		if (piece > both->len - off)
			piece = both->len - off;
		kscope_prep_compare(&descs[nr], a, off, b, off, piece);
	}
	return kscope_for_each(&scope, descs, nr, 4, compared, at);
}

int main(int argc, char **argv)
{
	struct both both;
	size_t len;
	__u64 at = 0;
	int ret;

	if (argc != 3) {
		fputs("Usage: differ FILE FILE\n", stderr);
		return 2;
	}
	ret = map_file(argv[1], &both.mem[0], &both.len);
	if (!ret)
		ret = map_file(argv[2], &both.mem[1], &len);
	if (!ret)
		ret = len == both.len ? compare(&both, &at) : 1;
	if (ret < 0)
		fprintf(stderr, "differ: %s\n", strerror(-ret));
	else
		puts(ret ? "they differ" : "they are the same");
	return ret < 0 ? 2 : ret;
}
