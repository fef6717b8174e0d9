// SPDX-License-Identifier: GPL-2.0
/*
 * Smaller programs that do the same: with the same kind of finding, or that cover what
 * they shall cover.
 */
#include <stdlib.h>

#include "fuzz.h"

#define TRIES 20 /* for a finding that depends on timing */

typedef bool (*keeps)(const struct program *program);

static bool try_program(struct program *program, const struct program *trial,
			keeps keeps)
{
	if (!trial->nr || !keeps(trial))
		return false;
	*program = *trial;
	return true;
}

static bool drop_calls(struct program *program, keeps keeps)
{
	bool smaller = false;
	struct program trial;
	__u32 i;

	for (i = program->nr; i--;) {
		trial = *program;
		trial.nr--;
		memmove(&trial.calls[i], &trial.calls[i + 1],
			(trial.nr - i) * sizeof(trial.calls[0]));
		smaller |= try_program(program, &trial, keeps);
	}
	return smaller;
}

static void simplify_call(struct program *program, __u32 i, keeps keeps)
{
	const struct call *call = &program->calls[i];
	struct program trial;
	const struct arg *fallback;
	unsigned int j;

	if (call->thread) {
		trial = *program;
		trial.calls[i].thread = 0;
		try_program(program, &trial, keeps);
	}
	for (j = 0; kinds[call->kind].params[j].name; j++) {
		fallback = kind_fallback(call->kind, j);
		if (!memcmp(&call->args[j], fallback, sizeof(*fallback)))
			continue;
		trial = *program;
		trial.calls[i].args[j] = *fallback;
		call_sanitise(&trial.calls[i]);
		try_program(program, &trial, keeps);
	}
}

static void minimise(struct program *program, keeps keeps)
{
	__u32 i;

	while (drop_calls(program, keeps))
		;
	for (i = 0; i < program->nr; i++)
		simplify_call(program, i, keeps);
	drop_calls(program, keeps);
}

static struct job trial_job;

static bool keeps_finding(const struct program *program)
{
	trial_job.program = program;
	trial_job.nr = TRIES;
	return !worker_run(&trial_job);
}

/* Return: an exit code; the program is printed */
int minimise_finding(const struct job *job, const char *path)
{
	struct program program;

	trial_job = *job;
	if (program_read(path, &program))
		return 2;
	if (!keeps_finding(&program)) {
		printf("== no finding in %d runs\n", TRIES);
		return 2;
	}
	printf("== finding: %s\n", shared->text);
	minimise(&program, keeps_finding);
	program_print(&program, stdout);
	return 0;
}

/* What programs cover, as lists of bit numbers in shared->own */
struct cover {
	__u32 nr;
	__u32 *bits;
};

static struct cover wanted;
static struct program subject;

static bool covers_wanted(void)
{
	__u32 i;

	for (i = 0; i < wanted.nr; i++)
		if (!bit_is_set(shared->own, wanted.bits[i]))
			return false;
	return true;
}

/* In a worker */
static bool keeps_cover(const struct program *program)
{
	int tries;

	memset(shared->own, 0, sizeof(shared->own));
	for (tries = 0; tries < 3; tries++) {
		shared->history[1] = *program;
		exec_program(&shared->history[1]);
		if (covers_wanted())
			return true;
	}
	return false;
}

/* In a worker: the result goes to the history. */
static void worker_minimise(void)
{
	shared->history[0] = subject;
	minimise(&subject, keeps_cover);
	shared->history[0] = subject;
}

static struct cover own_bits(void)
{
	struct cover cover = { .bits = malloc(NR_SIGNALS * sizeof(__u32)) };
	__u32 i, bit;

	for (i = 0; cover.bits && i < sizeof(shared->own); i++)
		for (bit = 0; shared->own[i] && bit < 8; bit++)
			if (bit_is_set(shared->own, i * 8 + bit) &&
			    cover.nr < NR_SIGNALS)
				cover.bits[cover.nr++] = i * 8 + bit;
	cover.bits = realloc(cover.bits, (cover.nr + 1) * sizeof(__u32));
	return cover;
}

static struct cover measure(const struct job *job,
			    const struct program *program)
{
	trial_job = *job;
	trial_job.program = program;
	trial_job.nr = 1;
	memset(shared->own, 0, sizeof(shared->own));
	shared->keep_own = true;
	worker_run(&trial_job);
	shared->keep_own = false;
	return own_bits();
}

/* Return: false if there was a finding on the way */
static bool shrink(const struct job *job, struct program *program)
{
	bool good;

	trial_job = *job;
	trial_job.program = NULL;
	trial_job.instead = worker_minimise;
	subject = *program;
	shared->keep_own = true;
	good = worker_run(&trial_job);
	shared->keep_own = false;
	if (good && !shared->dying && shared->history[0].nr)
		*program = shared->history[0];
	return good;
}

/* Return: an exit code; the program is printed */
int minimise_cover(const struct job *job, const char *path)
{
	struct program program;

	if (program_read(path, &program))
		return 2;
	wanted = measure(job, &program);
	shrink(job, &program);
	printf("== it covers %u places\n", wanted.nr);
	program_print(&program, stdout);
	return shared->found;
}

static __u32 nr_news(const struct cover *cover, const __u8 *covered)
{
	__u32 i, nr = 0;

	for (i = 0; i < cover->nr; i++)
		nr += !bit_is_set(covered, cover->bits[i]);
	return nr;
}

/* The one that adds most; its news are moved to wanted. Return: its index, or -1 */
static int pick(struct cover *covers, __u8 *covered)
{
	__u32 i, nr, most = 0, bit;
	int best = -1;

	for (i = 0; i < shared->nr_corpus; i++) {
		nr = nr_news(&covers[i], covered);
		if (nr > most) {
			most = nr;
			best = i;
		}
	}
	wanted.nr = 0;
	for (i = 0; best >= 0 && i < covers[best].nr; i++) {
		bit = covers[best].bits[i];
		if (bit_is_set(covered, bit))
			continue;
		covered[bit / 8] |= 1 << bit % 8;
		wanted.bits[wanted.nr++] = bit;
	}
	return best;
}

/* Leave in the corpus only what it takes to cover the same, and make that small. */
void distill(const struct job *job)
{
	static __u8 covered[NR_COVERED / 8];
	struct cover *covers = calloc(MAX_CORPUS, sizeof(*covers));
	struct program *kept = calloc(MAX_CORPUS, sizeof(*kept));
	__u32 nr = 0, i;
	int best;

	wanted.bits = calloc(NR_SIGNALS, sizeof(__u32));
	if (!covers || !kept || !wanted.bits)
		exit(2);
	for (i = 0; i < shared->nr_corpus && !shared->found; i++)
		covers[i] = measure(job, &shared->corpus[i]);
	while (!shared->found && (best = pick(covers, covered)) >= 0) {
		kept[nr] = shared->corpus[best];
		shrink(job, &kept[nr++]);
	}
	memcpy(shared->corpus, kept, nr * sizeof(*kept));
	shared->nr_corpus = nr;
	printf("== distilled to %u programs\n", nr);
}
