/*
 * Facets and sort values of a snapshot: literal answers of a few documents,
 * wherever they stand; and random documents, while a replica receives, stores,
 * compacts, restarts and gets other attributes, beside what is gathered from
 * their bodies.
 */
#include "tests/unit/values_bed.h"

#include "shard/core/snapshot_facets.h"
#include "shard/core/snapshot_sort.h"
#include "shared/filter/filter_value.h"

/* ---- literal answers ---- */

static const char *const names[] = {"n", "tag", "long"};
#define NAMES_ALL 7U

static const char *const bodies[] = {
	"{\"n\":5,\"tag\":[\"Red\",\"blue\",\"red\"]}",
	"{\"n\":-1.5,\"tag\":\" RED \"}",
	"{\"n\":\"5\",\"tag\":null}",
	"{\"n\":[5,70,5.0],\"tag\":\"\"}",
	"{\"n\":[\"zz\",true],\"tag\":[\"  \",\"É\"]}",
	"{\"n\":[\"aa\",12],\"long\":[\"" LONG_240 "b\",\"" LONG_240 "d\"]}",
	"{\"long\":\"" LONG_240 "c\"}",
	"{\"long\":[\"" LONG_60 "\",\"" LONG_240 "a\"],\"n\":1e999}",
};

static const struct {
	const char *path;
	const char *facets; /* value:documents:spelling */
	const char *rising; /* document=value */
	const char *falling;
} rows[] = {
	{"n", "-1.5:1 5:2 12:1 70:1 '5':1:'5' 'aa':1:'aa' 'true':1:'true' 'zz':1:'zz' ",
         "1=-1.5 0=5 3=5 5=12 2='5' 4='true' 6 7 ", "3=70 5=12 0=5 1=-1.5 4='zz' 2='5' 6 7 "},
	{"tag", "'blue':1:'blue' 'e\xcc\x81':1:'\xc3\x89' 'red':2:' RED ' ",
         "0='blue' 4='e\xcc\x81' 1='red' 2 3 5 6 7 ", "0='red' 1='red' 4='e\xcc\x81' 2 3 5 6 7 "},
	{"nowhere", "", "0 1 2 3 4 5 6 7 ", "0 1 2 3 4 5 6 7 "},
};

/* Numbers of all live documents, and which each is. */
static uint64_t numbers_of(struct world *world, struct snapshot *snapshot, struct postings *within,
                           uint64_t numbers[IDS])
{
	struct reading reading;
	struct located located;
	struct error error;
	struct slice id;
	uint64_t number;

	CU_ASSERT_EQUAL_FATAL(reading_open(&reading, snapshot, &error), 0);
	for (size_t i = 0; i < snapshot->manifest->manifest.segments_len; i++) {
		const struct disk_segment *segment = &snapshot->manifest->manifest.segments[i];
		struct disk_entry entry;
		struct disk_view *view;

		CU_ASSERT_EQUAL_FATAL(views_at(&reading.views, i, &view, &error), 0);
		for (uint32_t place = 0; place < segment->documents; place++) {
			CU_ASSERT_EQUAL_FATAL(disk_entry_at(view, place, &entry, &error), 0);
			postings_add(within, entry.number);
		}
	}
	for (size_t i = 0; i < snapshot->segments_len; i++)
		postings_add_range(within, snapshot->segments[i]->number_first,
		                   snapshot->segments[i]->number_first + snapshot->segments[i]->puts_len);
	postings_and_not(within, &snapshot->deleted);
	for (uint64_t from = 0; postings_next(within, from, &number); from = number + 1) {
		CU_ASSERT_EQUAL_FATAL(reading_locate(&reading, number, &located, &error), 0);
		CU_ASSERT_EQUAL_FATAL(located_id(&located, &id, &error), 0);
		numbers[document_of(world->model, id)] = number;
	}
	reading_end(&reading);
	return postings_count(within);
}

static size_t document_at(const uint64_t numbers[IDS], uint64_t number)
{
	size_t document = 0;

	while (numbers[document] != number)
		CU_ASSERT_TRUE_FATAL(++document < IDS);
	return document;
}

struct printing {
	const uint64_t *numbers;
	struct buffer text;
};

/* Facets of one field, with copies of their texts. */
struct listed {
	struct facet_field *field;
	struct arena *arena;
	size_t len;
	struct facet facets[4096];
};

static bool list_facet(void *context, const struct facet *facet)
{
	struct listed *listed = context;
	struct facet *one = &listed->facets[listed->len++];

	CU_ASSERT_TRUE_FATAL(listed->len <= COUNT(listed->facets));
	*one = *facet;
	CU_ASSERT_TRUE_FATAL(arena_copy(listed->arena, facet->text, &one->text));
	return true;
}

/* Opens the field: facet_field_close follows. */
static void list_facets(struct listed *listed, struct world *world, const struct snapshot *snapshot,
                        struct slice path, const struct postings *within)
{
	struct facet_visitor visitor = {list_facet, listed};
	struct error error;

	listed->len = 0;
	CU_ASSERT_EQUAL_FATAL(facet_field_open(snapshot, world->words, path, NULL, &listed->field, &error),
	                      0);
	CU_ASSERT_EQUAL_FATAL(facet_field_count(listed->field, within, &visitor, &error), 0);
}

static void spell(struct listed *listed, const struct facet *facet, struct buffer *spelling)
{
	struct error error;

	buffer_clear(spelling);
	CU_ASSERT_EQUAL_FATAL(facet_field_spell(listed->field, facet->text, spelling, &error), 0);
}

static void print_facets(struct printing *printing, struct listed *listed)
{
	struct buffer spelling;

	buffer_init(&spelling, 65536);
	for (size_t i = 0; i < listed->len; i++) {
		const struct facet *facet = &listed->facets[i];

		if (facet->is_number) {
			buffer_printf(&printing->text, "%g:%llu ", facet->number,
			              (unsigned long long)facet->documents);
			continue;
		}
		spell(listed, facet, &spelling);
		buffer_printf(&printing->text, "'%.*s':%llu:'%.*s' ", SLICE_ARGS(facet->text),
		              (unsigned long long)facet->documents, SLICE_ARGS(buffer_slice(&spelling)));
	}
	buffer_deinit(&spelling);
}

/* By value, then document. */
static const uint64_t *ordering_numbers;
static bool ordering_falling;

static int entry_compare(const void *a, const void *b)
{
	const struct sort_entry *left = a;
	const struct sort_entry *right = b;
	int order = sort_value_compare(&left->value, &right->value, ordering_falling);
	size_t one = document_at(ordering_numbers, left->number);
	size_t other = document_at(ordering_numbers, right->number);

	return order != 0 ? order : (one > other) - (one < other);
}

static void print_sorted(struct printing *printing, struct sort_entry *entries, size_t len, bool falling)
{
	ordering_numbers = printing->numbers;
	ordering_falling = falling;
	qsort(entries, len, sizeof *entries, entry_compare);
	for (size_t i = 0; i < len; i++) {
		const struct sort_value *value = &entries[i].value;

		buffer_printf(&printing->text, "%zu", document_at(printing->numbers, entries[i].number));
		if (value->kind == SORT_KIND_NUMBER)
			buffer_printf(&printing->text, "=%g", value->number);
		if (value->kind == SORT_KIND_STRING)
			buffer_printf(&printing->text, "='%.*s'", SLICE_ARGS(value->text));
		buffer_append_string(&printing->text, " ");
	}
}

static void printed(struct printing *printing, const char *expected)
{
	buffer_put_u8(&printing->text, 0);
	CU_ASSERT_STRING_EQUAL((const char *)printing->text.ptr, expected);
	if (strcmp((const char *)printing->text.ptr, expected) != 0)
		printf("\n%s, not %s\n", (const char *)printing->text.ptr, expected);
	buffer_clear(&printing->text);
}

static struct sort_entry *sorted(const struct snapshot *snapshot, const struct sort_request *request)
{
	struct sort_entry *entries = NULL;
	struct error error;
	uint64_t read = 0;

	CU_ASSERT_EQUAL_FATAL(snapshot_sort(snapshot, request, &entries, &read, &error), 0);
	return entries;
}

static void check_rows(struct world *world)
{
	struct snapshot *snapshot = replica_snapshot(world->model->replica);
	uint64_t numbers[IDS] = {0};
	struct printing printing = {.numbers = numbers};
	struct listed *listed = malloc(sizeof *listed);
	struct postings within;
	struct arena arena;
	size_t len;

	CU_ASSERT_PTR_NOT_NULL_FATAL(listed);
	listed->arena = &arena;
	postings_init(&within);
	arena_init(&arena, 4096);
	buffer_init(&printing.text, 1 << 20);
	len = (size_t)numbers_of(world, snapshot, &within, numbers);
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct slice path = slice_string(rows[i].path);
		struct sort_request sort = {world->words, path, false, &within, NULL, &arena};

		list_facets(listed, world, snapshot, path, &within);
		print_facets(&printing, listed);
		facet_field_close(listed->field);
		printed(&printing, rows[i].facets);
		print_sorted(&printing, sorted(snapshot, &sort), len, false);
		printed(&printing, rows[i].rising);
		sort.falling = true;
		print_sorted(&printing, sorted(snapshot, &sort), len, true);
		printed(&printing, rows[i].falling);
	}
	free(listed);
	buffer_deinit(&printing.text);
	arena_deinit(&arena);
	postings_deinit(&within);
	snapshot_release(snapshot);
}

static void test_answers(void)
{
	struct world world = world_new("answers");

	for (size_t i = 0; i < COUNT(bodies); i++) {
		if (i == 3)
			attributes_put(&world, names, NAMES_ALL);
		put(&world, i, bodies[i]);
		if (i == 1 || i == 5)
			store(&world);
	}
	check_rows(&world);
	compact(&world, SIZE_MAX);
	check_rows(&world);
	store(&world);
	compact(&world, SIZE_MAX);
	check_rows(&world);
	world_free(&world);
}

/* ---- what bodies have ---- */

#define GATHERED_MAX 65536

/* A value of a document; texts are its own. */
struct gathered {
	size_t document;
	struct sort_value value;
	struct slice spelling; /* of a string */
};

static struct gathered gathered[GATHERED_MAX];
static size_t gathered_len;

struct gathering {
	struct world *world;
	struct arena *arena;
	size_t document;
};

static bool gather_scalar(void *context, yyjson_val *scalar)
{
	struct gathering *gathering = context;
	struct filter_fold fold = {append_folded, gathering->world->words};
	struct gathered *one = &gathered[gathered_len];
	struct buffer scratch;
	bool has = true;

	CU_ASSERT_TRUE_FATAL(gathered_len < GATHERED_MAX);
	buffer_init(&scratch, 1 << 20);
	*one = (struct gathered){.document = gathering->document};
	if (yyjson_is_raw(scalar)) {
		has = filter_value_number(scalar, &scratch, &one->value.number);
		one->value.kind = SORT_KIND_NUMBER;
	} else {
		struct slice text;

		CU_ASSERT_TRUE_FATAL(filter_value_text(scalar, &fold, &scratch, &text));
		CU_ASSERT_TRUE_FATAL(arena_copy(gathering->arena, text, &one->value.text));
		CU_ASSERT_TRUE_FATAL(arena_copy(gathering->arena,
		                                yyjson_is_bool(scalar) ? text : json_string(scalar),
		                                &one->spelling));
		one->value.kind = SORT_KIND_STRING;
		has = text.len > 0;
	}
	gathered_len += has;
	buffer_deinit(&scratch);
	return false;
}

static bool gather_reached(void *context, yyjson_val *reached)
{
	struct filter_visitor visitor = {gather_scalar, context};

	return filter_scalars(reached, &visitor);
}

/* Of the documents asked for; NULL: of all. */
static void gather(struct world *world, const bool asked[IDS], const char *path, struct arena *arena)
{
	gathered_len = 0;
	for (size_t i = 0; i < IDS; i++) {
		struct gathering gathering = {world, arena, i};
		struct filter_visitor visitor = {gather_reached, &gathering};
		struct error error;
		yyjson_doc *doc;

		if (world->bodies[i] == NULL || (asked != NULL && !asked[i]))
			continue;
		CU_ASSERT_EQUAL_FATAL(
			json_parse(slice_string(world->bodies[i]), JSON_DEPTH_MAX, &doc, &error), 0);
		(void)filter_reach(yyjson_doc_get_root(doc), slice_string(path), &visitor);
		yyjson_doc_free(doc);
	}
}

static int gathered_compare(const void *a, const void *b)
{
	const struct gathered *left = a;
	const struct gathered *right = b;
	int order = sort_value_compare(&left->value, &right->value, false);

	return order != 0 ? order : (left->document > right->document) - (left->document < right->document);
}

/* ---- random documents ---- */

/* What facets say, each for a value of `gathered`. */
struct comparing {
	size_t at;
	uint64_t cut;        /* documents of strings that are longer than a key, which come in any order */
	uint64_t cut_wanted; /* and how many bodies have */
	uint64_t facets;
};

static bool is_cut(const struct gathered *one)
{
	return one->value.kind == SORT_KIND_STRING && one->value.text.len > VALUE_TEXT_BYTES_MAX;
}

/* The next value that bodies have, and how many of them. */
static uint64_t gathered_next(struct comparing *comparing, size_t *first)
{
	for (;;) {
		uint64_t documents = 1;
		size_t at = comparing->at;

		if (at == gathered_len)
			return 0;
		while (++comparing->at < gathered_len &&
		       sort_value_compare(&gathered[at].value, &gathered[comparing->at].value, false) == 0)
			documents += gathered[comparing->at].document != gathered[comparing->at - 1].document;
		*first = at;
		if (!is_cut(&gathered[at]))
			return documents;
		comparing->cut_wanted += documents;
	}
}

/* Documents that have the very text. */
static uint64_t gathered_count(struct slice text)
{
	uint64_t documents = 0;
	size_t last = IDS;

	for (size_t i = 0; i < gathered_len; i++)
		if (gathered[i].value.kind == SORT_KIND_STRING && slice_equal(gathered[i].value.text, text) &&
		    gathered[i].document != last) {
			last = gathered[i].document;
			documents++;
		}
	return documents;
}

static void compare_facet(struct comparing *comparing, const struct facet *facet)
{
	size_t at = 0;

	comparing->facets++;
	if (facet->text.len > VALUE_TEXT_BYTES_MAX) {
		comparing->cut += facet->documents;
		CU_ASSERT_EQUAL(gathered_count(facet->text), facet->documents);
		return;
	}
	CU_ASSERT_EQUAL_FATAL(gathered_next(comparing, &at), facet->documents);
	if (facet->is_number) {
		CU_ASSERT_EQUAL(gathered[at].value.kind, SORT_KIND_NUMBER);
		CU_ASSERT_DOUBLE_EQUAL(gathered[at].value.number, facet->number, 0);
	} else {
		CU_ASSERT_TRUE(slice_equal(gathered[at].value.text, facet->text));
	}
}

static uint64_t facets_checked;
static uint64_t spellings_checked;
static uint64_t sorts_checked;
static uint64_t bodies_read;

/* The smallest of all documents. */
static void compare_spelling(struct listed *listed, const struct facet *facet)
{
	struct slice smallest = slice_of(NULL, 0);
	struct buffer spelling;

	for (size_t i = 0; i < gathered_len; i++)
		if (gathered[i].value.kind == SORT_KIND_STRING &&
		    slice_equal(gathered[i].value.text, facet->text) &&
		    (smallest.ptr == NULL || slice_compare(gathered[i].spelling, smallest) < 0))
			smallest = gathered[i].spelling;
	buffer_init(&spelling, 65536);
	spell(listed, facet, &spelling);
	CU_ASSERT_TRUE(slice_equal(buffer_slice(&spelling), smallest));
	spellings_checked += !slice_equal(smallest, facet->text);
	buffer_deinit(&spelling);
}

static void check_facets(struct world *world, const struct snapshot *snapshot, struct slice path,
                         const struct postings *within, struct arena *arena)
{
	static struct listed listed;
	struct comparing comparing = {.at = 0};
	size_t at;

	listed.arena = arena;
	list_facets(&listed, world, snapshot, path, within);
	qsort(gathered, gathered_len, sizeof gathered[0], gathered_compare);
	for (size_t i = 0; i < listed.len; i++)
		compare_facet(&comparing, &listed.facets[i]);
	CU_ASSERT_EQUAL(gathered_next(&comparing, &at), 0);
	CU_ASSERT_EQUAL(comparing.cut, comparing.cut_wanted);
	facets_checked += comparing.facets;
	gather(world, NULL, (const char *)path.ptr, arena);
	for (size_t i = 0; i < listed.len; i++)
		if (!listed.facets[i].is_number)
			compare_spelling(&listed, &listed.facets[i]);
	bodies_read += facet_field_bodies(listed.field);
	facet_field_close(listed.field);
}

static void check_sort(const struct snapshot *snapshot, const struct sort_request *request,
                       const uint64_t numbers[IDS])
{
	struct sort_entry *entries = sorted(snapshot, request);
	uint64_t len = postings_count(request->within);

	for (size_t i = 0; i < len; i++) {
		size_t document = document_at(numbers, entries[i].number);
		struct sort_value best = {.kind = SORT_KIND_NONE};

		for (size_t k = 0; k < gathered_len; k++)
			if (gathered[k].document == document &&
			    sort_value_compare(&gathered[k].value, &best, request->falling) < 0)
				best = gathered[k].value;
		CU_ASSERT_EQUAL(best.kind, entries[i].value.kind);
		CU_ASSERT_EQUAL(sort_value_compare(&best, &entries[i].value, request->falling), 0);
		CU_ASSERT_TRUE(i == 0 || entries[i].number > entries[i - 1].number);
		sorts_checked += best.kind != SORT_KIND_NONE;
	}
}

static void check_random(struct world *world)
{
	struct snapshot *snapshot = replica_snapshot(world->model->replica);
	const char *path = fields[dice(COUNT(fields))];
	uint64_t numbers[IDS] = {0};
	bool asked[IDS];
	struct postings within;
	struct arena arena;

	postings_init(&within);
	arena_init(&arena, 65536);
	(void)numbers_of(world, snapshot, &within, numbers);
	for (size_t i = 0; i < IDS; i++) {
		asked[i] = dice(3) > 0;
		if (!asked[i])
			postings_remove_range(&within, numbers[i], numbers[i] + 1);
	}
	gather(world, asked, path, &arena);
	check_facets(world, snapshot, slice_string(path), &within, &arena);
	gather(world, asked, path, &arena);
	for (int falling = 0; falling < 2; falling++) {
		struct sort_request request = {world->words, slice_string(path), falling == 1, &within, NULL,
		                               &arena};

		check_sort(snapshot, &request, numbers);
	}
	postings_deinit(&within);
	arena_deinit(&arena);
	snapshot_release(snapshot);
}

#define SEQUENCES 10
#define STEPS 60

static void test_random(void)
{
	for (uint64_t seed = 1; seed <= SEQUENCES; seed++) {
		char directory[32];
		struct world world;

		snprintf(directory, sizeof directory, "random-%llu", (unsigned long long)seed);
		dice_state = seed << 33;
		world = world_new(directory);
		for (size_t i = 0; i < STEPS; i++) {
			step(&world, directory);
			check_random(&world);
		}
		world_free(&world);
	}
	printf("\n%llu facets, %llu spelled otherwise, %llu sort values, %llu read\n",
	       (unsigned long long)facets_checked, (unsigned long long)spellings_checked,
	       (unsigned long long)sorts_checked, (unsigned long long)bodies_read);
	CU_ASSERT_TRUE(spellings_checked > 100);
	CU_ASSERT_TRUE(facets_checked > SEQUENCES * STEPS && sorts_checked > SEQUENCES * STEPS);
	CU_ASSERT_TRUE(bodies_read > SEQUENCES * STEPS);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"answers", test_answers},
		{"random documents", test_random},
		CU_TEST_INFO_NULL,
	};

	return suite_run("snapshot_facets", tests);
}
