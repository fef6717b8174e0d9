// SPDX-License-Identifier: GPL-2.0
/*
 * Operations on files: READ, WRITE, FSYNC.
 *
 * A child holds its file and its spawner's credentials, but a worker is no process of the
 * spawner: it has the kernel's namespaces, limits and cgroup. Therefore
 *
 *   - only regular files on file systems that keep data, and block devices, are taken.
 *     Files of procfs, sysfs and their like act on the task that writes to them. A file
 *     that could hold a scope, such as a socket, could hold the scope that holds it.
 *     FUSE is left out because a child must not depend on a process, which may be the
 *     one that waits for it;
 *   - RLIMIT_FSIZE is looked at when the child is spawned, which is why files in
 *     O_APPEND mode are refused, and the mode is ignored if it comes later: a WRITE
 *     that appends ends nobody knows where;
 *   - what the file system allocates is charged to the memcg of the scope's creator.
 *
 * Data moves between the file and the pinned pages in steps of KSCOPE_STEP bytes; files
 * opened with O_DIRECT move it there without a copy.
 */
#include <linux/bvec.h>
#include <linux/cred.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/uio.h>

#include "compat.h"
#include "batch.h"

#define STEP_PAGES (KSCOPE_STEP / PAGE_SIZE + 1)

static bool sb_keeps_data(const struct super_block *sb)
{
	switch (sb->s_magic) {
	case FUSE_SUPER_MAGIC:
		return false;
	case NFS_SUPER_MAGIC:
	case OVERLAYFS_SUPER_MAGIC:
	case RAMFS_MAGIC:
	case SMB2_SUPER_MAGIC:
	case TMPFS_MAGIC:
		return true;
	default:
		return sb->s_type->fs_flags & FS_REQUIRES_DEV;
	}
}

static int file_check(const struct kscope_op *op, const struct file *file)
{
	const struct inode *inode = file_inode(file);

	if (op->number == KSCOPE_OP_READ && !(file->f_mode & FMODE_READ))
		return -EBADF;
	if (op->number == KSCOPE_OP_WRITE && !(file->f_mode & FMODE_WRITE))
		return -EBADF;
	if (S_ISBLK(inode->i_mode))
		return 0;
	if (!S_ISREG(inode->i_mode) || !sb_keeps_data(inode->i_sb))
		return -EOPNOTSUPP;
	/* What lies under an overlay counts as well. */
	inode = d_real_inode(file->f_path.dentry);
	return sb_keeps_data(inode->i_sb) ? 0 : -EOPNOTSUPP;
}

static int limit_check(const struct kscope_op *op,
		       const struct kscope_desc *desc, const struct file *file)
{
	if (op->number != KSCOPE_OP_WRITE || !S_ISREG(file_inode(file)->i_mode))
		return 0;
	if (file->f_flags & O_APPEND)
		return -EOPNOTSUPP;
	return desc->file_off + desc->len > rlimit(RLIMIT_FSIZE) ? -EFBIG : 0;
}

/**
 * kscope_fileio_get() - take the file of a child
 * @draft: of an op that takes one; its file is set on success
 * @desc: names the file
 * @user: charged for it; give it back with kscope_user_uncharge_file() after the file
 *
 * Context: process context of the spawner.
 * Return: 0, -EBADF, -EOPNOTSUPP, -EFBIG or -EDQUOT.
 */
int kscope_fileio_get(struct kscope_draft *draft,
		      const struct kscope_desc *desc, struct kscope_user *user)
{
	struct file *file = fget(desc->fd);
	int ret;

	if (!file)
		return -EBADF;
	ret = file_check(draft->op, file);
	if (!ret)
		ret = limit_check(draft->op, desc, file);
	if (!ret)
		ret = kscope_user_charge_file(user);
	if (ret)
		fput(file);
	else
		draft->file = file;
	return ret;
}

static int fileio_check(const struct kscope_desc *desc)
{
	u64 end;

	if (check_add_overflow(desc->file_off, desc->len, &end) ||
	    end > MAX_LFS_FILESIZE)
		return -EOVERFLOW;
	return 0;
}

static size_t step_bvec(const struct kscope_child *child, u64 pos,
			struct bio_vec *bvec, unsigned int *nr)
{
	const struct kscope_desc *desc = &child->desc;
	u32 step = kscope_limit(KSCOPE_STEP / PAGE_SIZE) * PAGE_SIZE;
	size_t want = min_t(u64, desc->len - pos, step);
	size_t got = 0;

	for (*nr = 0; got < want; (*nr)++) {
		struct bio_vec *next = &bvec[*nr];
		size_t len = want - got;

		next->bv_page = kscope_buf_span(kscope_child_buf(child, 0),
						desc->off + pos + got, &len,
						&next->bv_offset);
		next->bv_len = len;
		got += len;
	}
	return got;
}

static ssize_t step_run(struct kscope_child *child, u64 pos, size_t *want)
{
	bool write = child->op->number == KSCOPE_OP_WRITE;
	struct bio_vec bvec[STEP_PAGES];
	struct iov_iter iter;
	struct kiocb iocb;
	unsigned int nr;

	*want = step_bvec(child, pos, bvec, &nr);
	iov_iter_bvec(&iter, write ? ITER_SOURCE : ITER_DEST, bvec, nr, *want);
	init_sync_kiocb(&iocb, child->file);
	iocb.ki_pos = child->desc.file_off + pos;
	iocb.ki_flags &= ~IOCB_APPEND;
	if (write)
		return kscope_iocb_write(&iocb, &iter);
	return vfs_iocb_iter_read(child->file, &iocb, &iter);
}

/*
 * Is a step that moved less than it should the last one? A short read is the end of the
 * file only at the end of the file: elsewhere the next one says what went wrong.
 */
static bool step_is_last(const struct kscope_child *child, u64 pos, ssize_t got)
{
	if (child->op->number == KSCOPE_OP_WRITE || !got)
		return !got;
	return child->desc.file_off + pos >=
	       i_size_read(child->file->f_mapping->host);
}

static int transfer(struct kscope_child *child)
{
	u64 len = child->desc.len;
	u64 pos = 0;
	size_t want;
	ssize_t got;
	int ret;

	while (pos < len) {
		ret = kscope_child_checkpoint(child, pos);
		if (ret)
			return ret;
		got = step_run(child, pos, &want);
		if (got < 0)
			return got;
		pos += got;
		if (got < want && step_is_last(child, pos, got))
			break;
	}
	kscope_child_progress(child, pos);
	return 0;
}

static int fsync_file(struct kscope_child *child)
{
	return vfs_fsync(child->file, child->desc.op_flags & KSCOPE_FSYNC_DATA);
}

static int run_as_spawner(struct kscope_child *child,
			  int (*run)(struct kscope_child *child))
{
	struct mem_cgroup *old_memcg = set_active_memcg(child->scope->memcg);
	const struct cred *old_cred = override_creds(child->cred);
	int ret = run(child);

	revert_creds(old_cred);
	set_active_memcg(old_memcg);
	return ret;
}

static int transfer_run(struct kscope_child *child)
{
	return run_as_spawner(child, transfer);
}

static int fsync_run(struct kscope_child *child)
{
	return run_as_spawner(child, fsync_file);
}

struct kscope_op kscope_op_read = {
	.name = "read",
	.owner = THIS_MODULE,
	.number = KSCOPE_OP_READ,
	.attributes = KSCOPE_OP_BLOCKS | KSCOPE_OP_TAKES_FILE,
	.nr_ranges = 1,
	.uses_arg = true,
	.access = { KSCOPE_ACCESS_WRITE },
	.check = fileio_check,
	.run = transfer_run,
};

struct kscope_op kscope_op_write = {
	.name = "write",
	.owner = THIS_MODULE,
	.number = KSCOPE_OP_WRITE,
	.attributes = KSCOPE_OP_BLOCKS | KSCOPE_OP_TAKES_FILE,
	.nr_ranges = 1,
	.uses_arg = true,
	.access = { KSCOPE_ACCESS_READ },
	.check = fileio_check,
	.run = transfer_run,
};

struct kscope_op kscope_op_fsync = {
	.name = "fsync",
	.owner = THIS_MODULE,
	.number = KSCOPE_OP_FSYNC,
	.attributes = KSCOPE_OP_BLOCKS | KSCOPE_OP_TAKES_FILE,
	.op_flags = KSCOPE_FSYNC_ALL,
	.run = fsync_run,
};
