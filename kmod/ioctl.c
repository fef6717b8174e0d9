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
#include <linux/cpumask.h>
#include <linux/eventfd.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/nospec.h>
#include <linux/overflow.h>
#include <linux/uaccess.h>

#include <crypto/hash.h>

#include "batch.h"

/* Programs were built with these; see also tests/selftests/abi_layout.def. */
static_assert(sizeof(struct kscope_info) == 56);
static_assert(sizeof(struct kscope_op_info) == 72);
static_assert(sizeof(struct kscope_scope_create) == 72);
static_assert(sizeof(struct kscope_buf_pin) == 24);
static_assert(sizeof(struct kscope_buf_unpin) == 24);
static_assert(sizeof(struct kscope_buf_reborrow) == 32);
static_assert(sizeof(struct kscope_hash_open) == 80);
static_assert(sizeof(struct kscope_desc) == 64);
static_assert(sizeof(struct kscope_spawn) == 64);
static_assert(sizeof(struct kscope_cancel) == 32);
static_assert(sizeof(struct kscope_join) == 72);
static_assert(sizeof(struct kscope_release) == 24);
static_assert(sizeof(struct kscope_query) == 128);
static_assert(sizeof(struct kscope_borrow) == 64);
static_assert(sizeof(struct kscope_return) == 16);
static_assert(sizeof(struct kscope_quiesce) == 16);
static_assert(sizeof(struct kscope_eventfd) == 16);
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
	struct kscope_buf_reborrow buf_reborrow;
	struct kscope_hash_open hash_open;
	struct kscope_spawn spawn;
	struct kscope_cancel cancel;
	struct kscope_join join;
	struct kscope_release release;
	struct kscope_query query;
	struct kscope_quiesce quiesce;
	struct kscope_eventfd eventfd;
	struct kscope_borrow borrow;
	struct kscope_return give_back;
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
	args->features = KSCOPE_FEATURES_OFFERED;
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

/* What the kernel has no CPUs for is left out, as sched_setaffinity() does. */
static int copy_cpus(const struct kscope_scope_create *args,
		     struct cpumask *cpus)
{
	const void __user *user = u64_to_user_ptr(args->cpus);

	cpumask_clear(cpus);
	if (copy_from_user(cpus, user,
			   min_t(size_t, args->cpus_size, cpumask_size())))
		return -EFAULT;
	return 0;
}

static struct file *scope_file(const struct kscope_scope_create *args,
			       const struct cpumask *cpus,
			       struct kscope_scope *parent)
{
	struct kscope_scope_params params = {
		.kind = args->kind,
		.policy = args->policy,
		.capacity = args->capacity,
		.max_buffers = args->max_buffers,
		.flags = args->flags,
		.deadline_ns = args->deadline_ns,
		.grace_ns = args->grace_ns,
		.max_running = args->max_running,
		.user_data = args->user_data,
		.cpus = cpus,
	};
	struct kscope_scope *scope;
	struct file *file;

	/* Who waits in the parent may come to wait in this one as well. */
	if (parent)
		params.flags |= parent->flags & KSCOPE_SCOPE_NO_HELP;
	scope = kscope_scope_alloc(&params, parent, true);

	if (IS_ERR(scope))
		return ERR_CAST(scope);
	file = anon_inode_getfile("[kscope]", &kscope_scope_fops, scope,
				  O_RDWR);
	if (IS_ERR(file))
		kscope_scope_close(scope);
	return file;
}

static struct file *scope_file_bound(const struct kscope_scope_create *args,
				     struct kscope_scope *parent)
{
	cpumask_var_t cpus;
	struct file *file;
	int ret;

	if (!alloc_cpumask_var(&cpus, KSCOPE_GFP))
		return ERR_PTR(-ENOMEM);
	ret = copy_cpus(args, cpus);
	file = ret ? ERR_PTR(ret) : scope_file(args, cpus, parent);
	free_cpumask_var(cpus);
	return file;
}

static long handle_scope_create(struct call *call)
{
	struct kscope_scope_create *args = &call->args.scope_create;
	struct kscope_scope *scope;
	struct file *file;
	int fd, ret;

	if (args->flags & ~KSCOPE_SCOPE_TAKEN ||
	    args->cpus_size > KSCOPE_MAX_CPUS_SIZE ||
	    !args->cpus != !args->cpus_size)
		return -EINVAL;
	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0)
		return fd;
	if (args->cpus)
		file = scope_file_bound(args, call->scope);
	else
		file = scope_file(args, NULL, call->scope);
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

static struct kscope_scope *file_scope(const struct file *file)
{
	return file->f_op == &kscope_scope_fops ? file->private_data : NULL;
}

static long handle_buf_reborrow(struct call *call)
{
	struct kscope_buf_reborrow *args = &call->args.buf_reborrow;
	struct kscope_scope *lender;
	struct file *file;
	long ret = -EINVAL;
	u64 end;

	if (args->flags & ~KSCOPE_REBORROW_ALL || !args->len ||
	    args->len > KSCOPE_MAX_BUF_BYTES)
		return -EINVAL;
	if (check_add_overflow(args->off, args->len, &end))
		return -EOVERFLOW;
	file = fget(args->scope);
	if (!file)
		return -EBADF;
	lender = file_scope(file);
	if (lender)
		ret = kscope_buf_reborrow(call->scope, lender, args);
	fput(file);
	return ret;
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

/*
 * Descriptors before one that cannot be read still count. A copy of many may stop well before
 * the first byte that is not there (that of arm64 does), but one that is all there is copied.
 */
static u32 copy_readable(struct kscope_desc *room,
			 const struct kscope_desc __user *descs, u32 nr)
{
	size_t size = nr * sizeof(*room);
	u32 done = (size - copy_from_user(room, descs, size)) / sizeof(*room);

	while (done < nr &&
	       !copy_from_user(&room[done], &descs[done], sizeof(*room)))
		done++;
	return done;
}

/*
 * Memory of the caller may take as long as it likes to be there. Nothing may wait meanwhile
 * that was left to the caller to run.
 */
static noinline int fill_slowly(struct kscope_batch *batch,
				const void __user *descs)
{
	kscope_scope_kick(batch->scope);
	batch->nr = copy_readable(batch->room, descs, batch->nr);
	return batch->nr ? 0 : -EFAULT;
}

static __always_inline bool fill_at_once(struct kscope_desc *room,
					 const void __user *descs, size_t size)
{
	unsigned long left;

	if (!access_ok(descs, size))
		return false;
	pagefault_disable();
	left = __copy_from_user_inatomic(room, descs, size);
	pagefault_enable();
	return !left;
}

static __always_inline int fill_batch(struct kscope_batch *batch, u64 user)
{
	const void __user *descs = u64_to_user_ptr(user);
	bool filled;

	/* A copy of a constant size is not checked. */
	if (batch->nr == 1)
		filled = fill_at_once(batch->room, descs, sizeof(*batch->room));
	else
		filled = fill_at_once(batch->room, descs,
				      batch->nr * sizeof(*batch->room));
	return likely(filled) ? 0 : fill_slowly(batch, descs);
}

/* The same holds for memory that handles go to. */
static int reply_handles(struct kscope_scope *scope, u64 user,
			 const u64 *handles, size_t size)
{
	void __user *to = u64_to_user_ptr(user);
	unsigned long left;

	if (!access_ok(to, size))
		return -EFAULT;
	pagefault_disable();
	left = __copy_to_user_inatomic(to, handles, size);
	pagefault_enable();
	if (!left)
		return 0;
	kscope_scope_kick(scope);
	return copy_to_user(to, handles, size) ? -EFAULT : 0;
}

static noinline_for_stack int spawn_with_handles(struct kscope_batch *batch,
						 u64 user)
{
	u64 handles[KSCOPE_BATCH];
	int nr = kscope_batch_reserve(batch, handles);

	if (nr <= 0)
		return nr;
	if (reply_handles(batch->scope, user, handles, nr * sizeof(*handles))) {
		kscope_batch_abort(batch);
		return -EFAULT;
	}
	return kscope_batch_publish(batch);
}

/* Return: how many were accepted; if none, why */
static int spawn_some(struct kscope_batch *batch,
		      const struct kscope_spawn *args, u32 done)
{
	int ret;

	batch->nr = min(args->nr - done, kscope_batch_room(batch));
	ret = fill_batch(batch, args->descs + (u64)done * sizeof(*batch->room));
	if (ret)
		return ret;
	if (!args->handles)
		return kscope_batch_spawn(batch);
	return spawn_with_handles(batch,
				  args->handles + (u64)done * sizeof(u64));
}

/*
 * A caller that is going to wait runs the last batch itself if it can; on a machine with one
 * CPU each of them.
 */
static bool is_going_to_help(const struct kscope_batch *batch,
			     const struct kscope_spawn *args, u32 done)
{
	if (!args->min_complete || batch->scope->flags & KSCOPE_SCOPE_NO_HELP)
		return false;
	return args->nr - done <= batch->max || num_online_cpus() == 1;
}

/* Return: how many were accepted; if none, why. @wait: is there something to wait for */
static __always_inline long
spawn_all(struct call *call, struct kscope_blocker *blockers, bool *wait)
{
	struct kscope_batch batch __uninitialized;
	struct kscope_spawn *args = &call->args.spawn;
	long done = 0;
	int ret = 0;

	kscope_batch_begin(&batch, call->scope, args->nr, args->min_complete);
	batch.blockers = blockers;
	batch.nr_blockers = args->blockers ? args->nr_blockers : 0;
	if (unlikely(args->flags & KSCOPE_SPAWN_LINKED)) {
		ret = kscope_batch_link(&batch, args->nr);
		if (ret)
			return ret;
	}
	for (;;) {
		batch.help = is_going_to_help(&batch, args, done);
		ret = spawn_some(&batch, args, done);
		if (ret < 0) {
			batch.enough = false;
			break;
		}
		done += ret;
		ret = batch.error;
		if (done >= args->nr || ret || batch.linked ||
		    fatal_signal_pending(current))
			break;
		cond_resched();
	}
	kscope_batch_end(&batch);
	args->nr_blockers = batch.nr_blockers;
	*wait = false;
	if (batch.enough)
		return done;
	/* Whoever runs them may be done before there is need to sleep. */
	cond_resched();
	*wait = args->min_complete;
	return done ? done : ret;
}

static __always_inline long handle_spawn(struct call *call)
{
	struct kscope_blocker blockers[KSCOPE_MAX_BLOCKERS] __uninitialized;
	struct kscope_spawn *args = &call->args.spawn;
	bool wait = args->min_complete;
	long done = 0;
	int ret;

	if (args->flags & ~KSCOPE_SPAWN_ALL || args->reserved ||
	    args->reserved2 || args->nr > KSCOPE_MAX_CAPACITY ||
	    args->nr_blockers > KSCOPE_MAX_BLOCKERS)
		return -EINVAL;
	if (unlikely(args->flags & KSCOPE_SPAWN_LINKED) &&
	    args->nr > KSCOPE_MAX_LINKED)
		return -EINVAL;
	if (args->nr)
		done = spawn_all(call, blockers, &wait);
	if (unlikely(done == -EBUSY))
		return reply_busy(call, sizeof(*args), args->blockers, blockers,
				  args->nr_blockers);
	if (done < 0 || !wait)
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

	if (args->flags & ~KSCOPE_JOIN_ALL)
		return -EINVAL;
	ret = kscope_scope_join(call->scope, args->deadline_ns, &result);
	if (ret)
		return ret;
	args->first_error = result.first_error;
	args->first_child = result.first_child;
	args->first_user_data = result.first_user_data;
	args->cause = result.cause;
	args->decider_child = result.decider_child;
	args->decider_user_data = result.decider_user_data;
	args->nr_failed = result.nr_failed;
	args->nr_cancelled = result.nr_cancelled;
	return reply(call, sizeof(*args));
}

static long handle_quiesce(struct call *call)
{
	struct kscope_quiesce *args = &call->args.quiesce;

	if (args->flags & ~KSCOPE_QUIESCE_ALL)
		return -EINVAL;
	return kscope_scope_quiesce(call->scope, args->deadline_ns);
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
	int ret;

	if (args->flags)
		return -EINVAL;
	kscope_scope_query(call->scope, args);
	ret = reply(call, sizeof(*args));
	if (!ret)
		kscope_scope_told(call->scope, args->violations);
	return ret;
}

static long handle_eventfd(struct call *call)
{
	struct kscope_eventfd *args = &call->args.eventfd;
	struct eventfd_ctx *event = NULL;

	if (args->flags & ~KSCOPE_EVENTFD_ALL || args->reserved ||
	    args->fd < -1)
		return -EINVAL;
	if (args->fd >= 0)
		event = eventfd_ctx_fdget(args->fd);
	if (IS_ERR(event))
		return PTR_ERR(event);
	kscope_event_set(call->scope, event);
	return 0;
}

static int borrow_check(const struct kscope_borrow *args)
{
	u64 end;

	if (args->flags & ~KSCOPE_BORROW_ALL || args->reserved)
		return -EINVAL;
	if (!args->access || args->access & ~KSCOPE_ACCESS_ALL || !args->len ||
	    args->nr_blockers > KSCOPE_MAX_BLOCKERS)
		return -EINVAL;
	if (args->deadline_ns && !(args->flags & KSCOPE_BORROW_WAIT))
		return -EINVAL;
	return check_add_overflow(args->off, args->len, &end) ? -EOVERFLOW : 0;
}

static long handle_borrow(struct call *call)
{
	struct kscope_blocker blockers[KSCOPE_MAX_BLOCKERS];
	struct kscope_borrow *args = &call->args.borrow;
	int ret = borrow_check(args);

	if (ret)
		return ret;
	if (!args->blockers)
		args->nr_blockers = 0;
	ret = kscope_loan_take(call->scope, args, blockers);
	if (ret == -EBUSY)
		return reply_busy(call, sizeof(*args), args->blockers, blockers,
				  args->nr_blockers);
	if (ret)
		return ret;
	args->nr_blockers = 0;
	ret = reply(call, sizeof(*args));
	if (ret)
		kscope_loan_return(call->scope, args->lease);
	return ret;
}

static long handle_return(struct call *call)
{
	const struct kscope_return *args = &call->args.give_back;

	if (args->flags & ~KSCOPE_RETURN_ALL)
		return -EINVAL;
	return kscope_loan_return(call->scope, args->lease);
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
	COMMAND(KSCOPE_IOC_SCOPE_CREATE, struct kscope_scope_create,
		handle_scope_create),
	COMMAND(KSCOPE_IOC_BUF_PIN, struct kscope_buf_pin, handle_buf_pin),
	COMMAND(KSCOPE_IOC_BUF_UNPIN, struct kscope_buf_unpin,
		handle_buf_unpin),
	COMMAND(KSCOPE_IOC_HASH_OPEN, struct kscope_hash_open,
		handle_hash_open),
	COMMAND(KSCOPE_IOC_CANCEL, struct kscope_cancel, handle_cancel),
	COMMAND(KSCOPE_IOC_JOIN, struct kscope_join, handle_join),
	COMMAND(KSCOPE_IOC_RELEASE, struct kscope_release, handle_release),
	COMMAND(KSCOPE_IOC_QUERY, struct kscope_query, handle_query),
	COMMAND(KSCOPE_IOC_QUIESCE, struct kscope_quiesce, handle_quiesce),
	COMMAND(KSCOPE_IOC_EVENTFD, struct kscope_eventfd, handle_eventfd),
	COMMAND(KSCOPE_IOC_BORROW, struct kscope_borrow, handle_borrow),
	COMMAND(KSCOPE_IOC_RETURN, struct kscope_return, handle_return),
	COMMAND(KSCOPE_IOC_BUF_REBORROW, struct kscope_buf_reborrow,
		handle_buf_reborrow),
};

/*
 * Why the struct of a call cannot be had, or 0 if it can although its size is not the one that is
 * known here. What is refused for its size need not be readable to its end.
 */
static noinline int args_judge(struct call *call, u32 size, bool copied)
{
	int ret;

	if (!copied && get_user(call->size, (u32 __user *)call->user))
		return -EFAULT;
	if (call->size < size)
		return -EINVAL;
	if (call->size > PAGE_SIZE)
		return -E2BIG;
	if (!copied)
		return -EFAULT;
	ret = check_zeroed_user(call->user + size, call->size - size);
	if (ret < 0)
		return ret;
	return ret ? 0 : -E2BIG;
}

static __always_inline int args_get(struct call *call, u32 size)
{
	if (copy_from_user(&call->args, call->user, size))
		return args_judge(call, size, false);
	call->size = call->args.size;
	return likely(call->size == size) ? 0 : args_judge(call, size, true);
}

static __always_inline long dispatch(struct kscope_scope *scope,
				     const struct command *commands, u32 nr,
				     unsigned int cmd, void __user *user)
{
	struct call call __uninitialized;
	const struct command *command;
	int ret;

	cmd -= _IO(KSCOPE_IOC_MAGIC, 0);
	if (cmd >= nr)
		return -ENOTTY;
	command = &commands[array_index_nospec(cmd, nr)];
	if (!command->handle)
		return -ENOTTY;
	call.scope = scope;
	call.user = user;
	ret = args_get(&call, command->size);
	return ret ?: command->handle(&call);
}

/*
 * The one way that must be short: it is not in the table, and its copy is of a constant size, which
 * is not checked. The room for a batch shall not be on the stack of others.
 */
static noinline_for_stack long spawn(struct kscope_scope *scope,
				     void __user *user)
{
	struct call call __uninitialized;
	int ret;

	call.scope = scope;
	call.user = user;
	ret = args_get(&call, sizeof(struct kscope_spawn));
	return ret ?: handle_spawn(&call);
}

static long device_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	return dispatch(NULL, device_commands, ARRAY_SIZE(device_commands), cmd,
			(void __user *)arg);
}

static noinline long scope_ioctl(struct kscope_scope *scope, unsigned int cmd,
				 void __user *user)
{
	return dispatch(scope, scope_commands, ARRAY_SIZE(scope_commands), cmd,
			user);
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
	struct kscope_scope *scope = file->private_data;
	void __user *user = (void __user *)arg;

	if (likely(cmd == KSCOPE_IOC_SPAWN))
		return spawn(scope, user);
	return scope_ioctl(scope, cmd, user);
}

const struct file_operations kscope_device_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = device_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};
