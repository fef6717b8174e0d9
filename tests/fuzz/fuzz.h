/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A fuzzer of kscope's ABI. What its files share.
 *
 * The manager (main.c) starts one worker process after the other. A worker makes
 * programs, runs each of them with a few threads, and looks at the results. Everything
 * that has to outlive a worker is in struct shared.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>

#include <linux/kscope.h>

#define PAGE 4096UL
#define NSEC 1000000000ULL
#define MSEC 1000000ULL
#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

#define MAX_ARGS 16
#define MAX_CALLS 32
#define MAX_CORPUS 2000
#define MAX_HISTORY 64
#define MAX_THREADS 3 /* of a worker; what a fork runs counts as one more */

#define NR_SCOPES 4
#define NR_DUPS 4
#define NR_FILES 14
#define NR_BUFS 8
#define NR_CHILDREN 16
#define NR_HASHES 4

/* How an argument is given. Its text form is in program.c */
enum form {
	FORM_NUMBER, /* value */
	FORM_WORD, /* index of a word of the argument's type */
	FORM_SCOPE, /* fd slots */
	FORM_DUP,
	FORM_FILE,
	FORM_BUF, /* handle slots: what they hold may be dead, or of another scope */
	FORM_CHILD,
	FORM_HASH,
	FORM_ADDR, /* index of an area, and the offset there */
	FORM_TIME, /* nanoseconds from the time of the call */
};

struct arg {
	__u8 form;
	__u8 index;
	__u64 value;
};

struct call {
	__u8 kind; /* index of kinds[] */
	__u8 thread;
	struct arg args[MAX_ARGS];
};

struct program {
	__u32 nr;
	struct call calls[MAX_CALLS];
};

/* rng.c: splitmix64 */
struct rng {
	__u64 state;
};

__u64 rng_next(struct rng *rng);
__u32 rng_below(struct rng *rng, __u32 limit);
bool rng_chance(struct rng *rng, __u32 one_in);

/* types.c: what kinds of values there are, and how to make one */
enum type {
	T_DEVICE,
	T_FD,
	T_FILE,
	T_SLOT,
	T_BUF,
	T_BUF2,
	T_CHILD,
	T_HASH,
	T_ADDR,
	T_LEN,
	T_COUNT,
	T_U64,
	T_FLAGS,
	T_TIME,
	T_SIZE,
	T_AT,
	T_OP,
	T_CAPACITY,
	T_CAUSE,
	T_NAME,
	T_OPNAME,
	T_OFFSET,
	T_PROT,
	T_ADVICE,
	T_HOW,
	T_INDEX,
	T_SMALL,
	T_FDOP,
	T_LIMIT,
	T_COMMAND,
	T_NR,
};

/* Words of T_SIZE and T_AT, and of others that the code asks for */
enum { SIZE_EXACT, SIZE_SHORT, SIZE_ZERO, SIZE_FOUR, SIZE_TAIL, SIZE_JUNK };
enum { SIZE_PAGE = SIZE_JUNK + 1, SIZE_OVER, SIZE_HUGE };
enum { AT_GOOD, AT_EDGE, AT_CUT, AT_READ_ONLY, AT_NULL, AT_UNMAPPED };
enum { AT_KERNEL = AT_UNMAPPED + 1, AT_BENT, AT_PINNED, AT_RING, AT_HEAD };
enum { FD_DEVICE, FD_CLOSED, FD_NEGATIVE };
enum { HOW_EXIT, HOW_KILL, HOW_STAY, HOW_EXEC };
enum { OP_GATE = KSCOPE_OP_FSYNC + 1 };

extern const char *const *const type_words[T_NR];
extern const char *const hash_names[];
extern const char *const op_names[];
struct arg arg_random(struct rng *rng, enum type type);
struct arg arg_number(__u64 value);

/* calls.c: the calls that there are */
struct ctx;

struct param {
	const char *name;
	__u8 type;
	const char *fallback; /* the text form of the value if none is given */
};

#define KIND_CHANGES \
	(1U << 0) /* changes the state of the module when it succeeds */
#define KIND_BLOCKS (1U << 1) /* has to be interrupted */
#define KIND_LOCAL (1U << 2) /* is no system call of its own: not counted */

struct kind {
	const char *name;
	__u8 weight;
	__u8 flags;
	long (*run)(struct ctx *ctx, const struct arg *args);
	struct param params[MAX_ARGS + 1];
};

extern const struct kind kinds[];
extern const unsigned int nr_kinds;
int kind_find(const char *name);
const struct arg *kind_fallback(unsigned int kind, unsigned int param);
void kinds_init(void);

/* program.c: the text form */
bool arg_parse(enum type type, const char *text, struct arg *arg);
bool program_parse(const char *text, struct program *program, char *error,
		   size_t size);
void program_print(const struct program *program, FILE *out);
int program_read(const char *path, struct program *program);
int program_write(const char *path, const struct program *program);

/* mutate.c */
void program_generate(struct rng *rng, struct program *program);
void program_mutate(struct rng *rng, struct program *program,
		    const struct program *other);
void call_sanitise(struct call *call);

/* cover.c */
#define NR_SIGNALS (1U << 16)
#define NR_PCS (1U << 20)
#define NR_COVERED (NR_PCS + NR_SIGNALS) /* PCs, and how calls ended */

bool cover_start(void);
bool cover_is_on(void);
void cover_thread(unsigned int thread);
void cover_drop(void);
void cover_collect(unsigned int thread);
void cover_collect_remote(void);
void cover_signal(__u64 what);
bool bit_is_set(const __u8 *bits, __u64 bit);

/* The struct that all processes of the fuzzer share */
struct shared {
	__u64 programs, calls, changed, refused, forks;
	__u32 nr_signals, nr_pcs, new_signals;
	__u32 nr_corpus, nr_history;
	__u32 dying; /* the program ends its process itself */
	__u32 found; /* there is a finding, and it is in text[] */
	char text[1024];
	int running[MAX_THREADS]; /* index of the call, or -1 */
	bool keep_own; /* record in own[] what the program under way covers */
	__u8 signals[NR_SIGNALS];
	__u8 pcs[NR_PCS / 8];
	__u8 own[NR_COVERED / 8];
	struct program history[MAX_HISTORY];
	struct program corpus[MAX_CORPUS];
};

extern struct shared *shared;
void corpus_add(const struct program *program);
int corpus_load(const char *dir);
int corpus_save(const char *dir);

/* memory.c: the memory that programs work on, and where arguments are put */
enum room { ROOM_STRUCT, ROOM_DESCS, ROOM_HANDLES, ROOM_BLOCKERS, NR_ROOMS };
enum {
	AREA_ANON,
	AREA_SMALL,
	AREA_READ_ONLY,
	AREA_MEMFD,
	AREA_PRIVATE_FILE,
	AREA_SHARED_FILE,
	AREA_HOLE,
	AREA_CUT,
	AREA_HUGE,
	AREA_RING,
	AREA_HEAD,
	AREA_MAP,
	NR_AREAS = AREA_MAP + 4,
};

/* Where nothing else is: the heap of a static program is somewhere in the first GiB. */
#define AREA_BASE 0x100000000000UL
#define OBJ_BASE 0x110000000000UL
#define ROOM_BASE 0x120000000000UL
#define READ_ONLY_ROOM_BASE 0x130000000000UL
#define AREA_WINDOW 0x1000000UL
#define ROOM_BYTES (4 * PAGE)
#define ANON_BYTES (40 * PAGE)

struct place {
	char *addr; /* for the call */
	char *view; /* where we can look at it, or NULL */
};

void memory_start(void);
void areas_map(__u32 which);
struct place place_put(struct ctx *ctx, enum room room, unsigned int at,
		       const void *data, size_t len);
bool place_is_guarded(const struct place *place, size_t len);
int memory_write(struct ctx *ctx, __u64 addr, const void *data, size_t len);

/* state.c: what the program under way has made */
struct known {
	__u64 handle, user_data, len;
};

/* A child that was cancelled by its handle, and what the call said */
struct cancelled {
	__u64 handle;
	bool never_started;
};

#define MAX_OBJS 8
#define MAX_LOG 1024
#define MAX_CANCELLED 64

/* A scope, and what is known of its children */
struct obj {
	const struct kscope_ring *ring; /* NULL if it was not mapped */
	struct kscope_ring_head *head;
	__u32 entries, bytes;
	__u32 accepted;
	bool unsure; /* somebody else may use it: numbers need not match */
	bool scribbled; /* somebody else writes its head */
	bool busy; /* somebody reaps */
	__u32 nr_log, nr_known, nr_cancelled;
	struct kscope_completion log[MAX_LOG];
	struct known known[MAX_LOG];
	struct cancelled cancelled[MAX_CANCELLED];
};

struct fd_slot {
	int fd;
	struct obj *obj; /* NULL if it is no scope, or nobody knows which */
};

#define MAX_DESCS 128

struct ctx {
	unsigned int thread; /* MAX_THREADS: in a fork */
	bool in_fork;
	const struct program *program;
	unsigned int index; /* of the call under way */
	struct kscope_desc descs[MAX_DESCS];
	__u32 nr_descs;
	unsigned int kind; /* of the call under way */
	struct fd_slot slot; /* of the ioctl: others may put another one there */
	unsigned int depth; /* of replays */
};

struct state {
	__u64 scopes[NR_SCOPES], dups[NR_DUPS]; /* packed by slot_store() */
	int files[NR_FILES];
	__u32 bufs[NR_BUFS];
	__u64 children[NR_CHILDREN];
	__u32 hashes[NR_HASHES];
	struct obj objs[MAX_OBJS];
	__u32 nr_objs;
	int next_fd; /* numbers are not used twice, so that a closed one stays closed */
	int sockets[2];
	pid_t forks[8];
	__u32 nr_forks;
	bool fds_mixed; /* dup2() has put something where something else was */
	bool limits_dirty, files_dirty;
	__u32 dirty_areas; /* bits: not as a program expects them any more */
};

extern struct state state;
void files_open(void);
void state_reset(void);
void state_clean(void);
struct fd_slot fd_of(const struct arg *arg);
struct fd_slot slot_load(const __u64 *slots, __u32 i);
void slot_store(__u64 *slots, __u32 i, struct fd_slot slot);
__u64 value_of(const struct arg *arg);
int fd_park(int fd);
void mark_unsure(void);
__u64 now_ns(void);
__u32 op_number(__u32 op);
extern __u32 gate_number;

/* oracle.c */
void finding(const char *format, ...)
	__attribute__((format(printf, 1, 2), noreturn));
void oracle_check_return(unsigned int kind, const struct fd_slot *slot,
			 long ret);
void oracle_check_query(const struct kscope_query *query);
void oracle_check_obj(struct obj *obj);
void oracle_check_cancel(struct obj *obj, const struct kscope_cancel *cancel,
			 long ret);
bool oracle_reap(struct obj *obj, __u32 max);
/* exec.c */
void exec_start_threads(void);
void exec_program(const struct program *program);
long exec_call(struct ctx *ctx, unsigned int index);
void exec_kick(unsigned int thread);

/* worker.c */
struct job {
	__u64 seed;
	bool as_root;
	__u32 noise, limit; /* for the hooks of the module */
	__u32 nr; /* programs */
	__u32 first_seed,
		nr_seeds; /* programs of the corpus that are run as they are */
	const struct program *program; /* run this one each time, or NULL */
	void (*instead)(void); /* what the worker does instead, or NULL */
	__u32 kill_after_ms; /* 0: let it end */
};

extern bool trace_programs;
bool worker_run(const struct job *job);

/* main.c */
void figures_tick(void);

/* minimise.c */
int minimise_finding(const struct job *job, const char *path);
int minimise_cover(const struct job *job, const char *path);
void distill(const struct job *job);

#endif /* FUZZ_H */
