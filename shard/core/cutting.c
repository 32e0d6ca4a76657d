#include "shard/core/cutting.h"

#include "shared/base/assert.h"
#include "shared/base/hash.h"

#include <stdlib.h>

#define LISTS 4
/* Of the defaults: a count a list. */
#define EMPTY_BYTES (LISTS * 4)

static void list_put(struct buffer *bytes, const struct slice *texts, size_t len)
{
	buffer_put_u32(bytes, (uint32_t)len);
	for (size_t i = 0; i < len; i++) {
		buffer_put_u32(bytes, (uint32_t)texts[i].len);
		buffer_append_slice(bytes, texts[i]);
	}
}

static int cutting_fill(struct cutting *cutting, const struct text_settings *settings, struct error *error)
{
	list_put(&cutting->bytes, settings->separators, settings->separators_len);
	list_put(&cutting->bytes, settings->not_separators, settings->not_separators_len);
	list_put(&cutting->bytes, settings->dictionary, settings->dictionary_len);
	list_put(&cutting->bytes, settings->stop_words, settings->stop_words_len);
	if (buffer_failed(&cutting->bytes))
		return error_memory(error, cutting->bytes.len);
	if (cutting->bytes.len == EMPTY_BYTES)
		return 0;
	cutting->digest = hash64(buffer_slice(&cutting->bytes), 0);
	return text_rules_new(settings, &cutting->rules, error);
}

int cutting_new(const struct text_settings *settings, struct cutting **out, struct error *error)
{
	struct cutting *cutting = calloc(1, sizeof *cutting);

	if (cutting == NULL)
		return error_memory(error, sizeof *cutting);
	atomic_init(&cutting->references, 1);
	buffer_init(&cutting->bytes, UINT32_MAX);
	if (cutting_fill(cutting, settings, error) != 0) {
		cutting_release(cutting);
		return error->code;
	}
	*out = cutting;
	return 0;
}

struct cutting *cutting_hold(struct cutting *cutting)
{
	atomic_fetch_add_explicit(&cutting->references, 1, memory_order_relaxed);
	return cutting;
}

void cutting_release(struct cutting *cutting)
{
	if (cutting == NULL || atomic_fetch_sub_explicit(&cutting->references, 1, memory_order_acq_rel) > 1)
		return;
	text_rules_free(cutting->rules);
	buffer_deinit(&cutting->bytes);
	free(cutting);
}

void cuttings_copy(struct cuttings *cuttings, const struct cuttings *from)
{
	for (cuttings->len = 0; cuttings->len < from->len; cuttings->len++)
		cuttings->list[cuttings->len] = cutting_hold(from->list[cuttings->len]);
}

void cuttings_deinit(struct cuttings *cuttings)
{
	while (cuttings->len > 0)
		cutting_release(cuttings->list[--cuttings->len]);
}

const struct cutting *cuttings_find(const struct cuttings *cuttings, uint64_t digest)
{
	for (size_t i = 0; i < cuttings->len; i++)
		if (cuttings->list[i]->digest == digest)
			return cuttings->list[i];
	return NULL;
}

static struct stored_key cuttings_key(void)
{
	struct stored_key key = {.len = 0};

	stored_key_append(&key, slice_string("cuttings"));
	return key;
}

void cuttings_encode(const struct cuttings *cuttings, struct buffer *value)
{
	struct stored_key key = cuttings_key();
	size_t from = value->len;

	buffer_put_u64(value, 0);
	buffer_put_u32(value, (uint32_t)cuttings->len);
	for (size_t i = 0; i < cuttings->len; i++) {
		buffer_put_u32(value, (uint32_t)cuttings->list[i]->bytes.len);
		buffer_append_slice(value, buffer_slice(&cuttings->list[i]->bytes));
	}
	stored_seal(value, from, stored_key_slice(&key));
}

/* Texts of one list, into `texts`; false if they are none. */
static bool list_read(struct reader *reader, struct buffer *texts, size_t *len)
{
	*len = reader_u32(reader);
	for (size_t i = 0; i < *len && !reader_failed(reader); i++) {
		struct slice text = reader_take(reader, reader_u32(reader));

		buffer_append(texts, &text, sizeof text);
	}
	return !reader_failed(reader) && !buffer_failed(texts);
}

/* The lists stand one behind the other in `texts`. */
static int lists_read(struct slice bytes, struct buffer *texts, struct text_settings *settings,
                      struct error *error)
{
	size_t *const lens[LISTS] = {&settings->separators_len, &settings->not_separators_len,
	                             &settings->dictionary_len, &settings->stop_words_len};
	struct reader reader = reader_of(bytes);
	const struct slice *list;

	for (size_t i = 0; i < LISTS; i++)
		if (!list_read(&reader, texts, lens[i]))
			return buffer_failed(texts)
			               ? error_memory(error, bytes.len)
			               : error_set(error, ERROR_DAMAGED, ERROR_ACTION_FATAL,
			                           "stored rules for words are %zu bytes that are none",
			                           bytes.len);
	if (texts->len == 0)
		return 0;
	list = (const struct slice *)(const void *)texts->ptr;
	settings->separators = list;
	settings->not_separators = settings->separators + settings->separators_len;
	settings->dictionary = settings->not_separators + settings->not_separators_len;
	settings->stop_words = settings->dictionary + settings->dictionary_len;
	return 0;
}

static int cutting_read(struct slice bytes, struct cutting **cutting, struct error *error)
{
	struct text_settings settings = {0};
	struct buffer texts;
	int rc;

	buffer_init(&texts, SIZE_MAX);
	rc = lists_read(bytes, &texts, &settings, error);
	if (rc == 0)
		rc = cutting_new(&settings, cutting, error);
	buffer_deinit(&texts);
	return rc;
}

static int damaged(struct cuttings *read, struct slice value, struct error *error)
{
	cuttings_deinit(read);
	return error_set(error, ERROR_DAMAGED, ERROR_ACTION_FATAL,
	                 "the stored rules for words are %zu bytes that are none", value.len);
}

int cuttings_decode(struct slice value, struct cuttings *cuttings, struct error *error)
{
	struct stored_key key = cuttings_key();
	struct reader reader = stored_unseal(value, stored_key_slice(&key));
	struct cuttings read = {.len = 0};
	uint32_t len = reader_u32(&reader);

	if (reader_failed(&reader) || len == 0 || len > CUTTINGS_MAX)
		return damaged(&read, value, error);
	for (uint32_t i = 0; i < len; i++) {
		struct slice bytes = reader_take(&reader, reader_u32(&reader));
		struct cutting *cutting = NULL;

		if (reader_failed(&reader))
			return damaged(&read, value, error);
		if (cutting_read(bytes, &cutting, error) != 0) {
			cuttings_deinit(&read);
			return error->code;
		}
		if (!slice_equal(buffer_slice(&cutting->bytes), bytes) ||
		    cuttings_find(&read, cutting->digest) != NULL) {
			cutting_release(cutting);
			return damaged(&read, value, error);
		}
		read.list[read.len++] = cutting;
	}
	if (reader_left(&reader) > 0)
		return damaged(&read, value, error);
	*cuttings = read;
	return 0;
}

int cuttings_write(struct kv_txn *txn, struct slice value, struct error *error)
{
	struct stored_key key = cuttings_key();

	return kv_put(txn, KV_TABLE_STATE, stored_key_slice(&key), value, error);
}

int cuttings_read(struct kv_txn *txn, struct cuttings *cuttings, struct error *error)
{
	static const struct text_settings defaults;
	struct stored_key key = cuttings_key();
	struct slice value;

	if (kv_get(txn, KV_TABLE_STATE, stored_key_slice(&key), &value, error) == 0)
		return cuttings_decode(value, cuttings, error);
	if (error->code != ERROR_NOT_FOUND)
		return error->code;
	if (cutting_new(&defaults, &cuttings->list[0], error) != 0)
		return error->code;
	cuttings->len = 1;
	return 0;
}
