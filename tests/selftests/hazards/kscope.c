// SPDX-License-Identifier: GPL-2.0
/* The column of kscope: what has to hold, and fails the row if it does not. */
#include "hazards.h"

/* A scope with a child that reads the slow disk into a buffer. */
struct reading {
	unsigned int flags; /* of the scope */
	struct scope scope;
	int buf;
	__u64 child;
	struct kscope_completion c;
	char *mem;
	long pinned; /* pages, with the one that is read into */
};

static int read_start(struct reading *r, void *mem, int fd, __u64 off)
{
	struct kscope_scope_create arg = { .kind = KSCOPE_KIND_PARALLEL,
					   .capacity = 4,
					   .flags = r->flags };
	int ret = scope_create(&arg);

	if (ret >= 0)
		ret = scope_map(&r->scope, ret, &arg);
	if (ret)
		return ret;
	r->buf = buf_pin(r->scope.fd, mem, LEN, 0);
	if (r->buf < 0)
		return r->buf;
	ret = spawn_one(r->scope.fd,
			desc_file(KSCOPE_OP_READ, fd, off, r->buf, 0, LEN),
			&r->child);
	return ret < 0 ? ret : disk_wait_busy();
}

static void read_end(struct reading *r)
{
	scope_close(&r->scope);
	munmap(r->mem, LEN);
}

/* Fresh memory, and a child that reads into it. */
static int read_into_new(struct reading *r, int fd)
{
	__u64 off;
	int ret = disk_next(&off);

	r->mem = map_anon(LEN);
	if (r->mem == MAP_FAILED)
		return -ENOMEM;
	memset(r->mem, OLD, LEN);
	if (!ret)
		ret = read_start(r, r->mem, fd, off);
	if (ret == -EAGAIN)
		read_end(r);
	return ret;
}

static void must_be_read(struct reading *r)
{
	must(reap_wait(&r->scope, &r->c) == 0);
	must(r->c.child == r->child);
	must(r->c.outcome == KSCOPE_FINISHED);
	must(r->c.done == LEN);
}

static int refused_unpin(struct reading *r)
{
	struct kscope_blocker blocker = {};
	unsigned int nr = 1;
	__u64 start = now_ns();
	int ret = buf_unpin_blockers(r->scope.fd, r->buf, &blocker, &nr);

	if (ret != -EBUSY && !disk_is_busy()) {
		read_end(r);
		return -EAGAIN;
	}
	printf("BUF_UNPIN returned %s after %.1f ms", ret_str(ret),
	       ms_since(start));
	must(ret == -EBUSY);
	must(nr == 1 && blocker.child == r->child);
	must(blocker.op == KSCOPE_OP_READ && blocker.buf == (__u32)r->buf);
	if (ret == -EBUSY && nr)
		printf(" and named the READ");
	return 0;
}

static int show_unpin(void)
{
	struct reading r = {};
	double later;
	int fd = disk_open(O_DIRECT), ret;

	if (fd < 0)
		return fd;
	ret = disk_retry(read_into_new(&r, fd) ?: refused_unpin(&r));
	if (ret)
		return ret;
	must_be_read(&r);
	ret = buf_unpin(r.scope.fd, r.buf);
	printf("; when that had ended, it returned %s, and ", ret_str(ret));
	must(ret == 0);
	later = written_after(r.mem);
	say_written(later);
	must(later < 0);
	read_end(&r);
	close(fd);
	return 0;
}

static int lose(struct reading *r, int fd)
{
	int ret = read_into_new(r, fd) ?: map_anew(r->mem);

	if (ret || !ring_unread(&r->scope))
		return ret;
	read_end(r);
	return -EAGAIN;
}

/* The program's mistake: it takes the address away and waits for what is read there. */
static int show_lose(void)
{
	struct kscope_query q = {};
	struct pollfd poller;
	struct reading r = {};
	int fd = disk_open(O_DIRECT);
	int ret = fd < 0 ? fd : disk_retry(lose(&r, fd));

	if (ret)
		return ret;
	poller = (struct pollfd){ .fd = r.scope.fd };
	poll(&poller, 1, 0);
	must(poller.revents & POLLERR);
	must_be_read(&r);
	must(r.c.flags == KSCOPE_COMPLETION_VIOLATED);
	must(query(r.scope.fd, &q) == 0 && q.violations == 1);
	printf("READ reported %llu bytes and %s, poll said %s, and %zu bytes came",
	       r.c.done, r.c.flags ? "VIOLATED" : "nothing else",
	       poller.revents & POLLERR ? "POLLERR at once" : "nothing",
	       bytes_written(r.mem));
	read_end(&r);
	close(fd);
	return 0;
}

static int reuse(struct reading *r, int fd)
{
	long pins = pins_now();
	int ret = read_into_new(r, fd) ?: map_anew(r->mem);

	if (ret)
		return ret;
	r->pinned = pins_now() - pins;
	must(r->pinned == 1);
	if (!ring_unread(&r->scope))
		return 0;
	read_end(r);
	return -EAGAIN;
}

static int show_reuse(void)
{
	struct reading r = {};
	size_t nr;
	int fd = disk_open(0);
	int ret = fd < 0 ? fd : disk_retry(reuse(&r, fd));

	if (ret)
		return ret;
	must_be_read(&r);
	nr = bytes_written(r.mem);
	printf("READ reported %llu bytes; of the new owner's %lu, %zu were overwritten, "
	       "and the old page was %s",
	       r.c.done, LEN, nr, r.pinned ? "still pinned" : "not pinned");
	must(nr == 0);
	read_end(&r);
	close(fd);
	return 0;
}

static int close_once(int fd, struct after *after)
{
	struct reading r = {};
	__u64 start;
	int ret = read_into_new(&r, fd);

	if (ret)
		return ret;
	start = now_ns();
	must(xclose(r.scope.fd) == 0);
	after->call_ms = ms_since(start);
	must(ring_unread(&r.scope) == 1);
	after->written_ms = written_after(r.mem);
	must(after->written_ms < 0);
	scope_unmap(&r.scope);
	munmap(r.mem, LEN);
	return 0;
}

static int show_close(void)
{
	double call[NR_RUNS], written[NR_RUNS];
	struct after after;
	int i, ret, fd = disk_open(O_DIRECT);

	if (fd < 0)
		return fd;
	for (i = 0; i < NR_RUNS; i++) {
		ret = disk_retry(close_once(fd, &after));
		if (ret)
			return ret;
		call[i] = after.call_ms;
		written[i] = after.written_ms;
	}
	printf("close() took %.1f ms, and ", median(call));
	say_outlived(median(written));
	close(fd);
	return 0;
}

static int owner(void *mem, int fd, __u64 off)
{
	struct reading r = {};

	return read_start(&r, mem, fd, off);
}

static int owner_fenced(void *mem, int fd, __u64 off)
{
	struct reading r = { .flags = KSCOPE_SCOPE_FENCE };

	return read_start(&r, mem, fd, off);
}

/* One that says what the end of the owner means. */
static int show_fence(void)
{
	double call[NR_RUNS];
	struct after after;
	int i, ret;

	for (i = 0; i < NR_RUNS; i++) {
		ret = disk_retry(owner_kill(owner_fenced, &after));
		if (ret)
			return ret;
		must(after.written_ms < 0);
		call[i] = after.call_ms;
	}
	printf("; with KSCOPE_SCOPE_FENCE waitpid() returned after %.1f ms, and ",
	       median(call));
	say_outlived(-1);
	return 0;
}

static int show_kill(void)
{
	double call[NR_RUNS], written[NR_RUNS];
	struct after after;
	int i, ret, nr_pinned = 0;

	for (i = 0; i < NR_RUNS; i++) {
		ret = disk_retry(owner_kill(owner, &after));
		if (ret)
			return ret;
		must(after.pinned);
		nr_pinned += after.pinned;
		call[i] = after.call_ms;
		written[i] = after.written_ms;
	}
	printf("waitpid() returned after %.1f ms, and ", median(call));
	say_outlived(median(written));
	printf("; its page stayed pinned in %d of %d runs", nr_pinned, NR_RUNS);
	return show_fence();
}

/* A handle is good for one child, however its slot and its user_data are used later. */
static int cancel_late(struct scope *scope, __u64 *second)
{
	struct kscope_completion c;
	__u64 first;
	int ret = spawn_one(scope->fd, desc_sleep(7, in_ms(1)), &first);

	if (ret < 0)
		return ret;
	must(reap_wait(scope, &c) == 0);
	ret = spawn_one(scope->fd, desc_sleep(7, far_future()), second);
	if (ret < 0)
		return ret;
	ret = cancel_child(scope->fd, first);
	usleep(20000);
	printf("a late cancel of an ended child returned %s, "
	       "and the next one with its user_data %s",
	       ret_str(ret), ring_unread(scope) ? "was ended" : "went on");
	must(ret == -ENOENT);
	must(ring_unread(scope) == 0);
	return 0;
}

static int refused_write(struct reading *r, int file)
{
	struct kscope_desc desc =
		desc_file(KSCOPE_OP_WRITE, file, 0, r->buf, 0, LEN);
	struct kscope_blocker blocker = {};
	unsigned int nr = 1;
	int ret = spawn_blockers(r->scope.fd, desc, &blocker, &nr);

	if (ret != -EBUSY && !disk_is_busy()) {
		read_end(r);
		return -EAGAIN;
	}
	printf("WRITE was refused: %s", ret_str(ret));
	must(ret == -EBUSY);
	must(nr == 1 && blocker.child == r->child);
	if (ret == -EBUSY && nr)
		printf(", because of the READ");
	return 0;
}

static int show_mix(void)
{
	int fd = disk_open(O_DIRECT), file = memfd_create("mix", MFD_CLOEXEC);
	struct reading r = {};
	int ret;

	if (fd < 0)
		return fd;
	ret = disk_retry(read_into_new(&r, fd) ?: refused_write(&r, file));
	if (ret)
		return ret;
	must_be_read(&r);
	ret = run_ok(&r.scope,
		     desc_file(KSCOPE_OP_WRITE, file, 0, r.buf, 0, LEN), &r.c);
	printf("; when that had ended, it returned %s, and ", ret_str(ret));
	printf("the file has %zu bytes from before the read", old_bytes(file));
	must(ret == 0);
	must(r.c.done == LEN && old_bytes(file) == 0);
	read_end(&r);
	close(file);
	close(fd);
	return 0;
}

static int show_cancel(void)
{
	struct kscope_completion c;
	struct scope scope;
	__u64 child;
	int ret = scope_open(&scope, KSCOPE_KIND_PARALLEL, 4);

	if (!ret)
		ret = cancel_late(&scope, &child);
	if (ret)
		return ret;
	do
		ret = spawn_one(scope.fd, desc_sleep(8, far_future()), NULL);
	while (ret == 1);
	must(ret == -EAGAIN);
	ret = cancel_child(scope.fd, child);
	printf("; with no slot free a cancel returned %s", ret_str(ret));
	must(ret == 0);
	must(reap_wait(&scope, &c) == 0);
	must(c.child == child && c.status == -ECANCELED);
	printf(" and ended its child");
	must(ring_unread(&scope) == 0);
	scope_close(&scope);
	return 0;
}

const struct column kscope_column = { .show = {
					      [UNPIN] = show_unpin,
					      [LOSE] = show_lose,
					      [REUSE] = show_reuse,
					      [CLOSE] = show_close,
					      [KILL] = show_kill,
					      [MIX] = show_mix,
					      [CANCEL] = show_cancel,
				      } };
