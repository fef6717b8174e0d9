// SPDX-License-Identifier: GPL-2.0
/*
 * An owner: an ordinary process that does all that can be done with scopes, one thing after
 * the other as chance has it, until somebody kills it. Nothing it gets back is
 * believed or checked: whatever happens, the module must be left as it was.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>

#include "soak.h"

#define SCOPES 3
#define BUFS 8
#define MEM_LEN (2UL << 20)
#define BATCH 16

struct owned {
	struct scope scope;
	unsigned int bufs[BUFS], nr_bufs;
	__u64 handle; /* of some child */
};

struct owner {
	struct chance chance;
	struct tally *tally;
	struct owned owned[SCOPES];
	char *mem;
	unsigned int gate;
	int file, memfd, depth;
	const int *bus; /* both ends, which all owners share */
};

static void count(unsigned long *counter, unsigned long nr)
{
	__atomic_add_fetch(counter, nr, __ATOMIC_RELAXED);
}

static unsigned int pick(struct owner *owner, unsigned int nr)
{
	return chance_of(&owner->chance, nr);
}

static unsigned int some_buf(struct owner *owner, const struct owned *owned)
{
	return owned->nr_bufs ? owned->bufs[pick(owner, owned->nr_bufs)] : 1;
}

static void buf_add(struct owner *owner, struct owned *owned)
{
	unsigned long pages = 1 + pick(owner, 32);
	unsigned long at = pick(owner, MEM_LEN / PAGE - pages);
	int buf = buf_pin(owned->scope.fd, owner->mem + at * PAGE, pages * PAGE,
			  pick(owner, 4) ? 0 : KSCOPE_PIN_READ_ONLY);

	if (buf > 0)
		owned->bufs[owned->nr_bufs++ % BUFS] = buf;
	if (owned->nr_bufs > BUFS)
		owned->nr_bufs = BUFS;
}

static void scope_begin(struct owner *owner, struct owned *owned)
{
	*owned = (struct owned){};
	if (scope_open(&owned->scope, pick(owner, 2), 1 << pick(owner, 9)))
		return;
	count(&owner->tally->scopes, 1);
	hash_open(owned->scope.fd, "sha256");
	while (pick(owner, 3))
		buf_add(owner, owned);
}

static void scope_finish(struct owned *owned)
{
	if (owned->scope.fd < 0)
		return;
	close(owned->scope.fd);
	owned->scope.fd = -1;
	if (owned->scope.ring)
		scope_unmap(&owned->scope);
	owned->scope.ring = NULL;
}

static struct kscope_desc some_child(struct owner *owner,
				     const struct owned *owned)
{
	unsigned int buf = some_buf(owner, owned), other, len;
	__u64 off = pick(owner, 3 * PAGE);

	len = pick(owner, 4 * PAGE);
	other = some_buf(owner, owned);
	switch (pick(owner, 12)) {
	case 0:
		return desc_nop(0);
	case 1:
		return desc_sleep(0, now_ns() + pick(owner, 5000000));
	case 2:
		return desc_sleep(0, far_future());
	case 3:
		return desc_fill(buf, off, len, off);
	case 4:
	case 5:
		return desc_two(KSCOPE_OP_COPY + pick(owner, 3), buf, off,
				other, 2 * off, len);
	case 6:
		return desc_crc32c(buf, 0, len, 0);
	case 7:
		return desc_hash(1, KSCOPE_HASH_ALL, buf, 0, len, other, off);
	case 8:
		return desc_gate(owner->gate, pick(owner, 2), buf);
	case 9:
		return desc_fsync(owner->file, 0);
	default:
		return desc_file(KSCOPE_OP_READ + pick(owner, 2),
				 pick(owner, 2) ? owner->file : owner->memfd,
				 off, buf, off, len);
	}
}

/* A child that is refused is followed by one more try, up to the end of the batch. */
static void spawn_some(struct owner *owner, struct owned *owned)
{
	struct kscope_desc descs[BATCH];
	__u64 handles[BATCH];
	unsigned int nr = 1 + pick(owner, BATCH), i;
	int ret;

	for (i = 0; i < nr; i++) {
		descs[i] = some_child(owner, owned);
		descs[i].user_data = pick(owner, 8);
	}
	for (i = 0; i<nr; i += ret> 0 ? ret : 1) {
		ret = spawn_arg(owned->scope.fd, descs + i, handles + i, nr - i,
				0, 0);
		if (ret <= 0)
			continue;
		owned->handle = handles[i];
		count(&owner->tally->children, ret);
	}
}

static void reap_all(struct owner *owner, struct owned *owned)
{
	struct kscope_completion c;
	unsigned long nr = 0;

	if (!owned->scope.ring)
		return;
	while (reap(&owned->scope, &c))
		nr++;
	count(&owner->tally->reaped, nr);
}

static void cancel_some(struct owner *owner, struct owned *owned)
{
	struct kscope_cancel arg;
	int fd = owned->scope.fd;

	switch (pick(owner, 8)) {
	case 0:
		cancel_scope(fd);
		break;
	case 1:
	case 2:
	case 3:
		cancel_arg(fd, KSCOPE_CANCEL_USER_DATA, pick(owner, 8), &arg);
		break;
	default:
		cancel_child(fd, owned->handle);
	}
}

/* Whoever gets it may close it last, use it, or be killed with it in its queue. */
static void pass_fd(struct owner *owner, struct owned *owned)
{
	if (!fd_send(owner->bus[0], owned->scope.fd))
		count(&owner->tally->passed, 1);
}

static void take_fd(struct owner *owner, struct owned *owned)
{
	int fd = fd_recv(owner->bus[1]);
	struct kscope_query q;

	if (fd < 0)
		return;
	count(&owner->tally->received, 1);
	scope_finish(owned);
	*owned = (struct owned){ .scope.fd = fd };
	if (query(fd, &q))
		return;
	scope_map(&owned->scope, fd,
		  &(struct kscope_scope_create){
			  .ring_entries = q.capacity,
			  .ring_bytes = (q.capacity + 1) * 64 });
	owned->scope.fd = fd;
}

/* Only the kernel's collector of unreachable sockets ends this scope. */
static void queue_in_itself(struct owner *owner, struct owned *owned)
{
	int socks[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, socks))
		return;
	if (!fd_send(socks[0], owned->scope.fd) && !fd_send(socks[0], socks[0]))
		fd_send(socks[0], socks[1]);
	close(socks[0]);
	close(socks[1]);
	scope_begin(owner, owned);
}

static void touch_memory(struct owner *owner)
{
	unsigned int i;

	for (i = 0; i < 64; i++)
		owner->mem[pick(owner, MEM_LEN / PAGE) * PAGE] += i;
	if (!pick(owner, 8))
		madvise(owner->mem, MEM_LEN, MADV_PAGEOUT);
}

static void live(struct owner *owner, unsigned int steps);

/* A thread has its own chance, and the scopes of the one that made it, at that time. */
static void *thread_run(void *arg)
{
	struct owner *owner = arg;

	live(owner, 20 + pick(owner, 200));
	free(owner);
	return NULL;
}

static void thread_begin(struct owner *owner)
{
	struct owner *other = malloc(sizeof(*other));
	pthread_t thread;

	if (!other)
		return;
	*other = *owner;
	other->depth++;
	chance_seed(&other->chance, pick(owner, 1 << 30));
	if (pthread_create(&thread, NULL, thread_run, other)) {
		free(other);
		return;
	}
	pthread_detach(thread);
	count(&owner->tally->threads, 1);
}

/* A process with copies of all fds and mappings, which dies with its parent at the latest. */
static void process_begin(struct owner *owner)
{
	pid_t pid = fork();

	if (pid < 0)
		return;
	count(&owner->tally->forks, pid != 0);
	if (pid)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	owner->depth += 2;
	live(owner, 10 + pick(owner, 100));
	_exit(0);
}

static void scope_step(struct owner *owner, struct owned *owned)
{
	struct kscope_join result;

	switch (pick(owner, 20)) {
	case 0:
		join_arg(owned->scope.fd, in_ms(pick(owner, 3)), &result);
		break;
	case 1:
		wait_unread(owned->scope.fd, 1, 1 + pick(owner, 3));
		break;
	case 2:
	case 3:
		cancel_some(owner, owned);
		break;
	case 4:
		buf_unpin(owned->scope.fd, some_buf(owner, owned));
		break;
	case 5:
		buf_add(owner, owned);
		break;
	case 6:
		release(owned->scope.fd);
		break;
	case 7:
	case 8:
	case 9:
		reap_all(owner, owned);
		break;
	default:
		spawn_some(owner, owned);
	}
}

static void rare_step(struct owner *owner, struct owned *owned)
{
	switch (pick(owner, 10)) {
	case 0:
		pass_fd(owner, owned);
		break;
	case 1:
		take_fd(owner, owned);
		break;
	case 2:
		queue_in_itself(owner, owned);
		break;
	case 3:
		if (owner->depth < 2)
			thread_begin(owner);
		break;
	case 4:
		if (!owner->depth)
			process_begin(owner);
		break;
	case 5:
		usleep(pick(owner, 3000));
		break;
	case 6:
		touch_memory(owner);
		break;
	default:
		scope_finish(owned);
		scope_begin(owner, owned);
	}
}

/* Threads share what they were made with, so a scope may be closed under any of them. */
static void live(struct owner *owner, unsigned int steps)
{
	struct owned *owned;

	while (steps--) {
		owned = &owner->owned[pick(owner, SCOPES)];
		if (owned->scope.fd <= 0)
			scope_begin(owner, owned);
		if (pick(owner, 12))
			scope_step(owner, owned);
		else
			rare_step(owner, owned);
	}
}

static int file_of_owner(struct owner *owner)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), SOAK_DATA "/file-%u", pick(owner, 4));
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	return fd < 0 ? -1 : fd;
}

void owner_run(__u64 seed, struct tally *tally, const int *bus)
{
	struct owner owner = { .tally = tally, .bus = bus };
	int gate = gate_op(), i;

	chance_seed(&owner.chance, seed);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	text_write(SOAK_GROUP "/cgroup.procs", "0");
	set_limit(RLIMIT_MEMLOCK, MEMLOCK_PAGES * PAGE);
	set_limit(RLIMIT_CORE, 0);
	if (become(FIRST_UID + pick(&owner, NR_UIDS)))
		_exit(1);
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* a new uid forgets it */
	owner.gate = gate > 0 ? gate : KSCOPE_OP_NOP;
	owner.mem = map_anon(MEM_LEN);
	owner.file = file_of_owner(&owner);
	owner.memfd = memfd_create("soak", MFD_CLOEXEC);
	if (owner.mem == MAP_FAILED || owner.memfd < 0)
		_exit(1);
	for (i = 0; i < SCOPES; i++)
		owner.owned[i].scope.fd = -1;
	for (;;)
		live(&owner, 1000);
}
