// SPDX-License-Identifier: GPL-2.0
/*
 * New programs, and new ones from old ones.
 *
 * A program made at random would not get far: most calls need a scope, most children a
 * buffer. So it starts with those, and a descriptor is given the fields that its operation
 * takes. Mistakes are added to that one by one.
 */
#include "fuzz.h"

static unsigned int nr_params(const struct call *call)
{
	unsigned int nr = 0;

	while (kinds[call->kind].params[nr].name)
		nr++;
	return nr;
}

static struct arg *arg_of(struct call *call, const char *name)
{
	const struct param *param = kinds[call->kind].params;

	while (strcmp(param->name, name))
		param++;
	return &call->args[param - kinds[call->kind].params];
}

static void arg_set(struct call *call, const char *name, struct arg arg)
{
	*arg_of(call, name) = arg;
}

static void call_init(struct call *call, unsigned int kind)
{
	memset(call, 0, sizeof(*call));
	call->kind = kind;
	memcpy(call->args, kind_fallback(kind, 0), sizeof(call->args));
}

static struct arg small(struct rng *rng, enum type type, __u32 limit)
{
	struct arg arg = arg_random(rng, type);

	if (arg.form == FORM_NUMBER && !rng_chance(rng, 4))
		arg.value %= limit;
	return arg;
}

static struct arg slot(struct rng *rng, enum form form)
{
	return (struct arg){ .form = form, .index = rng_below(rng, 2) };
}

/* What is left of a buffer of the usual length, or one more or less */
static struct arg up_to_the_end(struct rng *rng, const struct arg *from)
{
	return arg_number(0x4000 - from->value % 0x4000 + rng_below(rng, 3) -
			  1);
}

static void desc_ranges(struct rng *rng, struct call *call, unsigned int nr)
{
	if (!nr)
		return;
	arg_set(call, "buf", slot(rng, FORM_BUF));
	arg_set(call, "off", small(rng, T_LEN, 0x2000));
	arg_set(call, "len", small(rng, T_LEN, 0x2000));
	if (rng_chance(rng, 3))
		arg_set(call, "len", up_to_the_end(rng, arg_of(call, "off")));
	if (nr < 2)
		return;
	arg_set(call, "buf2", slot(rng, FORM_BUF));
	arg_set(call, "arg", small(rng, T_LEN, 0x2000));
	if (rng_chance(rng, 3))
		arg_set(call, "arg", up_to_the_end(rng, arg_of(call, "len")));
}

static void desc_file(struct rng *rng, struct call *call)
{
	struct arg file = { .form = FORM_FILE };

	if (rng_chance(rng, 3))
		file = arg_random(rng, T_FILE);
	arg_set(call, "buf2", file);
	if (rng_chance(rng, 2) && arg_of(call, "op")->index < KSCOPE_OP_FSYNC)
		arg_set(call, "arg", small(rng, T_LEN, 0x10000));
}

/* The child that another comes after: by its distance, or by its handle */
static struct arg desc_first(struct rng *rng)
{
	if (rng_chance(rng, 2))
		return arg_number(1 + rng_below(rng, 4));
	return slot(rng, FORM_CHILD);
}

/* Give a descriptor the fields that its operation takes. */
static void desc_shape(struct rng *rng, struct call *call)
{
	static const __u8 ranges[] = { 0, 0, 1, 2, 2, 2, 1, 2, 1, 1, 0, 1 };
	__u32 op = rng_below(rng, ARRAY_SIZE(ranges));

	call_init(call, call->kind);
	arg_set(call, "op", (struct arg){ .form = FORM_WORD, .index = op });
	desc_ranges(rng, call, ranges[op]);
	switch (op) {
	case KSCOPE_OP_SLEEP:
		arg_set(call, "arg", arg_random(rng, T_TIME));
		break;
	case KSCOPE_OP_FILL:
	case KSCOPE_OP_CRC32C:
		arg_set(call, "arg", arg_number((__u32)rng_next(rng)));
		break;
	case KSCOPE_OP_HASH:
		arg_set(call, "hash", slot(rng, FORM_HASH));
		arg_set(call, "op_flags", arg_number(rng_below(rng, 4)));
		break;
	case KSCOPE_OP_READ:
	case KSCOPE_OP_WRITE:
	case KSCOPE_OP_FSYNC:
		desc_file(rng, call);
		break;
	case OP_GATE:
		arg_set(call, "op_flags", arg_number(1));
		break;
	}
	if (rng_chance(rng, 2))
		arg_set(call, "times", arg_number(rng_below(rng, 24)));
	if (rng_chance(rng, 3))
		arg_set(call, "user", arg_number(rng_below(rng, 4)));
	if (rng_chance(rng, 3))
		arg_set(call, "flags",
			arg_number(rng_below(rng, KSCOPE_CHILD_ALL + 1)));
	if (rng_chance(rng, 6))
		arg_set(call, "till", arg_random(rng, T_TIME));
	if (rng_chance(rng, 3))
		arg_set(call, "after", desc_first(rng));
}

static void call_tweak(struct rng *rng, struct call *call)
{
	unsigned int nr = nr_params(call), i = rng_below(rng, nr);

	/* where the struct lies and how long it says it is matters less */
	if (i < 3 && !rng_chance(rng, 3))
		i = rng_below(rng, nr);
	call->args[i] = arg_random(rng, kinds[call->kind].params[i].type);
}

static unsigned int any_kind(struct rng *rng)
{
	unsigned int i, dice, total = 0;

	for (i = 0; i < nr_kinds; i++)
		total += kinds[i].weight;
	dice = rng_below(rng, total);
	for (i = 0; dice >= kinds[i].weight; i++)
		dice -= kinds[i].weight;
	return i;
}

static void call_generate(struct rng *rng, struct call *call)
{
	__u32 one_in = 2;

	call_init(call, any_kind(rng));
	if (!strcmp(kinds[call->kind].name, "desc")) {
		/* one that is refused keeps all behind it from being spawned */
		desc_shape(rng, call);
		one_in = 5;
	}
	if (!strcmp(kinds[call->kind].name, "spawn") && rng_chance(rng, 2))
		arg_set(call, "flags", arg_number(KSCOPE_SPAWN_LINKED));
	while (rng_chance(rng, one_in))
		call_tweak(rng, call);
	if (rng_chance(rng, 6))
		call->thread = 1 + rng_below(rng, MAX_THREADS - 1);
}

static struct call *program_append(struct program *program, const char *name)
{
	struct call *call = &program->calls[program->nr++];

	call_init(call, kind_find(name));
	return call;
}

/* Few are inline: those refuse all children that may block. */
static struct arg scope_kind(struct rng *rng)
{
	if (rng_chance(rng, 6))
		return arg_number(KSCOPE_KIND_INLINE);
	return arg_number(rng_below(rng, KSCOPE_KIND_INLINE));
}

static void program_prologue(struct rng *rng, struct program *program)
{
	struct call *call = program_append(program, "create");

	arg_set(call, "capacity", arg_random(rng, T_CAPACITY));
	arg_set(call, "kind", scope_kind(rng));
	arg_set(call, "flags", arg_number(rng_chance(rng, 4)));
	if (rng_chance(rng, 8))
		call_tweak(rng, call);
	program_append(program, "pin");
	if (rng_chance(rng, 2)) {
		call = program_append(program, "pin");
		arg_set(call, "to", arg_number(1));
		call_tweak(rng, call);
	}
	if (rng_chance(rng, 3)) {
		call = program_append(program, "hash");
		arg_set(call, "name", arg_random(rng, T_NAME));
	}
}

void program_generate(struct rng *rng, struct program *program)
{
	unsigned int nr = 4 + rng_below(rng, MAX_CALLS - 12);
	unsigned int i;

	program->nr = 0;
	if (!rng_chance(rng, 16))
		program_prologue(rng, program);
	while (program->nr < nr)
		call_generate(rng, &program->calls[program->nr++]);
	for (i = 0; i < program->nr; i++)
		call_sanitise(&program->calls[i]);
}

static void insert(struct rng *rng, struct program *program)
{
	unsigned int at = rng_below(rng, program->nr + 1);

	if (program->nr == MAX_CALLS)
		return;
	memmove(&program->calls[at + 1], &program->calls[at],
		(program->nr - at) * sizeof(struct call));
	program->nr++;
	call_generate(rng, &program->calls[at]);
	if (at && rng_chance(rng, 4))
		program->calls[at] =
			program->calls[rng_below(rng, program->nr)];
}

static void delete (struct rng *rng, struct program *program)
{
	unsigned int at = rng_below(rng, program->nr);

	if (program->nr < 2)
		return;
	program->nr--;
	memmove(&program->calls[at], &program->calls[at + 1],
		(program->nr - at) * sizeof(struct call));
}

/* A start of this one, and an end of the other one. */
static void splice(struct rng *rng, struct program *program,
		   const struct program *other)
{
	unsigned int at = rng_below(rng, program->nr + 1);
	unsigned int from = rng_below(rng, other->nr);
	unsigned int nr = other->nr - from;

	if (nr > MAX_CALLS - at)
		nr = MAX_CALLS - at;
	memcpy(&program->calls[at], &other->calls[from],
	       nr * sizeof(struct call));
	program->nr = at + nr;
}

static void mutate_once(struct rng *rng, struct program *program,
			const struct program *other)
{
	struct call *call = &program->calls[rng_below(rng, program->nr)];

	switch (rng_below(rng, 12)) {
	case 0:
		splice(rng, program, other);
		break;
	case 1:
	case 2:
	case 3:
		insert(rng, program);
		break;
	case 4:
		delete (rng, program);
		break;
	case 5:
		call->thread = rng_below(rng, MAX_THREADS);
		break;
	case 6:
		if (!strcmp(kinds[call->kind].name, "desc"))
			desc_shape(rng, call);
		break;
	default:
		call_tweak(rng, call);
	}
}

void program_mutate(struct rng *rng, struct program *program,
		    const struct program *other)
{
	unsigned int i;

	do {
		mutate_once(rng, program, other);
	} while (!rng_chance(rng, 3) || !program->nr);
	for (i = 0; i < program->nr; i++)
		call_sanitise(&program->calls[i]);
}

static void limit_arg(struct arg *arg, __u64 from, __u64 to)
{
	if (arg->form == FORM_NUMBER && arg->value > from && arg->value <= to)
		arg->value = from;
}

/*
 * What would only take long is left out: scopes and buffers that need more memory than
 * the guest has, and children of a provider that would not heed a cancel.
 */
void call_sanitise(struct call *call)
{
	const char *name = kinds[call->kind].name;
	struct arg *arg;

	if (!strcmp(name, "create")) {
		limit_arg(arg_of(call, "capacity"), 1U << 14, 1U << 20);
	} else if (!strcmp(name, "pin")) {
		limit_arg(arg_of(call, "len"), 1ULL << 31, 64ULL << 30);
	} else if (!strcmp(name, "desc")) {
		arg = arg_of(call, "op");
		if (arg->form == FORM_WORD ? arg->index == OP_GATE :
					     arg->value >= KSCOPE_OP_PROVIDER)
			arg_of(call, "op_flags")->value |= 1;
	} else if (!strcmp(name, "nap")) {
		arg_of(call, "us")->value %= 2000;
	}
}
