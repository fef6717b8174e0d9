// SPDX-License-Identifier: GPL-2.0
/*
 * The ABI: a table of commands for each kind of fd, one place that copies arguments in
 * and out, and a handler for each command that checks values and calls the object. No
 * locks here.
 *
 * A handler that makes something (an fd, a handle, children) tells the caller about it
 * before it can be seen, or in the ioctl's return value, so that nothing fails after
 * the fact.
 */
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/nospec.h>
#include <linux/overflow.h>
#include <linux/uaccess.h>

#include <crypto/hash.h>

#include "internal.h"

/* Programs were built with these; see also tests/selftests/abi_layout.def. */
static_assert(sizeof(struct kscope_info) == 56);
static_assert(sizeof(struct kscope_op_info) == 72);
static_assert(sizeof(struct kscope_scope_create) == 32);
static_assert(sizeof(struct kscope_buf_pin) == 24);
static_assert(sizeof(struct kscope_buf_unpin) == 24);
static_assert(sizeof(struct kscope_hash_open) == 80);
static_assert(sizeof(struct kscope_desc) == 64);
static_assert(sizeof(struct kscope_spawn) == 40);
static_assert(sizeof(struct kscope_cancel) == 32);
static_assert(sizeof(struct kscope_join) == 56);
static_assert(sizeof(struct kscope_release) == 24);
static_assert(sizeof(struct kscope_query) == 88);
static_assert(sizeof(struct kscope_blocker) == 48);
static_assert(sizeof(struct kscope_completion) == 64);
static_assert(offsetof(struct kscope_ring, records) == 64);

union args {
	u32 size;
	struct kscope_info info;
	struct kscope_op_info op_info;
	struct kscope_scope_create scope_create;
	struct kscope_buf_pin buf_pin;
	struct kscope_buf_unpin buf_unpin;
	struct kscope_hash_open hash_open;
	struct kscope_spawn spawn;
	struct kscope_cancel cancel;
	struct kscope_join join;
	struct kscope_release release;
	struct kscope_query query;
};

/**
 * struct call - one ioctl under way
 * @scope: that it is made on; NULL for the device
 * @args: copied in; a handler changes the out fields
 * @user: where they came from
 * @size: what the caller thinks the struct's size is
 */
struct call {
	struct kscope_scope *scope;
	union args args;
	void __user *user;
	u32 size;
};

struct command {
	u32 size;
	long (*handle)(struct call *call);
};

static int reply(struct call *call, u32 size)
{
	call->args.size = call->size;
	if (copy_to_user(call->user, &call->args, min(size, call->size)))
		return -EFAULT;
	return 0;
}

static long handle_info(struct call *call)
{
	struct kscope_info *args = &call->args.info;

	if (args->flags)
		return -EINVAL;
	args->abi_version = KSCOPE_ABI_VERSION;
	args->nr_ops = kscope_op_count();
	args->features = KSCOPE_FEATURES_ALL;
	args->max_capacity = KSCOPE_MAX_CAPACITY;
	args->max_buffers = KSCOPE_MAX_BUFFERS;
	args->max_hashes = KSCOPE_MAX_HASHES;
	args->max_blocking = KSCOPE_MAX_BLOCKING;
	args->max_buffer_bytes = KSCOPE_MAX_BUF_BYTES;
	args->user_scopes = kscope_max_user_scopes;
	args->user_children = kscope_max_user_children;
	return reply(call, sizeof(*args));
}

static bool name_is_valid(const u8 *name, size_t size)
{
	return strnlen(name, size) < size;
}

static long handle_op_info(struct call *call)
{
	struct kscope_op_info *args = &call->args.op_info;
	bool by_name = args->flags & KSCOPE_OP_INFO_BY_NAME;
	int ret;

	if (args->flags & ~KSCOPE_OP_INFO_ALL || args->reserved)
		return -EINVAL;
	if (by_name && !name_is_valid(args->name, sizeof(args->name)))
		return -EINVAL;
	ret = kscope_op_describe(args);
	return ret ?: reply(call, sizeof(*args));
}

static struct file *scope_file(const struct kscope_scope_create *args)
{
	struct kscope_scope_params params = {
		.kind = args->kind,
		.policy = args->policy,
		.capacity = args->capacity,
		.max_buffers = args->max_buffers,
	};
	struct kscope_scope *scope = kscope_scope_alloc(&params, true);
	struct file *file;

	if (IS_ERR(scope))
		return ERR_CAST(scope);
	file = anon_inode_getfile("[kscope]", &kscope_scope_fops, scope,
				  O_RDWR);
	if (IS_ERR(file))
		kscope_scope_close(scope);
	return file;
}

static long handle_scope_create(struct call *call)
{
	struct kscope_scope_create *args = &call->args.scope_create;
	struct kscope_scope *scope;
	struct file *file;
	int fd, ret;

	if (args->flags & ~KSCOPE_SCOPE_ALL)
		return -EINVAL;
	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0)
		return fd;
	file = scope_file(args);
	if (IS_ERR(file)) {
		ret = PTR_ERR(file);
		goto put_fd;
	}
	scope = file->private_data;
	args->ring_entries = scope->tally.entries;
	args->ring_bytes = scope->ring->bytes;
	ret = reply(call, sizeof(*args));
	if (ret)
		goto put_file;
	fd_install(fd, file);
	return fd;

put_file:
	fput(file);
put_fd:
	put_unused_fd(fd);
	return ret;
}

static long handle_buf_pin(struct call *call)
{
	struct kscope_buf_pin *args = &call->args.buf_pin;
	unsigned int access = KSCOPE_ACCESS_READ | KSCOPE_ACCESS_WRITE;
	u64 end;

	if (args->flags & ~KSCOPE_PIN_ALL)
		return -EINVAL;
	if (!args->len || args->len > KSCOPE_MAX_BUF_BYTES)
		return -EINVAL;
	if (check_add_overflow(args->addr, args->len, &end))
		return -EOVERFLOW;
	if (args->flags & KSCOPE_PIN_READ_ONLY)
		access = KSCOPE_ACCESS_READ;
	return kscope_buf_pin(call->scope, args->addr, args->len, access);
}

/* Name those who are in the way, and refuse. */
static int reply_busy(struct call *call, u32 size, u64 user,
		      const struct kscope_blocker *blockers, u32 nr)
{
	if (nr && copy_to_user(u64_to_user_ptr(user), blockers,
			       nr * sizeof(*blockers)))
		return -EFAULT;
	return reply(call, size) ?: -EBUSY;
}

static long handle_buf_unpin(struct call *call)
{
	struct kscope_blocker blockers[KSCOPE_MAX_BLOCKERS];
	struct kscope_buf_unpin *args = &call->args.buf_unpin;
	int ret;

	if (args->flags & ~KSCOPE_UNPIN_ALL ||
	    args->nr_blockers > KSCOPE_MAX_BLOCKERS)
		return -EINVAL;
	if (!args->blockers)
		args->nr_blockers = 0;
	ret = kscope_buf_drop(call->scope, args->buf, blockers,
			      &args->nr_blockers);
	if (ret != -EBUSY)
		return ret;
	return reply_busy(call, sizeof(*args), args->blockers, blockers,
			  args->nr_blockers);
}

static int report_hash(struct crypto_shash *tfm, void *arg)
{
	struct call *call = arg;

	call->args.hash_open.digest_size = crypto_shash_digestsize(tfm);
	call->args.hash_open.block_size = crypto_shash_blocksize(tfm);
	return reply(call, sizeof(call->args.hash_open));
}

static long handle_hash_open(struct call *call)
{
	struct kscope_hash_open *args = &call->args.hash_open;

	if (args->flags & ~KSCOPE_HASH_OPEN_ALL)
		return -EINVAL;
	if (!name_is_valid(args->name, sizeof(args->name)))
		return -EINVAL;
	return kscope_hash_open(call->scope, args->name, report_hash, call);
}

static int copy_handles(u64 user, const struct kscope_batch *batch)
{
	u64 handles[KSCOPE_BATCH];
	u32 i;

	for (i = 0; i < batch->nr; i++)
		handles[i] = batch->drafts[i].child->handle;
	if (copy_to_user(u64_to_user_ptr(user), handles,
			 batch->nr * sizeof(*handles)))
		return -EFAULT;
	return 0;
}

/* Return: how many were accepted; if none, why */
static int spawn_batch(struct kscope_scope *scope,
		       const struct kscope_spawn *args, u32 done,
		       struct kscope_batch *batch)
{
	u64 descs = args->descs + (u64)done * sizeof(batch->descs[0]);

	batch->nr = min(args->nr - done, kscope_limit(KSCOPE_BATCH));
	if (copy_from_user(batch->descs, u64_to_user_ptr(descs),
			   batch->nr * sizeof(batch->descs[0])))
		return -EFAULT;
	kscope_batch_reserve(scope, batch);
	if (args->handles &&
	    copy_handles(args->handles + (u64)done * sizeof(u64), batch)) {
		kscope_batch_abort(scope, batch);
		return -EFAULT;
	}
	return kscope_batch_publish(scope, batch);
}

static noinline_for_stack long spawn_all(struct kscope_scope *scope,
					 const struct kscope_spawn *args)
{
	struct kscope_batch batch;
	u32 done = 0;
	int ret = 0;

	while (done < args->nr && !ret && !fatal_signal_pending(current)) {
		ret = spawn_batch(scope, args, done, &batch);
		if (ret < 0)
			break;
		done += ret;
		ret = batch.error;
		cond_resched();
	}
	return done ?: ret;
}

static long handle_spawn(struct call *call)
{
	const struct kscope_spawn *args = &call->args.spawn;
	long done;
	int ret;

	if (args->flags & ~KSCOPE_SPAWN_ALL || args->nr > KSCOPE_MAX_CAPACITY)
		return -EINVAL;
	done = spawn_all(call->scope, args);
	if (done < 0 || !args->min_complete)
		return done;
	ret = kscope_scope_wait(call->scope, args->min_complete,
				args->deadline_ns);
	return done ?: ret;
}

static long handle_cancel(struct call *call)
{
	struct kscope_cancel *args = &call->args.cancel;
	struct kscope_cancel_counts counts;
	int ret;

	if (args->flags & ~KSCOPE_CANCEL_ALL)
		return -EINVAL;
	ret = reply(call, sizeof(*args));
	if (ret)
		return ret;
	ret = kscope_child_cancel(call->scope, args->what, args->target,
				  &counts);
	if (ret && ret != -EALREADY)
		return ret;
	args->never_started = counts.never_started;
	args->told = counts.told;
	args->already = counts.already;
	/*
	 * It is done. Who takes the struct away between the two replies loses the counts,
	 * and is not told that nothing happened.
	 */
	(void)reply(call, sizeof(*args));
	return ret;
}

static long handle_join(struct call *call)
{
	struct kscope_join *args = &call->args.join;
	struct kscope_join_result result;
	int ret;

	if (args->flags & ~KSCOPE_JOIN_ALL || args->reserved)
		return -EINVAL;
	ret = kscope_scope_join(call->scope, args->deadline_ns, &result);
	if (ret)
		return ret;
	args->first_error = result.first_error;
	args->first_child = result.first_child;
	args->first_user_data = result.first_user_data;
	args->nr_failed = result.nr_failed;
	args->nr_cancelled = result.nr_cancelled;
	return reply(call, sizeof(*args));
}

static long handle_release(struct call *call)
{
	struct kscope_blocker blockers[KSCOPE_MAX_BLOCKERS];
	struct kscope_release *args = &call->args.release;
	int ret;

	if (args->flags & ~KSCOPE_RELEASE_ALL || args->reserved ||
	    args->nr_blockers > KSCOPE_MAX_BLOCKERS)
		return -EINVAL;
	if (!args->blockers)
		args->nr_blockers = 0;
	ret = kscope_scope_end(call->scope, blockers, &args->nr_blockers);
	if (ret != -EBUSY)
		return ret;
	return reply_busy(call, sizeof(*args), args->blockers, blockers,
			  args->nr_blockers);
}

static long handle_query(struct call *call)
{
	struct kscope_query *args = &call->args.query;

	if (args->flags)
		return -EINVAL;
	kscope_scope_query(call->scope, args);
	return reply(call, sizeof(*args));
}

#define COMMAND(number, type, handler) \
	[_IOC_NR(number)] = {          \
		.size = sizeof(type),  \
		.handle = handler,     \
	}

static const struct command device_commands[] = {
	COMMAND(KSCOPE_IOC_INFO, struct kscope_info, handle_info),
	COMMAND(KSCOPE_IOC_OP_INFO, struct kscope_op_info, handle_op_info),
	COMMAND(KSCOPE_IOC_SCOPE_CREATE, struct kscope_scope_create,
		handle_scope_create),
};

static const struct command scope_commands[] = {
	COMMAND(KSCOPE_IOC_BUF_PIN, struct kscope_buf_pin, handle_buf_pin),
	COMMAND(KSCOPE_IOC_BUF_UNPIN, struct kscope_buf_unpin,
		handle_buf_unpin),
	COMMAND(KSCOPE_IOC_HASH_OPEN, struct kscope_hash_open,
		handle_hash_open),
	COMMAND(KSCOPE_IOC_SPAWN, struct kscope_spawn, handle_spawn),
	COMMAND(KSCOPE_IOC_CANCEL, struct kscope_cancel, handle_cancel),
	COMMAND(KSCOPE_IOC_JOIN, struct kscope_join, handle_join),
	COMMAND(KSCOPE_IOC_RELEASE, struct kscope_release, handle_release),
	COMMAND(KSCOPE_IOC_QUERY, struct kscope_query, handle_query),
};

static long dispatch(struct kscope_scope *scope, const struct command *commands,
		     u32 nr, unsigned int cmd, void __user *user)
{
	const struct command *command;
	struct call call = { .scope = scope, .user = user };
	int ret;

	if (cmd != _IO(KSCOPE_IOC_MAGIC, _IOC_NR(cmd)) || _IOC_NR(cmd) >= nr)
		return -ENOTTY;
	command = &commands[array_index_nospec(_IOC_NR(cmd), nr)];
	if (!command->handle)
		return -ENOTTY;
	if (get_user(call.size, (u32 __user *)user))
		return -EFAULT;
	if (call.size < command->size)
		return -EINVAL;
	if (call.size > PAGE_SIZE)
		return -E2BIG;
	ret = copy_struct_from_user(&call.args, command->size, user, call.size);
	return ret ?: command->handle(&call);
}

static long device_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	return dispatch(NULL, device_commands, ARRAY_SIZE(device_commands), cmd,
			(void __user *)arg);
}

/**
 * kscope_scope_ioctl() - the commands of a scope's fd
 * @file: of the scope
 * @cmd: KSCOPE_IOC_*
 * @arg: address of the argument struct
 *
 * Context: process context; may sleep.
 * Return: what the command returns, -ENOTTY if there is none.
 */
long kscope_scope_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	return dispatch(file->private_data, scope_commands,
			ARRAY_SIZE(scope_commands), cmd, (void __user *)arg);
}

const struct file_operations kscope_device_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = device_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};
