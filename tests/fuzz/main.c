// SPDX-License-Identifier: GPL-2.0
/*
 * The manager: options, figures, one worker after the other, and what is said about a
 * finding.
 */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "fuzz.h"
#include "system.h"

#define PROGRAMS_OF_WORKER MAX_HISTORY
#define TICK_NS (8 * NSEC)

struct shared *shared;

static struct {
	__u64 seed, seconds, programs, times;
	const char *replay, *minimise, *corpus, *save;
	bool cover, root, distill;
	__u32 noise, limit;
} options = { .programs = ~0ULL, .seconds = ~0ULL, .times = 100 };

static __u64 began, next_tick;
static __u32 nr_killed;

static void figures(void)
{
	__u64 ms = (now_ns() - began) / MSEC + 1;

	printf("== %llu s: %llu programs, %llu calls (%llu/s)", ms / 1000,
	       shared->programs, shared->calls, shared->calls * 1000 / ms);
	printf(", %llu changed something, %llu refused, %llu forks",
	       shared->changed, shared->refused, shared->forks);
	printf(", %u workers killed, corpus %u, %u PCs, %u signals\n",
	       nr_killed, shared->nr_corpus, shared->nr_pcs,
	       shared->nr_signals);
	fflush(stdout);
}

/* A sign of life every 8 s */
void figures_tick(void)
{
	if (now_ns() < next_tick)
		return;
	next_tick += TICK_NS;
	figures();
}

static void print_program(const struct job *job, const struct program *program)
{
	printf("--- to run it again: put this into FILE, ");
	printf("fuzz --replay FILE --noise %u --limit %u%s\n", job->noise,
	       job->limit, job->as_root ? " --root" : "");
	program_print(program, stdout);
	printf("---\n");
}

static void print_running(void)
{
	unsigned int i;

	for (i = 0; i < MAX_THREADS; i++)
		if (shared->running[i] >= 0)
			printf("thread %u was in call %d, counted from 0\n", i,
			       shared->running[i]);
}

/*
 * Pages and references that are left can be of any program of the worker: look for the
 * one.
 */
static const struct program *find_culprit(const struct job *job)
{
	static struct program history[MAX_HISTORY];
	struct job single = *job;
	__u32 nr = shared->nr_history, i;

	memcpy(history, shared->history, sizeof(history));
	single.nr = 3;
	single.kill_after_ms = 0;
	for (i = 0; i < nr && strstr(shared->text, " left"); i++) {
		system_forgive();
		single.program = &history[i];
		if (!worker_run(&single))
			return &history[i];
	}
	shared->found = 1;
	return nr ? &history[nr - 1] : NULL;
}

static void report_finding(const struct job *job)
{
	const struct program *culprit;

	figures();
	printf("FINDING: %s\n", shared->text);
	print_running();
	culprit = find_culprit(job);
	if (culprit)
		print_program(job, culprit);
	printf("seed %llu\n", options.seed);
	fflush(stdout);
}

/* Most workers are nobody's, most are left alone; the others are what goes wrong. */
static struct job job_make(struct rng *rng)
{
	static const __u32 limits[] = { 1, 2, 3, 17, 4096 };
	struct job job = { .seed = rng_next(rng), .nr = PROGRAMS_OF_WORKER };

	job.as_root = rng_chance(rng, 5);
	if (rng_chance(rng, 3))
		job.noise = 1 + rng_below(rng, 1000000);
	if (rng_chance(rng, 4))
		job.limit = limits[rng_below(rng, ARRAY_SIZE(limits))];
	if (rng_chance(rng, 6))
		job.kill_after_ms = 1 + rng_below(rng, 400);
	return job;
}

static bool run_seeds(void)
{
	struct job job;
	__u32 nr = shared->nr_corpus, i;

	for (i = 0; i < nr; i += PROGRAMS_OF_WORKER) {
		job = (struct job){
			.nr = nr - i < PROGRAMS_OF_WORKER ? nr - i :
							    PROGRAMS_OF_WORKER,
			.first_seed = i,
			.nr_seeds = PROGRAMS_OF_WORKER,
			.as_root = true,
		};
		if (worker_run(&job))
			continue;
		report_finding(&job);
		return false;
	}
	return true;
}

static bool is_over(void)
{
	return shared->programs >= options.programs ||
	       (now_ns() - began) / NSEC >= options.seconds;
}

/* Return: an exit code */
static int fuzz(void)
{
	struct rng rng = { .state = options.seed };
	struct job job;

	if (!run_seeds())
		return 1;
	while (!is_over()) {
		job = job_make(&rng);
		if (job.nr > options.programs - shared->programs)
			job.nr = options.programs - shared->programs;
		nr_killed += !!job.kill_after_ms;
		if (!worker_run(&job)) {
			report_finding(&job);
			return 1;
		}
	}
	figures();
	return 0;
}

static struct job job_of_options(void)
{
	return (struct job){ .seed = options.seed,
			     .as_root = options.root,
			     .noise = options.noise,
			     .limit = options.limit };
}

static int replay(void)
{
	struct job job = job_of_options();
	struct program program;
	__u64 left;

	if (program_read(options.replay, &program))
		return 2;
	job.program = &program;
	for (left = options.times; left; left -= job.nr) {
		job.nr = left < PROGRAMS_OF_WORKER ? left : PROGRAMS_OF_WORKER;
		if (worker_run(&job))
			continue;
		report_finding(&job);
		return 1;
	}
	figures();
	return 0;
}

static int save(void)
{
	struct job job = job_of_options();
	int ret;

	if (options.distill && !shared->found) {
		next_tick = now_ns() + TICK_NS;
		distill(&job);
	}
	if (shared->found && options.distill)
		report_finding(&job);
	ret = corpus_save(options.save);
	if (ret)
		fprintf(stderr, "fuzz: %s: %s\n", options.save, strerror(-ret));
	return ret || shared->found;
}

static const char usage[] =
	"usage: fuzz [option]...\n"
	"  --seconds N    stop then\n"
	"  --programs N   stop after so many\n"
	"  --seed N       start of the random numbers; what threads do at the same time is left to chance\n"
	"  --corpus DIR   programs to start with (*.txt)\n"
	"  --save DIR     write the programs that found something new there\n"
	"  --distill      of these, only what it takes to cover the same, and made small\n"
	"  --replay FILE  run one program, --times N (100)\n"
	"  --minimise FILE  print a smaller program with a finding; with --cover, with the same coverage\n"
	"  --noise N, --limit N, --root  the worker of --replay and --minimise: test_seed and test_limit of the\n"
	"                 module, and whether it is root's\n"
	"  --trace        print each program before it runs\n";

static const struct option long_options[] = {
	{ "seconds", required_argument, NULL, 't' },
	{ "programs", required_argument, NULL, 'p' },
	{ "seed", required_argument, NULL, 's' },
	{ "corpus", required_argument, NULL, 'c' },
	{ "save", required_argument, NULL, 'o' },
	{ "distill", no_argument, NULL, 'd' },
	{ "replay", required_argument, NULL, 'r' },
	{ "times", required_argument, NULL, 'n' },
	{ "minimise", required_argument, NULL, 'm' },
	{ "cover", no_argument, NULL, 'C' },
	{ "noise", required_argument, NULL, 'N' },
	{ "limit", required_argument, NULL, 'L' },
	{ "root", no_argument, NULL, 'R' },
	{ "trace", no_argument, NULL, 'T' },
	{},
};

static __u64 parse_number(const char *text)
{
	char *end;
	__u64 value = strtoull(text, &end, 0);

	if (*end || end == text) {
		fprintf(stderr, "fuzz: what number is %s\n", text);
		exit(2);
	}
	return value;
}

static bool option_set(int option)
{
	switch (option) {
	case 't':
		options.seconds = parse_number(optarg);
		return true;
	case 'p':
		options.programs = parse_number(optarg);
		return true;
	case 's':
		options.seed = parse_number(optarg);
		return true;
	case 'n':
		options.times = parse_number(optarg);
		return true;
	case 'N':
		options.noise = parse_number(optarg);
		return true;
	case 'L':
		options.limit = parse_number(optarg);
		return true;
	default:
		return false;
	}
}

static bool option_name(int option)
{
	switch (option) {
	case 'c':
		options.corpus = optarg;
		return true;
	case 'o':
		options.save = optarg;
		return true;
	case 'r':
		options.replay = optarg;
		return true;
	case 'm':
		options.minimise = optarg;
		return true;
	default:
		return false;
	}
}

static bool option_switch(int option)
{
	options.distill |= option == 'd';
	options.cover |= option == 'C';
	options.root |= option == 'R';
	trace_programs |= option == 'T';
	return strchr("dCRT", option);
}

static void parse(int argc, char **argv)
{
	int option;

	options.seed = time(NULL) * 1000003ULL ^ getpid();
	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1)
		if (!option_set(option) && !option_name(option) &&
		    !option_switch(option))
			break;
	if (option != -1 || optind != argc) {
		fputs(usage, stderr);
		exit(2);
	}
}

static void start(void)
{
	umask(0);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED || prctl(PR_SET_CHILD_SUBREAPER, 1)) {
		perror("fuzz");
		exit(2);
	}
	kinds_init();
	files_open();
	memory_start();
	printf("== seed %llu, %s\n", options.seed,
	       cover_start() ?
		       "guided by KCOV" :
		       "no KCOV: random programs, guided by errnos only");
	system_start();
	began = now_ns();
	next_tick = began + TICK_NS;
}

int main(int argc, char **argv)
{
	struct job job;
	int ret;

	parse(argc, argv);
	start();
	job = job_of_options();
	if (options.replay)
		return replay();
	if (options.minimise)
		return options.cover ? minimise_cover(&job, options.minimise) :
				       minimise_finding(&job, options.minimise);
	if (options.corpus && corpus_load(options.corpus) < 0)
		return 2;
	ret = fuzz();
	if (options.save)
		return save() || ret;
	return ret;
}
