// SPDX-License-Identifier: GPL-2.0
/* The slow disk. Its reads are answered one by one, 0.2 s apart. */
#include "hazards.h"

const char *disk_path;

int disk_open(int flags)
{
	int fd = open(disk_path, O_RDONLY | O_CLOEXEC | flags);
	int ret;

	if (fd < 0)
		return -errno;
	ret = posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
	if (ret) {
		close(fd);
		return -ret;
	}
	return fd;
}

int disk_next(__u64 *off)
{
	static char page[PAGE] __attribute__((aligned(PAGE)));
	static __u64 next;
	int fd = disk_open(O_DIRECT);
	int ret = 0, i;

	if (fd < 0)
		return fd;
	/* after a pause the disk answers once at once */
	for (i = 0; i < 2; i++)
		if (pread(fd, page, PAGE, 0) != PAGE)
			ret = -EIO;
	close(fd);
	next += 1 << 20;
	*off = next;
	return ret;
}

bool disk_is_busy(void)
{
	const char *name = strrchr(disk_path, '/');
	unsigned int nr = 0;
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/sys/block%s/inflight", name ?: "");
	file = fopen(path, "re");
	if (!file)
		return false;
	if (fscanf(file, "%u", &nr) != 1)
		nr = 0;
	fclose(file);
	return nr;
}

int disk_wait_busy(void)
{
	__u64 deadline = in_ms(WATCH_MS);

	do {
		if (disk_is_busy())
			return 0;
	} while (now_ns() < deadline);
	return -EAGAIN;
}
