/*
 * Mapping: random rules over random payloads against a naive reference that
 * decides by the text of paths, and what must hold of every outcome; decimals
 * against integers.
 */
#include "tests/unit/mapping_bed.h"

#define ROUNDS 4000
#define ENTRIES_MAX 3
#define PATH_BYTES_MAX 64

static uint64_t state;

/* xorshift64*, from a fixed seed: a failing round fails again. */
static unsigned chance(unsigned below)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return (unsigned)((state * 0x2545f4914f6cdd1dULL) >> 33) % below;
}

static void put_space(struct buffer *buffer)
{
	if (chance(4) == 0)
		buffer_append_string(buffer, chance(2) ? " " : "\n\t");
}

static void put_payload(struct buffer *buffer, unsigned depth);

static void put_value(struct buffer *buffer, unsigned depth)
{
	static const char *const scalars[] = {"1.50",           "-0",           "1e9",  "\"x\"",
	                                      "\"\\u0041\\n\"", "\"}{][\\\"\"", "true", "null",
	                                      "\"\"",           "{}",           "[ ]",  "false"};
	unsigned len = chance(3);

	put_space(buffer);
	if (depth == 0 || chance(3) == 0) {
		buffer_append_string(buffer, scalars[chance(12)]);
	} else if (chance(3) == 0) {
		buffer_append_string(buffer, "[");
		for (unsigned i = 0; i < len; i++) {
			buffer_append_string(buffer, i > 0 ? "," : "");
			put_value(buffer, depth - 1);
		}
		buffer_append_string(buffer, "]");
	} else {
		put_payload(buffer, depth - 1);
	}
	put_space(buffer);
}

static void put_payload(struct buffer *buffer, unsigned depth)
{
	static const char *const names[] = {"\"a\"", "\"b\"", "\"c\"", "\"d\"", "\"\\u0061\"", "\"\\u0062\""};
	unsigned len = chance(5);

	buffer_append_string(buffer, "{");
	for (unsigned i = 0; i < len; i++) {
		buffer_append_string(buffer, i > 0 ? "," : "");
		put_space(buffer);
		buffer_append_string(buffer, names[chance(6)]);
		put_space(buffer);
		buffer_append_string(buffer, ":");
		put_value(buffer, depth);
	}
	put_space(buffer);
	buffer_append_string(buffer, "}");
}

/* --- random rules, as texts --- */

struct entry {
	char path[PATH_BYTES_MAX];
	char to[2]; /* of a rename */
};

struct entries {
	struct entry items[ENTRIES_MAX];
	unsigned len;
};

struct lists {
	struct entries include;
	struct entries exclude;
	struct entries mask;
	struct entries rename;
	bool flatten;
};

static const struct entry *find(const struct entries *entries, const char *path)
{
	for (unsigned i = 0; i < entries->len; i++)
		if (strcmp(entries->items[i].path, path) == 0)
			return &entries->items[i];
	return NULL;
}

static void draw(struct entries *entries, unsigned one_in)
{
	unsigned wanted = chance(one_in) == 0 ? 1 + chance(ENTRIES_MAX) : 0;

	entries->len = 0;
	while (wanted-- > 0) {
		struct entry *entry = &entries->items[entries->len];
		unsigned names = 1 + chance(3);
		unsigned at = 0;

		for (unsigned i = 0; i < names; i++) {
			entry->path[at++] = (char)('a' + chance(4));
			entry->path[at++] = '.';
		}
		entry->path[at - 1] = '\0';
		entry->to[0] = (char)('c' + chance(4));
		entry->to[1] = '\0';
		if (find(entries, entry->path) == NULL && entry->path[at - 2] != entry->to[0])
			entries->len++;
	}
}

/* In the order drawn, or backwards: the rules are the same. */
static void put_list(struct buffer *text, const char *name, const struct entries *entries, const bool how[2])
{
	bool is_object = how[0];
	bool backwards = how[1];

	if (entries->len == 0)
		return;
	buffer_printf(text, ",\"%s\":%c", name, is_object ? '{' : '[');
	for (unsigned i = 0; i < entries->len; i++) {
		const struct entry *entry = &entries->items[backwards ? entries->len - 1 - i : i];

		buffer_printf(text, "%s\"%s\"", i > 0 ? "," : "", entry->path);
		if (is_object)
			buffer_printf(text, ":\"%s\"", strcmp(name, "mask") == 0 ? "***" : entry->to);
	}
	buffer_append_string(text, is_object ? "}" : "]");
}

static void put_rules(struct buffer *text, const struct lists *lists, bool backwards)
{
	const bool array[2] = {false, backwards};
	const bool object[2] = {true, backwards};

	buffer_clear(text);
	buffer_append_string(text, "{\"op\":\"put\"");
	put_list(text, "include", &lists->include, array);
	put_list(text, "exclude", &lists->exclude, array);
	put_list(text, "mask", &lists->mask, object);
	put_list(text, "rename", &lists->rename, object);
	buffer_append_string(text, lists->flatten ? ",\"flatten\":\"_\"}" : "}");
}

/* --- the reference --- */

struct reference {
	const struct lists *lists;
	struct buffer out;
	struct error error;
	unsigned arrays;
};

static bool is_below(const char *path, const char *parent)
{
	size_t len = strlen(parent);

	return strncmp(path, parent, len) == 0 && path[len] == '.';
}

static bool is_included(const struct reference *reference, const char *path)
{
	const struct entries *include = &reference->lists->include;

	for (unsigned i = 0; i < include->len; i++)
		if (is_below(path, include->items[i].path))
			return true;
	return include->len == 0 || find(include, path) != NULL;
}

static bool is_on_the_way(const struct reference *reference, const char *path)
{
	const struct entries *include = &reference->lists->include;

	for (unsigned i = 0; i < include->len; i++)
		if (is_below(include->items[i].path, path))
			return true;
	return false;
}

static void write_reference(struct reference *reference, yyjson_val *value, const char *path,
                            const char *prefix);

static void put_comma(struct buffer *out)
{
	if (out->ptr[out->len - 1] != '{' && out->ptr[out->len - 1] != '[')
		buffer_append_string(out, ",");
}

static void write_reference_member(struct reference *reference, yyjson_val *value, const char *path,
                                   const char *prefix)
{
	const struct lists *lists = reference->lists;
	const struct entry *rename = find(&lists->rename, path);
	char name[PATH_BYTES_MAX];
	bool dissolve = lists->flatten && reference->arrays == 0 && yyjson_is_obj(value) &&
	                yyjson_obj_size(value) > 0;

	if (find(&lists->exclude, path) != NULL ||
	    (!is_included(reference, path) && !is_on_the_way(reference, path)))
		return;
	(void)snprintf(name, sizeof name, "%.40s%s", reference->arrays == 0 ? prefix : "",
	               rename != NULL ? rename->to : path + strlen(path) - 1);
	if (find(&lists->mask, path) != NULL) {
		put_comma(&reference->out);
		buffer_printf(&reference->out, "\"%s\":\"***\"", name);
	} else if (dissolve) {
		(void)strcat(name, "_");
		write_reference(reference, value, path, name);
	} else if (yyjson_is_ctn(value) || is_included(reference, path)) {
		put_comma(&reference->out);
		buffer_printf(&reference->out, "\"%s\":", name);
		write_reference(reference, value, path, "");
	}
}

static void write_reference_array(struct reference *reference, yyjson_val *array, const char *path)
{
	yyjson_val *element;
	size_t at;
	size_t count;

	buffer_append_string(&reference->out, "[");
	reference->arrays++;
	yyjson_arr_foreach(array, at, count, element)
	{
		if (!yyjson_is_ctn(element) && !is_included(reference, path))
			continue;
		put_comma(&reference->out);
		write_reference(reference, element, path, "");
	}
	reference->arrays--;
	buffer_append_string(&reference->out, "]");
}

/* With a prefix the members only: the object dissolves. */
static void write_reference(struct reference *reference, yyjson_val *value, const char *path,
                            const char *prefix)
{
	yyjson_val *key;
	yyjson_val *member;
	size_t at;
	size_t count;

	if (yyjson_is_arr(value)) {
		write_reference_array(reference, value, path);
		return;
	}
	if (!yyjson_is_obj(value)) {
		CU_ASSERT_EQUAL_FATAL(json_append_value(&reference->out, value, &reference->error), 0);
		return;
	}
	buffer_append_string(&reference->out, *prefix ? "" : "{");
	yyjson_obj_foreach(value, at, count, key, member)
	{
		char below[PATH_BYTES_MAX];

		(void)snprintf(below, sizeof below, "%.50s%s%s", path, *path ? "." : "", yyjson_get_str(key));
		write_reference_member(reference, member, below, prefix);
	}
	buffer_append_string(&reference->out, *prefix ? "" : "}");
}

/* The document as the reference makes it, with the id in front. */
static void make_reference(struct reference *reference, struct slice payload)
{
	yyjson_doc *doc;

	buffer_clear(&reference->out);
	CU_ASSERT_EQUAL_FATAL(json_parse(payload, JSON_DEPTH_MAX, &doc, &reference->error), 0);
	write_reference(reference, yyjson_doc_get_root(doc), "", "");
	yyjson_doc_free(doc);
}

static bool equals_reference(const struct reference *reference, struct slice body)
{
	static const char id[] = "{\"id\":\"k\"";
	struct slice rest = buffer_slice(&reference->out);
	struct buffer compact;
	struct error error;
	yyjson_doc *doc;
	bool equal;

	buffer_init(&compact, SIZE_MAX);
	CU_ASSERT_EQUAL_FATAL(json_parse(body, JSON_DEPTH_MAX, &doc, &error), 0);
	CU_ASSERT_EQUAL_FATAL(json_append_value(&compact, yyjson_doc_get_root(doc), &error), 0);
	yyjson_doc_free(doc);
	equal = slice_starts_with(buffer_slice(&compact), slice_string(id));
	if (equal) {
		size_t skip = sizeof id - 1 + (compact.ptr[sizeof id - 1] == ',');

		equal = slice_equal(slice_of(compact.ptr + skip, compact.len - skip),
		                    slice_of(rest.ptr + 1, rest.len - 1));
	}
	buffer_deinit(&compact);
	return equal;
}

/* --- rounds --- */

struct round {
	struct lists lists;
	struct buffer rules;
	struct buffer payload;
	struct arena arena;
};

static struct mapping *read_rules(struct round *round, bool backwards)
{
	struct rules limits = rules_default();
	struct mapping *mapping = NULL;
	struct error error;

	put_rules(&round->rules, &round->lists, backwards);
	CU_ASSERT_EQUAL_FATAL(
		mapping_parse(buffer_slice(&round->rules), &limits, &round->arena, &mapping, &error), 0);
	return mapping;
}

static char *apply(struct round *round, const struct mapping *mapping, struct mapped *mapped)
{
	struct record record = {.key = slice_string("k"), .value = buffer_slice(&round->payload)};

	return bed_outcome(mapping_apply(mapping, &record, &round->arena, mapped), mapped);
}

/* True if the outcome was a document. */
static bool run_round(struct round *round, struct reference *reference)
{
	struct rules limits = rules_default();
	struct mapping *forwards = read_rules(round, false);
	struct mapping *backwards = read_rules(round, true);
	struct mapped mapped;
	struct mapped again;
	char *outcome = apply(round, forwards, &mapped);
	char *same = apply(round, backwards, &again);
	bool made = mapped.code == 0;
	bool good = strcmp(outcome, same) == 0 &&
	            slice_equal(mapping_canonical(forwards), mapping_canonical(backwards)) &&
	            mapping_digest(forwards) == mapping_digest(backwards);

	if (made) {
		bed_check_contract(&mapped, &limits, slice_string("id"));
		make_reference(reference, buffer_slice(&round->payload));
		good = good && equals_reference(reference, mapped.body);
	} else {
		good = good && mapped.code == MAPPING_REFUSAL_FIELD_COLLISION;
	}
	if (!good)
		(void)fprintf(stderr, "rules     %.*s\npayload   %.*s\ngot       %s\nreference %.*s\n",
		              SLICE_ARGS(buffer_slice(&round->rules)),
		              SLICE_ARGS(buffer_slice(&round->payload)), outcome,
		              SLICE_ARGS(buffer_slice(&reference->out)));
	CU_ASSERT_TRUE_FATAL(good);
	free(outcome);
	free(same);
	return made;
}

static void test_against_reference(void)
{
	struct round round;
	struct reference reference = {.lists = &round.lists};
	unsigned made = 0;

	state = 20260102;
	buffer_init(&round.rules, SIZE_MAX);
	buffer_init(&round.payload, SIZE_MAX);
	buffer_init(&reference.out, SIZE_MAX);
	for (unsigned i = 0; i < ROUNDS; i++) {
		arena_init(&round.arena, 4096);
		draw(&round.lists.include, 2);
		draw(&round.lists.exclude, 2);
		draw(&round.lists.mask, 3);
		draw(&round.lists.rename, 3);
		round.lists.flatten = chance(4) == 0;
		buffer_clear(&round.payload);
		put_payload(&round.payload, 4);
		made += run_round(&round, &reference);
		arena_deinit(&round.arena);
	}
	CU_ASSERT_TRUE(made > ROUNDS / 2); /* not everything collides */
	CU_ASSERT_TRUE(made < ROUNDS);
	buffer_deinit(&round.rules);
	buffer_deinit(&round.payload);
	buffer_deinit(&reference.out);
}

/* --- decimals --- */

/* number / 1000, written in one of many ways. */
static void put_number(struct buffer *text, int number)
{
	int size = number < 0 ? -number : number;
	const char *sign = number < 0 ? "-" : "";

	switch (chance(5)) {
	case 0:
		buffer_printf(text, "%s%d.%03d", sign, size / 1000, size % 1000);
		break;
	case 1:
		buffer_printf(text, "%s%de-3", sign, size);
		break;
	case 2:
		buffer_printf(text, "%s%d.%03d00E+00", sign, size / 1000, size % 1000);
		break;
	case 3:
		buffer_printf(text, "%s0.0%06de4", sign, size);
		break;
	default:
		buffer_printf(text, "%s%d.000e-003", sign, size);
	}
}

/* What of < = > holds, by the outcome of three mappings. */
static int order_by_mapping(struct round *round, int a, int b)
{
	static const char *const ops[] = {"<", "=", ">"};
	int order = 2;

	buffer_clear(&round->payload);
	buffer_append_string(&round->payload, "{\"f\":");
	put_number(&round->payload, a);
	buffer_append_string(&round->payload, "}");
	for (int i = 0; i < 3; i++) {
		struct rules limits = rules_default();
		struct mapping *mapping = NULL;
		struct mapped mapped;
		struct error error;

		buffer_clear(&round->rules);
		buffer_printf(&round->rules, "{\"where\":[{\"field\":\"f\",\"op\":\"%s\",\"value\":", ops[i]);
		put_number(&round->rules, b);
		buffer_append_string(&round->rules, "}]}");
		CU_ASSERT_EQUAL_FATAL(
			mapping_parse(buffer_slice(&round->rules), &limits, &round->arena, &mapping, &error),
			0);
		free(apply(round, mapping, &mapped));
		if (mapped.op == MAPPING_OP_PUT) {
			CU_ASSERT_EQUAL(order, 2); /* one of them holds */
			order = i - 1;
		}
	}
	return order;
}

static void test_decimals(void)
{
	struct round round;

	state = 7;
	buffer_init(&round.rules, SIZE_MAX);
	buffer_init(&round.payload, SIZE_MAX);
	for (unsigned i = 0; i < ROUNDS; i++) {
		int a = (int)chance(i % 2 ? 40 : 400000) - (i % 2 ? 20 : 200000);
		int near = a / 1000 * 1000 + (int)chance(3) - 1;
		int b = chance(3) == 0   ? a
		        : chance(3) == 0 ? near
		        : chance(8) == 0 ? -a
		                         : (int)chance(40) - 20;
		int got;

		arena_init(&round.arena, 4096);
		if (b == near)
			a = a / 1000 * 1000;
		got = order_by_mapping(&round, a, b);
		if (got != (a > b) - (a < b))
			(void)fprintf(stderr, "%d, %d: %d; %.*s %.*s\n", a, b, got,
			              SLICE_ARGS(buffer_slice(&round.payload)),
			              SLICE_ARGS(buffer_slice(&round.rules)));
		CU_ASSERT_EQUAL_FATAL(got, (a > b) - (a < b));
		arena_deinit(&round.arena);
	}
	buffer_deinit(&round.rules);
	buffer_deinit(&round.payload);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"against the reference", test_against_reference},
		{"decimals", test_decimals},
		CU_TEST_INFO_NULL,
	};

	return suite_run("mapping: properties", tests);
}
