// SPDX-License-Identifier: GPL-2.0
/*
 * Every point fails once: cancel, join, query, release, close, digests in pieces, whole
 * lives of scopes, and what processes do with a scope's fd.
 */
#include <sys/epoll.h>
#include <sys/ptrace.h>

#include "fault_sweep.h"

#define PAGES 16
#define PIECE (4 * PAGE)

/* One child runs, four wait behind it. */
static void prepare_ordered(struct world *w)
{
	do_spawn_same(w, desc_sleep(0, far_future()), 1);
	do_spawn_same(w, desc_crc32c(w->buf, 0, PIECE, 0), 4);
	wait_running(w->scope.fd, 1);
}

#define ORDERED_TEST(name_, flags_, ...)                                    \
	SWEEP_TEST(name_, .kind = KSCOPE_KIND_ORDERED, .capacity = 16,      \
		   .pages = PAGES, .prepare = prepare_ordered,              \
		   .flags = F_PINNED | F_FROZEN | F_WANT_EFAULT | (flags_), \
		   ##__VA_ARGS__)

static void body_cancel_running(struct world *w)
{
	do_cancel(w, KSCOPE_CANCEL_CHILD, w->handles[0], 0);
}

static void body_cancel_queued(struct world *w)
{
	do_cancel(w, KSCOPE_CANCEL_CHILD, w->handles[2], 0);
}

static void body_cancel_user_data(struct world *w)
{
	do_cancel(w, KSCOPE_CANCEL_USER_DATA, 3, 0);
}

static void body_cancel_scope(struct world *w)
{
	do_cancel(w, KSCOPE_CANCEL_SCOPE, 0, 0);
}

static void body_cancel_nobody(struct world *w)
{
	do_cancel(w, KSCOPE_CANCEL_CHILD, w->handles[4] + (1ULL << 20),
		  -ENOENT);
}

ORDERED_TEST(cancel_of_a_running_child, 0, .body = body_cancel_running)
ORDERED_TEST(cancel_of_a_queued_child, 0, .body = body_cancel_queued)
ORDERED_TEST(cancel_by_user_data, 0, .body = body_cancel_user_data)
ORDERED_TEST(cancel_of_a_scope, 0, .body = body_cancel_scope)
ORDERED_TEST(cancel_of_nobody, 0, .body = body_cancel_nobody)

static void body_query(struct world *w)
{
	do_query(w);
}

static void body_release_busy(struct world *w)
{
	do_release(w, -EBUSY);
}

static void body_join_late(struct world *w)
{
	struct kscope_join arg;

	step(w, CALL_JOIN, -ETIMEDOUT, join_arg(w->scope.fd, 1, &arg));
}

static void body_close(struct world *w)
{
	do_query(w);
	do_close(w);
}

ORDERED_TEST(query, 0, .body = body_query)
ORDERED_TEST(release_with_blockers, 0, .body = body_release_busy)
ORDERED_TEST(join_that_times_out, 0, .body = body_join_late)
ORDERED_TEST(close_with_running_and_queued, 0, .body = body_close)

static void body_join(struct world *w)
{
	do_join(w);
}

static void body_release(struct world *w)
{
	do_release(w, 0);
}

static void prepare_finished(struct world *w)
{
	do_hash_open(w, "sha256", 0);
	do_spawn_same(w, desc_crc32c(w->buf, 0, PIECE, 0), 10);
	join(w->scope.fd);
}

#define FINISHED_TEST(name_, ...)                                \
	SWEEP_TEST(name_, .capacity = 16, .pages = PAGES,        \
		   .prepare = prepare_finished,                  \
		   .flags = F_PINNED | F_FROZEN | F_WANT_EFAULT, \
		   ##__VA_ARGS__)

FINISHED_TEST(join, .body = body_join)
FINISHED_TEST(release, .body = body_release)

/* Three pieces in one call; the ring is the only witness. */
static void prepare_pieces(struct world *w)
{
	do_hash_open(w, "crc32c", 0);
}

static void piece(struct world *w, unsigned int i, unsigned int op_flags)
{
	bool last = op_flags & KSCOPE_HASH_LAST;

	w->descs[w->accepted] = desc_hash(w->hash, op_flags, w->buf, i * PIECE,
					  PIECE, last ? w->buf : 0,
					  last ? 3 * PIECE : 0);
	do_spawn(w, 1);
}

static void body_pieces(struct world *w)
{
	piece(w, 0, KSCOPE_HASH_FIRST);
	piece(w, 1, 0);
	piece(w, 2, KSCOPE_HASH_LAST);
}

static bool digest_is(const struct world *w, unsigned int from, size_t len)
{
	__u32 crc = crc32c_of(w->mem + from * PIECE, len, 0);

	return !memcmp(w->mem + 3 * PIECE, &crc, sizeof(crc));
}

/* A piece that was refused is missing from the digest, and its spawner knows. */
static void verify_pieces(struct world *w)
{
	if (w->accepted != 3 || w->done[2].outcome != KSCOPE_FINISHED)
		return;
	if (!digest_is(w, 0, 3 * PIECE))
		complain(w, "the digest is wrong");
}

SWEEP_TEST(digest_in_pieces, .kind = KSCOPE_KIND_ORDERED, .capacity = 8,
	   .pages = PAGES, .prepare = prepare_pieces, .body = body_pieces,
	   .verify = verify_pieces, .want = -EBADMSG,
	   .flags = F_PINNED | F_WANT_EFAULT)

static int live_begin(struct world *w, unsigned int kind)
{
	int ret = do_create_as(w, kind, 64, 0);

	if (ret < 0)
		return ret;
	ret = do_map(w);
	if (ret)
		return ret;
	ret = do_pin(w);
	return ret < 0 ? ret : 0;
}

/* Each has its own bytes. */
static void spawn_fills(struct world *w, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		w->descs[w->accepted + i] = desc_fill(w->buf, i * 64, 64, 7);
	do_spawn(w, nr);
}

/* create, pin, spawn, perhaps cancel, join, release, close */
static void live(struct world *w, unsigned int kind, bool cancel)
{
	if (live_begin(w, kind))
		return;
	spawn_fills(w, 17);
	do_spawn_same(w, desc_sleep(0, cancel ? far_future() : 1), 1);
	if (cancel)
		do_cancel(w, KSCOPE_CANCEL_SCOPE, 0, 0);
	if (w->steps[w->nr_steps - 1].ret < 0)
		return; /* something may sleep for ever */
	if (!do_join(w))
		do_release(w, 0);
	do_close(w);
}

static void body_live(struct world *w)
{
	live(w, KSCOPE_KIND_PARALLEL, false);
}

static void body_live_ordered(struct world *w)
{
	live(w, KSCOPE_KIND_ORDERED, false);
}

static void body_live_cancelled(struct world *w)
{
	live(w, KSCOPE_KIND_PARALLEL, true);
}

static void body_live_ordered_cancelled(struct world *w)
{
	live(w, KSCOPE_KIND_ORDERED, true);
}

/* Closed with everything in it: buffers, a hash, children that run and that wait. */
static void body_live_closed(struct world *w)
{
	if (live_begin(w, KSCOPE_KIND_ORDERED))
		return;
	do_hash_open(w, "sha256", 0);
	do_spawn_same(w, desc_sleep(0, far_future()), 1);
	do_spawn_same(w, desc_crc32c(w->buf, 0, PIECE, 7), 17);
	do_close(w);
}

#define LIFE_FLAGS (F_WANT_EFAULT | F_WANT_ENOMEM | F_WANT_SURVIVED)
#define LIFE_TEST(name_, flags_)                                \
	SWEEP_TEST(name_, .pages = PAGES, .body = body_##name_, \
		   .flags = F_FRESH | LIFE_FLAGS | (flags_))

LIFE_TEST(live, 0)
LIFE_TEST(live_ordered, 0)
LIFE_TEST(live_cancelled, 0)
LIFE_TEST(live_ordered_cancelled, 0)
LIFE_TEST(live_closed, 0)

SWEEP_TEST(live_as_first_of_its_user, .pages = PAGES, .body = body_live,
	   .flags = F_FRESH | F_NEW_USER | LIFE_FLAGS)

/* Most points of fork and exec are the kernel's own, so not each is looked at. */
#define KERNEL_STRIDE 5

/* Another process inherits the scope, and goes. */
static void body_fork(struct world *w)
{
	pid_t pid = fork();

	if (!pid)
		_exit(0);
	if (step(w, CALL_OTHER, 0, sys(pid)) > 0)
		waitpid(pid, NULL, 0);
}

SWEEP_TEST(fork_with_a_scope, .kind = KSCOPE_KIND_ORDERED, .capacity = 16,
	   .pages = PAGES, .prepare = prepare_ordered, .body = body_fork,
	   .stride = KERNEL_STRIDE,
	   .flags = F_PINNED | F_FROZEN | F_WANT_ENOMEM | F_SPARE_PAGES)

/* What is left of the number of a process that is dead or stopped */
static unsigned int remote_left(pid_t pid)
{
	char path[40];
	long left;

	snprintf(path, sizeof(path), "/proc/%d/fail-nth", pid);
	left = number_get(path, 0);
	text_put(path, "0");
	return left;
}

/*
 * The process with the fault is another one. It stops when an exec has worked, so that no
 * page of the new program fails, and of its last words its number is left.
 */
static void remote_wait(struct world *w, pid_t pid)
{
	siginfo_t info = {};
	int code;

	as_root();
	if (pid < 0 ||
	    waitid(P_PID, pid, &info, WEXITED | WSTOPPED | WNOWAIT)) {
		complain(w, "the other process was lost");
		return;
	}
	w->left = remote_left(pid);
	if (info.si_code == CLD_TRAPPED) {
		waitpid(pid, NULL, 0);
		ptrace(PTRACE_DETACH, pid, NULL, NULL);
	}
	code = child_wait(pid);
	if (code && w->left)
		complain(w, "the other process ended with %d", code);
}

/* fail-nth of a process that was another user's belongs to root. */
static int remote_nth(const struct world *w)
{
	int nth;

	as_root();
	nth = nth_open();
	as_user(w->uid);
	return nth;
}

static bool steps_are_right(const struct world *w)
{
	unsigned int i;

	for (i = 0; i < w->nr_steps; i++)
		if (w->steps[i].want ? w->steps[i].ret != w->steps[i].want :
				       w->steps[i].ret < 0)
			return false;
	return true;
}

/* Its scope is its own; the points are those of exec, of which some kill it. */
static void remote_exec(struct world *w)
{
	char *const argv[] = { "true", NULL };
	int nth = remote_nth(w);

	if (nth < 0 || live_begin(w, KSCOPE_KIND_ORDERED))
		_exit(1);
	prepare_ordered(w);
	ptrace(PTRACE_TRACEME, 0, NULL, NULL);
	nth_arm(nth, w->n);
	execv("/bin/true", argv);
	_exit(1);
}

static void body_exec(struct world *w)
{
	pid_t pid = fork();

	if (!pid)
		remote_exec(w);
	remote_wait(w, pid);
}

static const char *no_true(void)
{
	return access("/bin/true", X_OK) ? "there is no /bin/true" : NULL;
}

SWEEP_TEST(exec_with_a_scope, .pages = PAGES, .body = body_exec,
	   .stride = KERNEL_STRIDE, .missing = no_true,
	   .flags = F_REMOTE | F_FRESH | F_SPARE_PAGES)

static void remote_exit(struct world *w)
{
	int nth = remote_nth(w);

	if (nth < 0)
		_exit(1);
	/* Once without a fault, for all pages to be there */
	body_live_closed(w);
	w->nr_steps = 0;
	w->accepted = 0;
	nth_arm(nth, w->n);
	body_live_closed(w);
	if (!live_begin(w, KSCOPE_KIND_ORDERED))
		do_spawn_same(w, desc_sleep(0, far_future()), 2);
	_exit(!steps_are_right(w));
}

static void body_exit(struct world *w)
{
	pid_t pid = fork();

	if (!pid)
		remote_exit(w);
	remote_wait(w, pid);
}

SWEEP_TEST(exit_with_a_scope, .pages = PAGES, .body = body_exit,
	   .flags = F_REMOTE | F_FRESH | F_SPARE_PAGES)

static void prepare_socket(struct world *w)
{
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, w->extra))
		complain(w, "no sockets");
}

/* The fd that comes out of the socket replaces the one that went in. */
static void body_pass(struct world *w)
{
	int fd;

	if (step(w, CALL_OTHER, 0, fd_send(w->extra[0], w->scope.fd)))
		return;
	fd = step(w, CALL_OTHER, 0, fd_recv(w->extra[1]));
	if (fd < 0)
		return;
	close(w->scope.fd);
	w->scope.fd = fd;
	do_query(w);
}

SWEEP_TEST(pass_a_scope, .capacity = 16, .pages = PAGES,
	   .prepare = prepare_socket, .body = body_pass,
	   .flags = F_PINNED | F_WANT_EFAULT | F_WANT_ENOMEM)

static void body_poll(struct world *w)
{
	struct epoll_event event = { .events = EPOLLIN };
	struct pollfd p = { .fd = w->scope.fd, .events = POLLIN };

	step(w, CALL_OTHER, 1, sys(poll(&p, 1, 0)));
	w->extra[0] = step(w, CALL_OTHER, 0, sys(epoll_create1(EPOLL_CLOEXEC)));
	if (w->extra[0] < 0)
		return;
	if (step(w, CALL_OTHER, 0,
		 sys(epoll_ctl(w->extra[0], EPOLL_CTL_ADD, w->scope.fd,
			       &event))))
		return;
	step(w, CALL_OTHER, 1, sys(epoll_wait(w->extra[0], &event, 1, 0)));
}

FINISHED_TEST(poll_and_epoll, .body = body_poll)
