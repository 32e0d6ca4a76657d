/*
 * Fuzz: record_merge, of a document in a line and a patch in what follows.
 * Any two texts are merged or refused; what two JSON objects become is what
 * their members say when a parser reads them, in order and by value.
 */
#include "tests/fuzz/lines.h"

#include "shared/base/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* The last value of a name, NULL if it has none. */
static yyjson_val *last_value(yyjson_val *object, yyjson_val *name)
{
	yyjson_val *found = NULL;
	yyjson_val *key;
	yyjson_val *value;
	size_t i;
	size_t max;

	yyjson_obj_foreach(object, i, max, key, value)
	{
		if (slice_equal(json_string(key), json_string(name)))
			found = value;
	}
	return found;
}

static bool stands_before(yyjson_val *object, size_t end, yyjson_val *name)
{
	yyjson_val *key;
	yyjson_val *value;
	size_t i;
	size_t max;

	yyjson_obj_foreach(object, i, max, key, value)
	{
		if (i < end && slice_equal(json_string(key), json_string(name)))
			return true;
	}
	return false;
}

static void expect_member(struct buffer *expected, yyjson_val *name, yyjson_val *value)
{
	struct error error;

	if (expected->len > 1)
		buffer_put_u8(expected, ',');
	json_append_string(expected, json_string(name));
	buffer_put_u8(expected, ':');
	ASSERT(json_append_value(expected, value, &error) == 0);
}

/* The members of both by the rule of record.h, each name once. */
static void expect(struct buffer *expected, yyjson_val *existing, yyjson_val *patch)
{
	yyjson_val *name;
	yyjson_val *value;
	size_t i;
	size_t max;

	buffer_put_u8(expected, '{');
	yyjson_obj_foreach(existing, i, max, name, value)
	{
		yyjson_val *patched = last_value(patch, name);

		if (!stands_before(existing, i, name))
			expect_member(expected, name, patched != NULL ? patched : last_value(existing, name));
	}
	yyjson_obj_foreach(patch, i, max, name, value)
	{
		if (!stands_before(patch, i, name) && last_value(existing, name) == NULL)
			expect_member(expected, name, last_value(patch, name));
	}
	buffer_put_u8(expected, '}');
}

/* One text has many spellings; the parser's own writer knows one. */
static void respell(struct slice text, struct buffer *spelt)
{
	struct error error;
	yyjson_doc *doc;

	ASSERT(json_parse(text, JSON_DEPTH_MAX, &doc, &error) == 0);
	ASSERT(json_append_value(spelt, yyjson_doc_get_root(doc), &error) == 0);
	yyjson_doc_free(doc);
}

static void check(struct slice merged, yyjson_val *existing, yyjson_val *patch)
{
	struct buffer text;
	struct buffer expected;
	struct buffer found;

	buffer_init(&text, SIZE_MAX);
	buffer_init(&expected, SIZE_MAX);
	buffer_init(&found, SIZE_MAX);
	expect(&text, existing, patch);
	respell(buffer_slice(&text), &expected);
	respell(merged, &found);
	ASSERT(slice_equal(buffer_slice(&expected), buffer_slice(&found)));
	buffer_deinit(&found);
	buffer_deinit(&expected);
	buffer_deinit(&text);
}

static yyjson_doc *object_of(struct slice text)
{
	yyjson_doc *doc;
	struct error error;

	if (json_parse(text, JSON_DEPTH_MAX, &doc, &error) != 0)
		return NULL;
	if (yyjson_is_obj(yyjson_doc_get_root(doc)))
		return doc;
	yyjson_doc_free(doc);
	return NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct slice patch = slice_of(bytes, len);
	struct slice existing = take_line(&patch);
	yyjson_doc *existing_doc = object_of(existing);
	yyjson_doc *patch_doc = object_of(patch);
	bool both = existing_doc != NULL && patch_doc != NULL;
	struct arena arena;
	struct slice merged;
	struct slice again;
	struct error error;
	int rc;

	arena_init(&arena, 1024);
	rc = record_merge(existing, patch, &arena, &merged, &error);
	ASSERT(rc == 0 || (!both && rc == ERROR_FORMAT && error.text[0] != '\0'));
	ASSERT(rc != 0 || merged.len <= existing.len + patch.len);
	if (both) {
		check(merged, yyjson_doc_get_root(existing_doc), yyjson_doc_get_root(patch_doc));
		ASSERT(record_merge(merged, patch, &arena, &again, &error) == 0);
		ASSERT(slice_equal(merged, again));
	}
	yyjson_doc_free(existing_doc);
	yyjson_doc_free(patch_doc);
	arena_deinit(&arena);
	return 0;
}
