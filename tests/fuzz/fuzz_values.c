/* Fuzz: the keys of any body that is JSON, each of which the filter finds too; and any bytes as a key. */
#include "shard/core/values.h"
#include "shared/base/assert.h"
#include "shared/filter/filter.h"

#define PATHS 5

static const char *const paths[PATHS] = {"a", "b", "a.b", "a.b.c", "_geo"};
static struct text *folder;

struct found {
	yyjson_val *document;
	size_t kinds[PATHS][VALUE_KIND_POINT + 1];
};

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static bool fold(void *context, struct slice text, struct buffer *folded)
{
	struct error error;

	(void)context;
	return text_fold(folder, text, folded, &error) == 0;
}

static bool matches(yyjson_val *document, const struct filter *filter)
{
	static const struct filter_fold folding = {fold, NULL};
	struct error error;
	bool result;

	ASSERT(filter_matches(filter, document, &folding, &result, &error) == 0);
	return result;
}

static bool check(void *context, struct slice key)
{
	struct found *found = context;
	struct filter_literal place[4] = {{.is_number = true}};
	struct filter_literal literal = {.is_number = false};
	struct filter filter = {.kind = FILTER_KIND_EQUAL, .literals = &literal, .literals_len = 1};
	struct value value;

	ASSERT(key.len <= VALUE_KEY_BYTES_MAX && value_read(key, &value) && value.attribute < PATHS);
	found->kinds[value.attribute][value.kind]++;
	filter.field = slice_string(paths[value.attribute]);
	if (value.kind == VALUE_KIND_POINT) {
		filter.kind = FILTER_KIND_BOX;
		filter.literals = place;
		filter.literals_len = 4;
		place[0].number = place[2].number = value.point.lat;
		place[1].number = place[3].number = value.point.lng;
	} else if (value.kind == VALUE_KIND_NUMBER) {
		literal.is_number = true;
		literal.number = value.number;
		/* no text is above it */
		literal.folded = slice_string("\xff");
	} else if (value.is_cut) {
		filter.kind = FILTER_KIND_STARTS_WITH;
		literal.folded = value.text;
	} else {
		literal.folded = value.text;
	}
	if (value.kind >= VALUE_KIND_NUMBER)
		ASSERT(matches(found->document, &filter));
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct found found = {.document = NULL};
	struct values_sink sink = {check, &found};
	struct attributes attributes = {.len = PATHS};
	struct error error;
	struct value value;
	yyjson_doc *doc = NULL;

	if (folder == NULL)
		folder = text_new();
	ASSERT(folder != NULL);
	(void)value_read(slice_of(bytes, len), &value);
	for (uint16_t i = 0; i < PATHS; i++)
		attributes.list[i] = (struct attribute){i, slice_string(paths[i])};
	if (json_parse(slice_of(bytes, len), JSON_DEPTH_MAX, &doc, &error) != 0) {
		ASSERT(values_of_body(folder, slice_of(bytes, len), &attributes, &sink, &error) != 0);
		ASSERT(error.action == ERROR_ACTION_REJECT);
		return 0;
	}
	found.document = yyjson_doc_get_root(doc);
	ASSERT(values_of_body(folder, slice_of(bytes, len), &attributes, &sink, &error) == 0);
	for (size_t i = 0; i < PATHS; i++)
		for (int kind = 0; kind <= FILTER_KIND_EMPTY - FILTER_KIND_EXISTS; kind++) {
			struct filter filter = {.kind = (enum filter_kind)(FILTER_KIND_EXISTS + kind),
			                        .field = slice_string(paths[i])};

			ASSERT((found.kinds[i][VALUE_KIND_EXISTS + kind] > 0) ==
			       matches(found.document, &filter));
		}
	yyjson_doc_free(doc);
	return 0;
}
