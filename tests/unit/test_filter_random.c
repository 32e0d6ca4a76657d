/*
 * Random filters: a tree printed as an expression is parsed back to the same
 * tree, and matches what a naive evaluator says. The evaluator looks at a
 * document the other way round: it first flattens it to (path, value) pairs.
 */
#include "tests/unit/filter_bed.h"

#include <stdio.h>
#include <stdlib.h>

#define ROUNDS 4000
#define DOCUMENTS_A_ROUND 12
#define TREE_DEPTH 4

static uint64_t dice_state;

/* From 0 to n - 1 (SplitMix64). */
static size_t dice(size_t n)
{
	uint64_t z = dice_state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return (size_t)((z ^ z >> 31) % n);
}

static const char *const fields[] = {"a", "b", "a.b", "a.c", "b.a.c", "a b", "É"};
/* As a document holds them: JSON of a string, a number, or neither. */
static const char *const texts[] = {"x",    "X y", "5",  "10", "-1.5", "true", "AND",
                                    "it's", "\"",  "\\", "é",  "",     " x ",  "5.0"};
static const char *const scalars[] = {"\"x\"",    "\"X y\"",  "5",     "\"5\"", "10",      "-1.5",
                                      "\"-1.5\"", "true",     "false", "null",  "\"and\"", "\"it's\"",
                                      "\"\\\"\"", "\"\\\\\"", "\"É\"", "\"\"",  "\" X\"",  "5.0",
                                      "1e1",      "{}",       "[]"};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- trees ---- */

static struct filter *random_tree(struct arena *arena, int depth);

static struct filter *node(struct arena *arena, enum filter_kind kind)
{
	struct filter *filter = arena_alloc(arena, sizeof *filter);

	CU_ASSERT_PTR_NOT_NULL_FATAL(filter);
	*filter = (struct filter){.kind = kind};
	return filter;
}

static struct filter *random_condition(struct arena *arena)
{
	struct filter *filter =
		node(arena,
	             (enum filter_kind)(FILTER_KIND_EQUAL + dice(FILTER_KIND_EMPTY - FILTER_KIND_EQUAL + 1)));

	filter->field = slice_string(fields[dice(COUNT(fields))]);
	filter->literals_len = 1;
	if (filter->kind >= FILTER_KIND_EXISTS)
		filter->literals_len = 0;
	else if (filter->kind == FILTER_KIND_BETWEEN)
		filter->literals_len = 2;
	else if (filter->kind == FILTER_KIND_IN)
		filter->literals_len = dice(5);
	filter->literals = arena_alloc(arena, (filter->literals_len + 1) * sizeof *filter->literals);
	CU_ASSERT_PTR_NOT_NULL_FATAL(filter->literals);
	for (size_t i = 0; i < filter->literals_len; i++)
		filter->literals[i] =
			(struct filter_literal){.text = slice_string(texts[dice(COUNT(texts))])};
	return filter;
}

/* Never NOT of NOT, which is parsed to what stands inside. */
static struct filter *random_connective(struct arena *arena, enum filter_kind kind, int depth)
{
	struct filter *filter = node(arena, kind);
	struct filter **end = &filter->children;
	size_t len = kind == FILTER_KIND_NOT ? 1 : 2 + dice(3);

	while (len > 0) {
		struct filter *child = random_tree(arena, depth - 1);

		if (kind == FILTER_KIND_NOT && child->kind == FILTER_KIND_NOT)
			continue;
		*end = child;
		end = &child->next;
		len--;
	}
	return filter;
}

static struct filter *random_tree(struct arena *arena, int depth)
{
	size_t side = depth > 0 ? dice(6) : 6;

	if (side >= 3)
		return random_condition(arena);
	return random_connective(arena, (enum filter_kind)(FILTER_KIND_AND + side), depth);
}

/* ---- printing ---- */

static void print_space(struct buffer *out)
{
	static const char *const spaces[] = {" ", "  ", "\t", "\n "};

	buffer_append_string(out, spaces[dice(COUNT(spaces))]);
}

static bool is_plain(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (!((text.ptr[i] | 0x20) >= 'a' && (text.ptr[i] | 0x20) <= 'z') &&
		    !(text.ptr[i] >= '0' && text.ptr[i] <= '9') && text.ptr[i] != '-' && text.ptr[i] != '.')
			return false;
	return text.len > 0 && !slice_equal(text, slice_string("AND"));
}

static void print_text(struct slice text, struct buffer *out)
{
	uint8_t quote = dice(2) ? '"' : '\'';

	if (is_plain(text) && dice(2)) {
		buffer_append_slice(out, text);
		return;
	}
	buffer_put_u8(out, quote);
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] == quote || text.ptr[i] == '\\')
			buffer_put_u8(out, '\\');
		buffer_put_u8(out, text.ptr[i]);
	}
	buffer_put_u8(out, quote);
}

static void print_list(const struct filter *filter, struct buffer *out)
{
	buffer_append_string(out, "[");
	for (size_t i = 0; i < filter->literals_len; i++) {
		buffer_append_string(out, i > 0 ? ", " : "");
		print_text(filter->literals[i].text, out);
	}
	buffer_append_string(out, filter->literals_len > 0 && dice(3) == 0 ? " ,]" : "]");
}

/* With `negated`, which only the worded operators can be. */
static void print_condition(const struct filter *filter, bool negated, struct buffer *out)
{
	static const char *const operators[] = {
		[FILTER_KIND_EQUAL] = "=",
		[FILTER_KIND_NOT_EQUAL] = "!=",
		[FILTER_KIND_GREATER] = ">",
		[FILTER_KIND_GREATER_EQUAL] = ">=",
		[FILTER_KIND_LESS] = "<",
		[FILTER_KIND_LESS_EQUAL] = "<=",
		[FILTER_KIND_IN] = "IN",
		[FILTER_KIND_CONTAINS] = "CONTAINS",
		[FILTER_KIND_STARTS_WITH] = "STARTS WITH",
		[FILTER_KIND_EXISTS] = "EXISTS",
		[FILTER_KIND_NULL] = "NULL",
		[FILTER_KIND_EMPTY] = "EMPTY",
	};

	print_text(filter->field, out);
	print_space(out);
	if (filter->kind == FILTER_KIND_BETWEEN) {
		print_text(filter->literals[0].text, out);
		buffer_append_string(out, " TO ");
		print_text(filter->literals[1].text, out);
		return;
	}
	if (filter->kind == FILTER_KIND_NULL || filter->kind == FILTER_KIND_EMPTY)
		buffer_append_string(out, "IS ");
	if (negated)
		buffer_append_string(out, "NOT ");
	buffer_append_string(out, operators[filter->kind]);
	print_space(out);
	if (filter->kind == FILTER_KIND_IN)
		print_list(filter, out);
	else if (filter->literals_len > 0)
		print_text(filter->literals[0].text, out);
}

static void print_tree(const struct filter *filter, struct buffer *out);

static void print_child(const struct filter *filter, bool parenthesis, struct buffer *out)
{
	buffer_append_string(out, parenthesis ? "(" : "");
	print_tree(filter, out);
	buffer_append_string(out, parenthesis ? ")" : "");
}

static void print_tree(const struct filter *filter, struct buffer *out)
{
	const struct filter *child = filter->children;

	switch (filter->kind) {
	case FILTER_KIND_NOT:
		if (child->kind >= FILTER_KIND_IN && dice(2)) {
			print_condition(child, true, out);
			return;
		}
		buffer_append_string(out, "NOT ");
		print_child(child, child->kind <= FILTER_KIND_OR || dice(4) == 0, out);
		return;
	case FILTER_KIND_AND:
	case FILTER_KIND_OR:
		for (; child != NULL; child = child->next) {
			/* AND binds tighter than OR; of the same kind needs its own pair */
			bool needed = child->kind == filter->kind || child->kind == FILTER_KIND_OR;

			print_child(child, needed || dice(4) == 0, out);
			if (child->next != NULL)
				buffer_append_string(out, filter->kind == FILTER_KIND_AND ? " AND " : " OR ");
		}
		return;
	default:
		print_condition(filter, false, out);
	}
}

/* ---- comparing trees ---- */

static size_t count_text(const struct filter *filter, struct slice text)
{
	size_t count = 0;

	for (size_t i = 0; i < filter->literals_len; i++)
		count += slice_equal(filter->literals[i].text, text);
	return count;
}

/* The literals of IN in any order, the others' as they are. */
static bool same_literals(const struct filter *a, const struct filter *b)
{
	if (a->literals_len != b->literals_len)
		return false;
	for (size_t i = 0; i < a->literals_len; i++) {
		struct slice text = a->literals[i].text;

		if (a->kind == FILTER_KIND_IN ? count_text(a, text) != count_text(b, text)
		                              : !slice_equal(text, b->literals[i].text))
			return false;
	}
	return true;
}

static bool same_tree(const struct filter *a, const struct filter *b)
{
	const struct filter *child_a = a->children;
	const struct filter *child_b = b->children;

	if (a->kind != b->kind || !slice_equal(a->field, b->field) || !same_literals(a, b))
		return false;
	for (; child_a != NULL && child_b != NULL; child_a = child_a->next, child_b = child_b->next)
		if (!same_tree(child_a, child_b))
			return false;
	return child_a == child_b;
}

/* ---- documents ---- */

static void print_value(struct buffer *out, int depth);

static void print_object(struct buffer *out, int depth)
{
	static const char *const names[] = {"a", "b", "c", "a.b", "b.a", "a b", "É"};

	buffer_append_string(out, "{");
	for (size_t i = 0, len = dice(5); i < len; i++) {
		buffer_printf(out, "%s\"%s\":", i > 0 ? "," : "", names[dice(COUNT(names))]);
		print_value(out, depth - 1);
	}
	buffer_append_string(out, "}");
}

static void print_value(struct buffer *out, int depth)
{
	size_t side = depth > 0 ? dice(8) : 8;

	if (side < 2) {
		print_object(out, depth);
	} else if (side == 2) {
		buffer_append_string(out, "[");
		for (size_t i = 0, len = dice(4); i < len; i++) {
			buffer_append_string(out, i > 0 ? "," : "");
			print_value(out, depth - 1);
		}
		buffer_append_string(out, "]");
	} else {
		buffer_append_string(out, scalars[dice(COUNT(scalars))]);
	}
}

/* ---- the naive evaluator ---- */

#define ENTRIES_MAX 4096
#define PATH_BYTES_MAX 64

struct flat {
	struct {
		char path[PATH_BYTES_MAX];
		yyjson_val *value;
	} entries[ENTRIES_MAX];
	size_t len;
};

static bool is_repeated_later(yyjson_val *object, yyjson_val *key)
{
	size_t at;
	size_t len;
	yyjson_val *other;
	yyjson_val *value;
	bool later = false;

	yyjson_obj_foreach(object, at, len, other, value)
	{
		if (other > key && yyjson_equals_str(other, yyjson_get_str(key)))
			later = true;
	}
	return later;
}

static void flatten(struct flat *flat, const char *prefix, yyjson_val *value)
{
	size_t at;
	size_t len;
	yyjson_val *key;
	yyjson_val *child;

	yyjson_arr_foreach(value, at, len, child)
	{
		flatten(flat, prefix, child);
	}
	yyjson_obj_foreach(value, at, len, key, child)
	{
		char path[PATH_BYTES_MAX];

		if (is_repeated_later(value, key))
			continue;
		(void)snprintf(path, sizeof path, "%s%s%s", prefix, prefix[0] != '\0' ? "." : "",
		               yyjson_get_str(key));
		CU_ASSERT_FATAL(flat->len < ENTRIES_MAX);
		memcpy(flat->entries[flat->len].path, path, sizeof path);
		flat->entries[flat->len++].value = child;
		flatten(flat, path, child);
	}
}

static bool number_of(const char *text, double *number)
{
	char *end;

	if (text[0] != '-' && (text[0] < '0' || text[0] > '9'))
		return false;
	*number = strtod(text, &end);
	return *end == '\0';
}

static const char *folded(const char *text, struct buffer *out)
{
	size_t len = strlen(text);

	while (len > 0 && text[len - 1] == ' ')
		len--;
	while (len > 0 && *text == ' ') {
		text++;
		len--;
	}
	(void)filter_bed_append(NULL, slice_of(text, len), out);
	buffer_put_u8(out, 0);
	return (const char *)out->ptr;
}

static bool ordered(enum filter_kind kind, int order)
{
	return (kind == FILTER_KIND_EQUAL && order == 0) || (kind == FILTER_KIND_GREATER && order > 0) ||
	       (kind == FILTER_KIND_GREATER_EQUAL && order >= 0) || (kind == FILTER_KIND_LESS && order < 0) ||
	       (kind == FILTER_KIND_LESS_EQUAL && order <= 0);
}

/* A string, or a number where `value` is one, against one literal. */
static bool naive_compare(enum filter_kind kind, const char *value, bool is_number, const char *literal)
{
	struct buffer left;
	struct buffer right;
	double a;
	double b;
	bool result;

	if (is_number)
		return number_of(value, &a) && number_of(literal, &b) && ordered(kind, (a > b) - (a < b));
	buffer_init(&left, 4096);
	buffer_init(&right, 4096);
	(void)folded(value, &left);
	(void)folded(literal, &right);
	if (kind == FILTER_KIND_CONTAINS)
		result = strstr((const char *)left.ptr, (const char *)right.ptr) != NULL;
	else if (kind == FILTER_KIND_STARTS_WITH)
		result = strncmp((const char *)left.ptr, (const char *)right.ptr, right.len - 1) == 0;
	else
		result = ordered(kind, strcmp((const char *)left.ptr, (const char *)right.ptr));
	buffer_deinit(&left);
	buffer_deinit(&right);
	return result;
}

static const char *literal_text(const struct filter *filter, size_t i)
{
	return (const char *)filter->literals[i].text.ptr; /* those of random trees are C strings */
}

static bool naive_scalar(const struct filter *filter, const char *value, bool is_number)
{
	if (filter->kind == FILTER_KIND_BETWEEN) {
		double number;

		if (is_number && !(number_of(literal_text(filter, 0), &number) &&
		                   number_of(literal_text(filter, 1), &number)))
			return false;
		return naive_compare(FILTER_KIND_GREATER_EQUAL, value, is_number, literal_text(filter, 0)) &&
		       naive_compare(FILTER_KIND_LESS_EQUAL, value, is_number, literal_text(filter, 1));
	}
	if (filter->kind == FILTER_KIND_IN || filter->kind == FILTER_KIND_NOT_EQUAL) {
		for (size_t i = 0; i < filter->literals_len; i++)
			if (naive_compare(FILTER_KIND_EQUAL, value, is_number, literal_text(filter, i)))
				return true;
		return false;
	}
	return naive_compare(filter->kind, value, is_number, literal_text(filter, 0));
}

static bool naive_value(const struct filter *filter, yyjson_val *value)
{
	size_t at;
	size_t len;
	yyjson_val *element;
	bool any = false;

	yyjson_arr_foreach(value, at, len, element)
	{
		any |= naive_value(filter, element);
	}
	if (yyjson_is_bool(value))
		return naive_scalar(filter, yyjson_get_bool(value) ? "true" : "false", false);
	if (yyjson_is_str(value))
		return yyjson_get_len(value) > 0 && naive_scalar(filter, yyjson_get_str(value), false);
	if (yyjson_is_raw(value)) {
		char number[32];

		(void)snprintf(number, sizeof number, "%.*s", SLICE_ARGS(json_raw_number(value)));
		return naive_scalar(filter, number, true);
	}
	return any;
}

static bool naive_reached(const struct filter *filter, yyjson_val *value)
{
	struct buffer text;
	bool empty;

	if (filter->kind == FILTER_KIND_EXISTS)
		return true;
	if (filter->kind == FILTER_KIND_NULL)
		return yyjson_is_null(value);
	if (filter->kind == FILTER_KIND_EMPTY)
		return (yyjson_is_str(value) || yyjson_is_ctn(value)) && yyjson_get_len(value) == 0;
	if (filter->kind == FILTER_KIND_STARTS_WITH) {
		buffer_init(&text, 4096);
		empty = folded(literal_text(filter, 0), &text)[0] == '\0';
		buffer_deinit(&text);
		if (empty)
			return true;
	}
	return naive_value(filter, value);
}

static bool naive_tree(const struct filter *filter, const struct flat *flat)
{
	size_t holding = 0;
	size_t children = 0;

	if (filter->kind <= FILTER_KIND_NOT) {
		for (const struct filter *child = filter->children; child != NULL;
		     child = child->next, children++)
			holding += naive_tree(child, flat);
		return filter->kind == FILTER_KIND_AND  ? holding == children
		       : filter->kind == FILTER_KIND_OR ? holding > 0
		                                        : holding == 0;
	}
	for (size_t i = 0; i < flat->len; i++)
		if (slice_equal(filter->field, slice_string(flat->entries[i].path)))
			holding += naive_reached(filter, flat->entries[i].value);
	return (holding > 0) != (filter->kind == FILTER_KIND_NOT_EQUAL);
}

/* ---- the test ---- */

static size_t matched;

static void check_document(const struct filter *tree, const struct filter *parsed, const char *expression)
{
	static struct flat flat;
	struct buffer document;
	struct error error;
	yyjson_doc *doc = NULL;
	bool matches;

	buffer_init(&document, 1 << 20);
	print_object(&document, 4);
	buffer_put_u8(&document, 0);
	CU_ASSERT_EQUAL_FATAL(
		json_parse(slice_string((const char *)document.ptr), JSON_DEPTH_MAX, &doc, &error), 0);
	flat.len = 0;
	flatten(&flat, "", yyjson_doc_get_root(doc));
	matches = filter_bed_matches(parsed, (const char *)document.ptr);
	matched += matches;
	CU_ASSERT_EQUAL(matches, naive_tree(tree, &flat));
	if (matches != naive_tree(tree, &flat))
		printf("%s\n%s\n", expression, (const char *)document.ptr);
	yyjson_doc_free(doc);
	buffer_deinit(&document);
}

static void check_round(void)
{
	struct filter_refusal refusal;
	struct filter *parsed = NULL;
	struct filter *tree;
	struct buffer expression;
	struct arena arena;
	int result;

	arena_init(&arena, 4096);
	buffer_init(&expression, 1 << 20);
	tree = random_tree(&arena, TREE_DEPTH);
	print_tree(tree, &expression);
	buffer_put_u8(&expression, 0);
	result = filter_bed_parse((const char *)expression.ptr, &arena, &parsed, &refusal);
	CU_ASSERT_EQUAL(result, 0);
	if (result == 0) {
		CU_ASSERT_TRUE(same_tree(tree, parsed));
		if (!same_tree(tree, parsed))
			printf("another tree: %s\n", (const char *)expression.ptr);
		for (int i = 0; i < DOCUMENTS_A_ROUND; i++)
			check_document(tree, parsed, (const char *)expression.ptr);
	} else {
		printf("%s\n", refusal.text);
	}
	buffer_deinit(&expression);
	arena_deinit(&arena);
}

static void test_random_trees(void)
{
	for (dice_state = 1; dice_state <= ROUNDS; dice_state++) {
		uint64_t seed = dice_state;

		check_round();
		dice_state = seed;
	}
	/* neither side of the coin is rare */
	CU_ASSERT_TRUE(matched > ROUNDS * DOCUMENTS_A_ROUND / 5);
	CU_ASSERT_TRUE(matched < ROUNDS * DOCUMENTS_A_ROUND / 5 * 4);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"random trees", test_random_trees},
		CU_TEST_INFO_NULL,
	};

	return suite_run("filter_random", tests);
}
