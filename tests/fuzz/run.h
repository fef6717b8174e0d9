/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One function for each kind of call. Each returns what the call did: a value that is
 * not negative, or -errno. The order of their arguments is that of calls.c.
 */
#ifndef FUZZ_RUN_H
#define FUZZ_RUN_H

struct ctx;
struct arg;

#define RUN(name) long run_##name(struct ctx *ctx, const struct arg *args)

/* ioctls.c */
RUN(info);
RUN(op_info);
RUN(create);
RUN(nest);
RUN(reborrow);
RUN(pin);
RUN(unpin);
RUN(hash);
RUN(cancel);
RUN(join);
RUN(release);
RUN(query);
RUN(quiesce);
RUN(eventfd);
RUN(borrow);
RUN(give_back);
RUN(ioctl);

/* spawn.c */
RUN(desc);
RUN(spawn);

/* maps.c */
RUN(mmap);
RUN(munmap);
RUN(mremap);
RUN(mprotect);
RUN(madvise);
RUN(poke);
RUN(head);
RUN(reap);

/* fds.c */
RUN(poll);
RUN(fdop);
RUN(dup);
RUN(dup2);
RUN(close);
RUN(send);
RUN(recv);

/* tasks.c */
RUN(fork);
RUN(replay);
RUN(nap);
RUN(kick);
RUN(limit);
RUN(die);

#undef RUN

#endif /* FUZZ_RUN_H */
