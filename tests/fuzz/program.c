// SPDX-License-Identifier: GPL-2.0
/*
 * Programs as text: a line for each call, "@1" in front if thread 1 makes it.
 *
 *	create capacity=64 kind=1
 *	pin to=2 addr=a3+0x10 len=0x1001
 *	desc op=fill buf=b2 len=4096
 *	@1 spawn min=1 deadline=now+5000
 *
 * Values: numbers; words of the type; s0 d1 f2 (fds), b3 c4 h0 (handles), each what the
 * slot holds at the time of the call; a5+0x10 (area 5 of memory.c); now+5000.
 */
#include <errno.h>
#include <stdlib.h>

#include "fuzz.h"

static const struct {
	const char *prefix;
	__u8 form;
	__u8 nr;
} slots[] = {
	{ "s", FORM_SCOPE, NR_SCOPES },	  { "d", FORM_DUP, NR_DUPS },
	{ "f", FORM_FILE, NR_FILES },	  { "b", FORM_BUF, NR_BUFS },
	{ "c", FORM_CHILD, NR_CHILDREN }, { "h", FORM_HASH, NR_HASHES },
	{ "a", FORM_ADDR, NR_AREAS },
};

static bool number_parse(const char *text, __u64 *value)
{
	char *end;

	errno = 0;
	*value = strtoull(text, &end, 0);
	return *text >= '0' && *text <= '9' && !*end && !errno;
}

static bool word_parse(enum type type, const char *text, struct arg *arg)
{
	const char *const *words = type_words[type];
	unsigned int i;

	for (i = 0; words && words[i]; i++) {
		if (strcmp(words[i], text))
			continue;
		*arg = (struct arg){ .form = FORM_WORD, .index = i };
		return true;
	}
	return false;
}

static bool slot_parse(const char *text, struct arg *arg)
{
	unsigned long index;
	unsigned int i;
	char *end;

	for (i = 0; i < ARRAY_SIZE(slots); i++)
		if (*text == *slots[i].prefix)
			break;
	if (i == ARRAY_SIZE(slots) || text[1] < '0' || text[1] > '9')
		return false;
	index = strtoul(text + 1, &end, 10);
	if (index >= slots[i].nr)
		return false;
	*arg = (struct arg){ .form = slots[i].form, .index = index };
	if (arg->form != FORM_ADDR)
		return !*end;
	return *end == '+' && number_parse(end + 1, &arg->value);
}

/* The value that @text means as a parameter of that type; false if none. */
bool arg_parse(enum type type, const char *text, struct arg *arg)
{
	*arg = (struct arg){ .form = FORM_NUMBER };
	if (word_parse(type, text, arg))
		return true;
	if (!strncmp(text, "now+", 4)) {
		arg->form = FORM_TIME;
		return number_parse(text + 4, &arg->value);
	}
	return number_parse(text, &arg->value) || slot_parse(text, arg);
}

static void number_print(__u64 value, FILE *out)
{
	fprintf(out, value < 10000 ? "%llu" : "%#llx", value);
}

static void arg_print(const struct param *param, const struct arg *arg,
		      FILE *out)
{
	unsigned int i = 0;

	fprintf(out, " %s=", param->name);
	switch (arg->form) {
	case FORM_NUMBER:
		number_print(arg->value, out);
		return;
	case FORM_WORD:
		fputs(type_words[param->type][arg->index], out);
		return;
	case FORM_TIME:
		fprintf(out, "now+%llu", arg->value);
		return;
	}
	while (slots[i].form != arg->form)
		i++;
	fprintf(out, "%s%u", slots[i].prefix, arg->index);
	if (arg->form == FORM_ADDR) {
		fputc('+', out);
		number_print(arg->value, out);
	}
}

void program_print(const struct program *program, FILE *out)
{
	const struct call *call;
	const struct kind *kind;
	unsigned int i, j;

	for (i = 0; i < program->nr; i++) {
		call = &program->calls[i];
		kind = &kinds[call->kind];
		if (call->thread)
			fprintf(out, "@%u ", call->thread);
		fputs(kind->name, out);
		for (j = 0; kind->params[j].name; j++)
			if (memcmp(&call->args[j], kind_fallback(call->kind, j),
				   sizeof(call->args[j])))
				arg_print(&kind->params[j], &call->args[j],
					  out);
		fputc('\n', out);
	}
}

static bool param_parse(struct call *call, char *word)
{
	const struct param *param = kinds[call->kind].params;
	char *value = strchr(word, '=');

	if (!value)
		return false;
	*value++ = 0;
	for (; param->name; param++)
		if (!strcmp(param->name, word))
			return arg_parse(
				param->type, value,
				&call->args[param - kinds[call->kind].params]);
	return false;
}

/* @word is set to what could not be understood. */
static bool call_parse(char *line, struct call *call, char **word)
{
	char *rest;
	int kind;

	memset(call, 0, sizeof(*call));
	*word = strtok_r(line, " \t", &rest);
	if (*word && **word == '@') {
		call->thread = atoi(*word + 1);
		if (call->thread >= MAX_THREADS)
			return false;
		*word = strtok_r(NULL, " \t", &rest);
	}
	kind = *word ? kind_find(*word) : -1;
	if (kind < 0)
		return false;
	call->kind = kind;
	memcpy(call->args, kind_fallback(kind, 0), sizeof(call->args));
	while ((*word = strtok_r(NULL, " \t", &rest)))
		if (!param_parse(call, *word))
			return false;
	return true;
}

bool program_parse(const char *text, struct program *program, char *error,
		   size_t size)
{
	char *copy = strdup(text), *rest, *line, *word = NULL;
	bool good = copy;

	program->nr = 0;
	for (line = copy ? strtok_r(copy, "\n", &rest) : NULL; line && good;
	     line = strtok_r(NULL, "\n", &rest)) {
		line += strspn(line, " \t");
		if (!*line || *line == '#')
			continue;
		good = program->nr < MAX_CALLS &&
		       call_parse(line, &program->calls[program->nr++], &word);
	}
	if (!good)
		snprintf(error, size, "call %u: %s", program->nr,
			 word ?: "too many calls");
	free(copy);
	return good;
}

/* Return: 0, or -errno after a message. */
int program_read(const char *path, struct program *program)
{
	char text[16384], error[256];
	FILE *in = fopen(path, "re");
	size_t len;

	if (!in) {
		fprintf(stderr, "fuzz: %s: %s\n", path, strerror(errno));
		return -errno;
	}
	len = fread(text, 1, sizeof(text) - 1, in);
	fclose(in);
	text[len] = 0;
	if (program_parse(text, program, error, sizeof(error)))
		return 0;
	fprintf(stderr, "fuzz: %s: %s\n", path, error);
	return -EINVAL;
}

int program_write(const char *path, const struct program *program)
{
	FILE *out = fopen(path, "we");

	if (!out)
		return -errno;
	program_print(program, out);
	return fclose(out) ? -errno : 0;
}
