// SPDX-License-Identifier: GPL-2.0
/* Memory and a scope for `kscope copy`, in ever smaller shapes if there is a limit. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "copy.h"
#include "tool.h"

#define DIRECT_ALIGN 4096U

static const struct shape {
	unsigned int nr_blocks;
	unsigned int block;
} shapes[] = {
	{ COPY_BLOCKS_MAX, 262144 },
	{ COPY_BLOCKS_MAX, 65536 },
	{ 4, 16384 },
	{ 2, 4096 },
};

static int shape_try(struct copier *copier, const struct shape *shape)
{
	size_t len = (size_t)shape->nr_blocks * shape->block;

	copier->mem = mmap(NULL, len, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (copier->mem == MAP_FAILED) {
		copier->mem = NULL;
		return -errno;
	}
	copier->nr_blocks = shape->nr_blocks;
	copier->block = shape->block;
	copier->buf = kscope_buf_pin(&copier->scope, copier->mem, len, 0);
	if (copier->buf > 0)
		return 0;
	munmap(copier->mem, len);
	copier->mem = NULL;
	return copier->buf;
}

static int memory_get(struct copier *copier)
{
	int ret = -ENOMEM;
	size_t i;

	for (i = 0; ret == -ENOMEM && i < ARRAY_SIZE(shapes); i++)
		ret = shape_try(copier, &shapes[i]);
	if (ret == -ENOMEM)
		message_memlock();
	else if (ret)
		message("cannot pin memory: %s", strerror(-ret));
	return ret;
}

int copier_open(struct copier *copier)
{
	const struct kscope_scope_params params = {
		.capacity = COPY_BLOCKS_MAX,
	};
	int dev = device_open();
	int ret = dev;

	*copier = (struct copier){ .scope = KSCOPE_SCOPE_INIT };
	if (dev < 0)
		return ret;
	ret = kscope_scope_create(&copier->scope, dev, &params);
	kscope_close(dev);
	if (ret)
		message("cannot create a scope: %s", strerror(-ret));
	return ret ? ret : memory_get(copier);
}

void copier_close(struct copier *copier)
{
	kscope_scope_close(&copier->scope);
	if (copier->mem)
		munmap(copier->mem, (size_t)copier->nr_blocks * copier->block);
}

int side_fd(const struct side *side, __u64 off, __u64 len)
{
	if (side->direct < 0 || (off | len) % DIRECT_ALIGN)
		return side->fd;
	return side->direct;
}

bool side_falls_back(struct side *side, int fd, int status)
{
	if (fd == side->fd || (status != -EINVAL && status != -EOPNOTSUPP))
		return false;
	if (side->direct >= 0)
		close(side->direct);
	side->direct = -1;
	return true;
}
