/* Whether a snapshot is what was taken. Nothing is asked of anybody. */
#include "shared/base/hash.h"
#include "shared/cli/cli_snapshot.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static int damaged(const char *directory, const char *name, const char *what, struct error *error)
{
	return error_set(error, ERROR_DAMAGED, ERROR_ACTION_REJECT, "%.300s/%s %s", directory, name, what);
}

static int check_head(const char *directory, const struct snapshot_row *row, struct error *error)
{
	char name[SNAPSHOT_NAME_BYTES_MAX];
	struct buffer head;
	int rc;

	snapshot_name_print(row, "head", name);
	buffer_init(&head, SNAPSHOT_HEAD_BYTES_MAX);
	rc = snapshot_file_read(directory, name, &head, error);
	if (rc == ERROR_NOT_FOUND)
		rc = damaged(directory, name, "is not there", error);
	if (rc == 0 &&
	    ((int64_t)head.len != row->head_bytes || hash64(buffer_slice(&head), 0) != row->head_hash))
		rc = damaged(directory, name, "does not match its hash", error);
	buffer_deinit(&head);
	return rc;
}

static bool sum_equal(const struct snapshot_sum *a, const struct snapshot_sum *b)
{
	return a->bytes == b->bytes && a->pages == b->pages && a->chunks == b->chunks &&
	       a->chunk_bytes == b->chunk_bytes && a->hash == b->hash;
}

int snapshot_check_row(const char *directory, const struct snapshot_row *row, struct error *error)
{
	char name[SNAPSHOT_NAME_BYTES_MAX];
	struct snapshot_pages pages;

	if (check_head(directory, row, error) != 0)
		return error->code;
	if (!row->is_whole)
		return 0;
	if (snapshot_pages_open(&pages, directory, row, SNAPSHOT_MODE_CHECK, error) != 0)
		return error->code;
	snapshot_pages_close(&pages);
	snapshot_name_print(row, "pages", name);
	if (!sum_equal(&pages.sum, &row->pages))
		return damaged(directory, name, "does not hold the pages that were written", error);
	if (pages.sum.chunk_bytes != row->chunk_bytes)
		return damaged(directory, name, "does not hold all that its head lists", error);
	return 0;
}

/* ---- the whole ---- */

static int check_shards(const char *directory, yyjson_val *shards, struct snapshot_found *found,
                        struct error *error)
{
	yyjson_val *shard;
	size_t at;
	size_t len;

	if (yyjson_arr_size(shards) != (size_t)found->origin.partitions)
		return damaged(directory, SNAPSHOT_MANIFEST, "does not list all shards", error);
	yyjson_arr_foreach(shards, at, len, shard)
	{
		struct snapshot_row row;

		if (!snapshot_row_parse(&row, shard) || row.partition != (int32_t)at || !row.is_whole)
			return damaged(directory, SNAPSHOT_MANIFEST, "lists what is no shard", error);
		if (snapshot_check_row(directory, &row, error) != 0)
			return error->code;
		found->rows[at] = row;
		found->documents += row.documents;
		found->bytes += row.head_bytes + row.pages.bytes;
	}
	return 0;
}

/* The record must be what was written into the topic meta. */
static int check_record(const char *directory, yyjson_val *record, struct snapshot_found *found,
                        struct error *error)
{
	char key[32];
	struct buffer text;
	int rc;

	(void)snprintf(key, sizeof key, "index/%016" PRIx64, found->origin.index_id);
	buffer_init(&text, SNAPSHOT_MANIFEST_BYTES_MAX);
	rc = record == NULL ? ERROR_FORMAT : json_append_value(&text, record, error);
	if (rc == 0)
		rc = catalog_apply(found->recorded, CATALOG_TOPIC_META, 0, slice_string(key),
		                   buffer_slice(&text), error);
	buffer_deinit(&text);
	if (rc != 0 ||
	    catalog_index(found->recorded, found->origin.index_id)->partitions != found->origin.partitions)
		return damaged(directory, SNAPSHOT_MANIFEST, "has no record of the index", error);
	return 0;
}

static int check_all(const char *directory, yyjson_val *root, struct snapshot_found *found,
                     struct error *error)
{
	found->rows = calloc((size_t)found->origin.partitions + 1, sizeof *found->rows);
	found->recorded = catalog_new();
	if (found->rows == NULL || found->recorded == NULL)
		return error_memory(error, (size_t)found->origin.partitions * sizeof *found->rows);
	if (check_record(directory, yyjson_obj_get(root, "record"), found, error) != 0)
		return error->code;
	return check_shards(directory, yyjson_obj_get(root, "shards"), found, error);
}

static int check_manifest(const char *directory, struct slice text, struct snapshot_found *found,
                          struct error *error)
{
	yyjson_doc *doc = NULL;
	int rc;

	if (json_parse_typed(text, &doc, error) != 0)
		return damaged(directory, SNAPSHOT_MANIFEST, "is no JSON", error);
	rc = snapshot_origin_parse(&found->origin, yyjson_doc_get_root(doc), error);
	if (rc != 0)
		(void)error_prefix(error, "%.200s/" SNAPSHOT_MANIFEST, directory);
	else
		rc = check_all(directory, yyjson_doc_get_root(doc), found, error);
	yyjson_doc_free(doc);
	return rc;
}

int snapshot_check(const char *directory, struct snapshot_found *found, struct error *error)
{
	struct snapshot_found sums = {.documents = 0};
	struct buffer text;
	int rc;

	buffer_init(&text, SNAPSHOT_MANIFEST_BYTES_MAX);
	rc = snapshot_file_read(directory, SNAPSHOT_MANIFEST, &text, error);
	if (rc == 0)
		rc = check_manifest(directory, buffer_slice(&text), &sums, error);
	buffer_deinit(&text);
	if (rc == 0)
		*found = sums;
	else
		snapshot_found_deinit(&sums);
	return rc;
}

void snapshot_found_deinit(struct snapshot_found *found)
{
	free(found->rows);
	catalog_free(found->recorded);
}
