// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine.h"

#define LARGE 131072U /* worth a hint for the kernel's own reading ahead */

bool input_is_stdin(const struct job *job)
{
	return !strcmp(job->name, "-");
}

static int open_file(const struct job *job)
{
	if (input_is_stdin(job))
		return STDIN_FILENO;
	return open(job->name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
}

/* The size of a block device is where its end is. */
static __u64 device_size(int fd)
{
	off_t here = lseek(fd, 0, SEEK_CUR);
	off_t end = lseek(fd, 0, SEEK_END);

	lseek(fd, here, SEEK_SET);
	return end > 0 ? (__u64)end : 0;
}

/* Standard input may have been read in part: go on from there. */
static void find_base(struct job *job)
{
	off_t here = input_is_stdin(job) ? lseek(job->fd, 0, SEEK_CUR) : 0;

	job->base = here > 0 ? (__u64)here : 0;
	job->size = job->size > job->base ? job->size - job->base : 0;
}

static int classify(struct job *job)
{
	struct stat st;

	if (fstat(job->fd, &st))
		return errno;
	if (S_ISDIR(st.st_mode))
		return EISDIR;
	if (S_ISREG(st.st_mode))
		job->size = (__u64)st.st_size;
	else if (S_ISBLK(st.st_mode))
		job->size = device_size(job->fd);
	else
		job->direct = true;
	if (!job->direct && job->size >= LARGE)
		posix_fadvise(job->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	find_base(job);
	return 0;
}

bool input_open(struct job *job)
{
	job->fd = open_file(job);
	job->err = job->fd < 0 ? errno : classify(job);
	if (!job->err)
		return true;
	input_close(job);
	return false;
}

void input_close(struct job *job)
{
	if (job->fd >= 0 && !input_is_stdin(job))
		close(job->fd);
	job->fd = -1;
}

void input_consumed(const struct job *job, __u64 bytes)
{
	if (input_is_stdin(job) && !job->direct)
		lseek(job->fd, (off_t)(job->base + bytes), SEEK_SET);
}
