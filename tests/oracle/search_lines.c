/*
 * oracle_search DIRECTORY: a replica in DIRECTORY, for search_cases.py.
 *
 * A line is a JSON object: {"documents":[…],"batch":N,"store":B} feeds them, N
 * a range, and stores and merges if B; {"search":{…}} answers {"total":N,
 * "hits":[{"id":"…","costs":[…]}]}. What no costs are asked of finds less, and
 * must find the same hits: that is looked at here.
 */
#include "tests/oracle/search_bed.h"

#include <inttypes.h>

#define STRINGS_MAX 256

static void document_add(struct bed *bed, struct memtable *memtable, yyjson_val *document)
{
	struct buffer body;
	struct error error;

	buffer_init(&body, BATCH_BYTES_MAX);
	if (json_append_value(&body, document, &error) != 0)
		fail("document", error.text);
	bed_put(bed, memtable, json_string(yyjson_obj_get(document, "id")), buffer_slice(&body));
	buffer_deinit(&body);
}

static void documents_feed(struct bed *bed, yyjson_val *line)
{
	size_t batch = (size_t)atoi((const char *)json_raw_number(yyjson_obj_get(line, "batch")).ptr);
	struct memtable *memtable = NULL;
	yyjson_val *document;
	size_t i;
	size_t len;

	yyjson_arr_foreach(yyjson_obj_get(line, "documents"), i, len, document)
	{
		if (memtable == NULL)
			memtable = memtable_new(bed->offset);
		document_add(bed, memtable, document);
		if ((i + 1) % batch == 0 || i + 1 == len) {
			bed_receive(bed, memtable);
			memtable_free(memtable);
			memtable = NULL;
			(void)replica_merge(bed->replica);
		}
	}
	if (yyjson_get_bool(yyjson_obj_get(line, "store")))
		bed_store(bed);
	(void)printf("{}\n");
}

/* ---- searches ---- */

static size_t strings_of(yyjson_val *list, struct slice strings[STRINGS_MAX])
{
	yyjson_val *value;
	size_t i;
	size_t len;

	yyjson_arr_foreach(list, i, len, value)
	{
		if (i == STRINGS_MAX)
			fail("request", "has too many strings");
		strings[i] = json_string(value);
	}
	return yyjson_arr_size(list);
}

static uint32_t number_of(yyjson_val *object, const char *name)
{
	struct slice raw = json_raw_number(yyjson_obj_get(object, name));

	return raw.ptr == NULL ? 0 : (uint32_t)strtoul((const char *)raw.ptr, NULL, 10);
}

static enum rank_rule rule_of(struct slice name)
{
	static const char *const names[] = {"words",        "typo",      "proximity", "attributeRank",
	                                    "wordPosition", "attribute", "exactness"};

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (slice_equal(name, slice_string(names[i])))
			return (enum rank_rule)(RANK_WORDS + i);
	fail("request", "has an unknown rule");
}

static struct query_phrase phrase_of(yyjson_val *words, struct arena *arena)
{
	struct slice strings[STRINGS_MAX];
	struct query_phrase phrase = {.len = strings_of(words, strings)};

	phrase.words = arena_alloc(arena, (phrase.len + 1) * sizeof *phrase.words);
	if (phrase.words == NULL)
		fail("request", "out of memory");
	memcpy(phrase.words, strings, phrase.len * sizeof *phrase.words);
	return phrase;
}

static size_t synonyms_of(yyjson_val *list, struct arena *arena, struct search_synonym synonyms[STRINGS_MAX])
{
	yyjson_val *value;
	size_t i;
	size_t len;

	yyjson_arr_foreach(list, i, len, value)
	{
		synonyms[i].of = phrase_of(yyjson_arr_get(value, 0), arena);
		synonyms[i].synonym = phrase_of(yyjson_arr_get(value, 1), arena);
	}
	return yyjson_arr_size(list);
}

static void page_print(const struct search_answer *page, size_t rules)
{
	(void)printf("{\"total\":%" PRIu64 ",\"known\":%u,\"hits\":[", page->total, page->known);
	for (size_t i = 0; i < page->hits_len; i++) {
		(void)printf("%s{\"id\":\"%.*s\",\"costs\":[", i == 0 ? "" : ",",
		             SLICE_ARGS(page->hits[i].document.id));
		for (size_t k = 0; k < rules; k++)
			(void)printf("%s%" PRIu32, k == 0 ? "" : ",", page->hits[i].costs[k].cost);
		(void)printf("]}");
	}
	(void)printf("]}\n");
}

static void pages_compare(const struct search_answer *page, const struct search_answer *plain)
{
	if (page->total != plain->total || page->known != plain->known || page->hits_len != plain->hits_len)
		fail("search", "it counts otherwise without costs");
	for (size_t i = 0; i < page->hits_len; i++)
		if (page->hits[i].number != plain->hits[i].number ||
		    !slice_equal(page->hits[i].rank, plain->hits[i].rank))
			fail("search", "its hits are others without costs");
}

/* Costs are shown; the same search without them is to agree. */
static void page_ask(struct snapshot *snapshot, struct search_request *request)
{
	struct search_answer page;
	struct search_answer plain;
	struct error error;
	size_t failed;

	request->shows_scores = true;
	if (snapshots_search(&snapshot, 1, request, &page, &failed, &error) != 0)
		fail("search", error.text);
	request->shows_scores = false;
	if (snapshots_search(&snapshot, 1, request, &plain, &failed, &error) != 0)
		fail("search", error.text);
	pages_compare(&page, &plain);
	page_print(&page, request->rules_len);
	search_answer_deinit(&page);
	search_answer_deinit(&plain);
}

static void search(struct bed *bed, yyjson_val *asked)
{
	struct slice lists[5][STRINGS_MAX];
	struct search_synonym synonyms[STRINGS_MAX];
	struct search_rule rules[SEARCH_RULES_MAX];
	struct search_request request = {.words = bed->words,
	                                 .rules = rules,
	                                 .synonyms = synonyms,
	                                 .searchable = lists[0],
	                                 .search_on = lists[1]};
	struct snapshot *snapshot = replica_snapshot(bed->replica);
	struct query_request parsed = {.text = json_string(yyjson_obj_get(asked, "q")),
	                               .prefix_search = yyjson_get_bool(yyjson_obj_get(asked, "prefix"))};
	struct arena arena;
	struct query query;
	struct error error;

	arena_init(&arena, 65536);
	parsed.arena = request.arena = &arena;
	request.query = &query;
	request.strategy = (enum rank_strategy)number_of(asked, "strategy");
	request.rarest = (uint8_t)number_of(asked, "rarest");
	request.has_rarest = true;
	request.rules_len = strings_of(yyjson_obj_get(asked, "rules"), lists[4]);
	for (size_t i = 0; i < request.rules_len; i++)
		rules[i] = (struct search_rule){SEARCH_RULE_RANK, .rank = rule_of(lists[4][i])};
	request.searchable_len = strings_of(yyjson_obj_get(asked, "searchable"), lists[0]);
	request.search_on_len = strings_of(yyjson_obj_get(asked, "searchOn"), lists[1]);
	request.typos = (struct search_typos){
		.enabled = yyjson_get_bool(yyjson_obj_get(asked, "typos")),
		.one = number_of(asked, "one"),
		.two = number_of(asked, "two"),
		.numbers_exact = yyjson_get_bool(yyjson_obj_get(asked, "numbersExact")),
		.words = lists[2],
		.words_len = strings_of(yyjson_obj_get(asked, "words"), lists[2]),
		.attributes = lists[3],
		.attributes_len = strings_of(yyjson_obj_get(asked, "attributes"), lists[3])};
	request.synonyms_len = synonyms_of(yyjson_obj_get(asked, "synonyms"), &arena, synonyms);
	request.by_attribute = yyjson_get_bool(yyjson_obj_get(asked, "byAttribute"));
	request.limit = number_of(asked, "limit");
	if (query_parse(words_text(bed->words), &parsed, &query, &error) != 0)
		fail("query", error.text);
	request.rules_len = query.terms_len == 0 ? 0 : request.rules_len;
	page_ask(snapshot, &request);
	arena_deinit(&arena);
	snapshot_release(snapshot);
}

int main(int argc, char **argv)
{
	struct bed bed = {0};
	struct error error;
	char *line = NULL;
	size_t size = 0;
	ssize_t len;

	if (argc != 2)
		fail("usage", "oracle_search DIRECTORY");
	bed_open(&bed, argv[1]);
	while ((len = getline(&line, &size, stdin)) > 0) {
		yyjson_doc *doc;
		yyjson_val *asked;

		if (json_parse(slice_of((const uint8_t *)line, (size_t)len), JSON_DEPTH_MAX, &doc, &error) !=
		    0)
			fail("line", error.text);
		asked = yyjson_obj_get(yyjson_doc_get_root(doc), "search");
		if (asked != NULL)
			search(&bed, asked);
		else
			documents_feed(&bed, yyjson_doc_get_root(doc));
		yyjson_doc_free(doc);
		(void)fflush(stdout);
	}
	free(line);
	words_free(bed.words);
	replica_close(bed.replica);
	return 0;
}
