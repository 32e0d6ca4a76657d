#include "shared/meta/task.h"

#include "shared/base/hash.h"
#include "shared/meta/catalog_record.h"
#include "shared/meta/source.h"

#include <inttypes.h>
#include <stdlib.h>

#define NONCE_DIGITS 32

static const char *const type_names[] = {
	[TASK_TYPE_INDEX_CREATION] = "indexCreation",   [TASK_TYPE_INDEX_DELETION] = "indexDeletion",
	[TASK_TYPE_RECORD_SKIP] = "recordSkip",         [TASK_TYPE_SOURCE_ADDITION] = "sourceAddition",
	[TASK_TYPE_SOURCE_UPDATE] = "sourceUpdate",     [TASK_TYPE_INDEX_REBUILD] = "indexRebuild",
	[TASK_TYPE_SOURCE_DELETION] = "sourceDeletion", [TASK_TYPE_INDEX_RESTORE] = "indexRestore",
	[TASK_TYPE_SETTINGS_UPDATE] = "settingsUpdate",
};

#define TYPES (sizeof type_names / sizeof *type_names)

const char *task_type_name(enum task_type type)
{
	return type_names[type];
}

static void append_member(struct buffer *value, const char *name, const char *text)
{
	buffer_printf(value, ",\"%s\":", name);
	json_append_string(value, slice_string(text));
}

/* What a rebuild may ask for too. */
static void write_layout(struct buffer *value, const struct task_request *request)
{
	if (request->has_dedup_window)
		buffer_printf(value, ",\"dedup_window\":%" PRId64, request->dedup_window);
	if (request->sources_len > 0) {
		buffer_append_string(value, ",\"sources\":");
		sources_append(value, request->sources, request->sources_len);
	}
}

static void write_creation(struct buffer *value, const struct task_request *request)
{
	append_member(value, "primary_key", request->primary_key);
	buffer_printf(value, ",\"partitions\":%" PRId32, request->partitions);
	append_member(value, "partitioner", partitioner_name(request->partitioner));
	if (request->topic[0] != 0)
		append_member(value, "topic", request->topic);
	write_layout(value, request);
}

static void write_skip(struct buffer *value, const struct task_request *request)
{
	char id[17];

	index_id_print(request->index_id, id);
	append_member(value, "index", id);
	buffer_printf(value, ",\"partition\":%" PRId32 ",\"offset\":%" PRId64, request->partition,
	              request->offset);
	append_member(value, "reason", request->reason);
}

static void write_restore(struct buffer *value, const struct task_request *request)
{
	char id[17];

	index_id_print(request->index_id, id);
	append_member(value, "index", id);
	buffer_append_string(value, ",\"shards\":");
	restore_shards_append(value, request->shards, request->shards_len);
}

static void write_update(struct buffer *value, const struct task_request *request)
{
	append_member(value, "name", request->source);
	if (request->has_paused)
		buffer_printf(value, ",\"paused\":%s", request->paused ? "true" : "false");
	if (request->has_start)
		buffer_printf(value, ",\"start_ms\":%" PRId64, request->start_ms);
}

static void write_settings(struct buffer *value, const struct task_request *request)
{
	if (request->setting[0] != 0)
		append_member(value, "setting", request->setting);
	if (request->reset) {
		buffer_append_string(value, ",\"reset\":true");
		return;
	}
	buffer_append_string(value, ",\"body\":");
	buffer_append_slice(value, request->body);
}

void task_request_write(struct buffer *value, const struct task_request *request)
{
	buffer_printf(value, "{\"v\":%d,\"type\":\"%s\",\"nonce\":\"%s\"", TASK_VERSION,
	              task_type_name(request->type), request->nonce);
	append_member(value, "uid", request->uid);
	buffer_printf(value, ",\"enqueued_at\":%" PRId64, request->enqueued_at_ms);
	switch (request->type) {
	case TASK_TYPE_INDEX_CREATION:
		write_creation(value, request);
		break;
	case TASK_TYPE_INDEX_REBUILD:
		if (request->partitions != 0)
			buffer_printf(value, ",\"partitions\":%" PRId32, request->partitions);
		write_layout(value, request);
		buffer_append_string(value, request->accept_loss ? ",\"accept_loss\":true" : "");
		buffer_append_string(value, request->cancel ? ",\"cancel\":true" : "");
		break;
	case TASK_TYPE_INDEX_DELETION:
		break;
	case TASK_TYPE_RECORD_SKIP:
		write_skip(value, request);
		break;
	case TASK_TYPE_SOURCE_ADDITION:
		buffer_append_string(value, ",\"source\":");
		source_append(value, request->sources);
		break;
	case TASK_TYPE_SOURCE_UPDATE:
		write_update(value, request);
		break;
	case TASK_TYPE_SOURCE_DELETION:
		append_member(value, "name", request->source);
		break;
	case TASK_TYPE_INDEX_RESTORE:
		write_restore(value, request);
		break;
	case TASK_TYPE_SETTINGS_UPDATE:
		write_settings(value, request);
		break;
	}
	buffer_append_string(value, "}");
}

static int malformed(struct error *error, const char *what)
{
	return error_set(error, ERROR_FORMAT, ERROR_ACTION_REJECT, "member %s is missing or not valid", what);
}

static bool nonce_is_valid(const char *nonce)
{
	return strspn(nonce, "0123456789abcdef") == NONCE_DIGITS && nonce[NONCE_DIGITS] == 0;
}

static int layout_fill(yyjson_val *root, struct task_request *request, struct error *error)
{
	int64_t partitions = 0;

	if (yyjson_obj_get(root, "partitions") != NULL && (!json_get_i64(root, "partitions", &partitions) ||
	                                                   partitions < INT32_MIN || partitions > INT32_MAX))
		return malformed(error, "partitions");
	request->partitions = (int32_t)partitions;
	request->has_dedup_window = yyjson_obj_get(root, "dedup_window") != NULL;
	if (request->has_dedup_window && !json_get_i64(root, "dedup_window", &request->dedup_window))
		return malformed(error, "dedup_window");
	return 0;
}

static bool flag_fill(yyjson_val *root, const char *name, bool *flag)
{
	return yyjson_obj_get(root, name) == NULL || json_get_bool(root, name, flag);
}

static int rebuild_fill(yyjson_val *root, struct task_request *request, struct error *error)
{
	if (!flag_fill(root, "accept_loss", &request->accept_loss))
		return malformed(error, "accept_loss");
	if (!flag_fill(root, "cancel", &request->cancel))
		return malformed(error, "cancel");
	return layout_fill(root, request, error);
}

/* Bounds that the controller judges (partitions, the uid's alphabet) are not judged here: such a request has
 * a final that names the fault, not a parse error. */
static int creation_fill(yyjson_val *root, struct task_request *request, struct error *error)
{
	struct slice partitioner;

	if (!meta_record_text(root, "primary_key", request->primary_key, sizeof request->primary_key))
		return malformed(error, "primary_key");
	if (yyjson_obj_get(root, "partitions") == NULL)
		return malformed(error, "partitions");
	if (!json_get_string(root, "partitioner", &partitioner) ||
	    !partitioner_parse(partitioner, &request->partitioner))
		return malformed(error, "partitioner");
	if (yyjson_obj_get(root, "topic") != NULL &&
	    !meta_record_text(root, "topic", request->topic, sizeof request->topic))
		return malformed(error, "topic");
	return layout_fill(root, request, error);
}

static int skip_fill(yyjson_val *root, struct task_request *request, struct error *error)
{
	struct slice index;
	int64_t partition;

	if (!json_get_string(root, "index", &index) || !index_id_parse(index, &request->index_id))
		return malformed(error, "index");
	if (!json_get_i64(root, "partition", &partition) || partition < 0 ||
	    partition >= INDEX_PARTITIONS_MAX)
		return malformed(error, "partition");
	request->partition = (int32_t)partition;
	if (!json_get_i64(root, "offset", &request->offset) || request->offset < 0)
		return malformed(error, "offset");
	if (!meta_record_text(root, "reason", request->reason, sizeof request->reason))
		return malformed(error, "reason");
	return 0;
}

static int restore_fill(yyjson_val *root, struct task_request *request, struct error *error)
{
	struct slice index;

	if (!json_get_string(root, "index", &index) || !index_id_parse(index, &request->index_id))
		return malformed(error, "index");
	return restore_shards_take(yyjson_obj_get(root, "shards"), &request->shards, &request->shards_len,
	                           error);
}

static int update_fill(yyjson_val *root, struct task_request *request, struct error *error)
{
	request->has_paused = yyjson_obj_get(root, "paused") != NULL;
	request->has_start = yyjson_obj_get(root, "start_ms") != NULL;
	if (!meta_record_text(root, "name", request->source, sizeof request->source))
		return malformed(error, "name");
	if (request->has_paused && !json_get_bool(root, "paused", &request->paused))
		return malformed(error, "paused");
	if (request->has_start &&
	    (!json_get_i64(root, "start_ms", &request->start_ms) || request->start_ms < 0))
		return malformed(error, "start_ms");
	return 0;
}

static int body_take(yyjson_val *body, struct slice *text, struct error *error)
{
	struct buffer written;
	int status;

	if (body == NULL)
		return malformed(error, "body");
	buffer_init(&written, SIZE_MAX); /* not longer than the record */
	status = json_append_value(&written, body, error);
	if (status == 0 && written.len > TASK_BODY_BYTES_MAX)
		status = error_set(error, ERROR_LIMIT, ERROR_ACTION_REJECT,
		                   "a body of %zu bytes; at most %zu are allowed", written.len,
		                   TASK_BODY_BYTES_MAX);
	if (status == 0)
		text->ptr = buffer_take(&written, &text->len);
	buffer_deinit(&written);
	return status;
}

static int settings_fill(yyjson_val *root, struct task_request *request, struct error *error)
{
	if (yyjson_obj_get(root, "setting") != NULL &&
	    !meta_record_text(root, "setting", request->setting, sizeof request->setting))
		return malformed(error, "setting");
	if (!flag_fill(root, "reset", &request->reset))
		return malformed(error, "reset");
	return request->reset ? 0 : body_take(yyjson_obj_get(root, "body"), &request->body, error);
}

/* The sources of a creation, the one of an addition: read from the record's text, so that numbers in rules stay as
 * written. */
static int sources_fill(yyjson_val *root, struct slice value, struct task_request *request,
                        struct error *error)
{
	const char *member = request->type == TASK_TYPE_SOURCE_ADDITION ? "source" : "sources";
	yyjson_val *found = yyjson_obj_get(root, member);
	bool one = request->type == TASK_TYPE_SOURCE_ADDITION;

	if (!one && (found == NULL ||
	             (request->type != TASK_TYPE_INDEX_CREATION && request->type != TASK_TYPE_INDEX_REBUILD)))
		return 0;
	if (one ? !yyjson_is_obj(found) : !yyjson_is_arr(found))
		return malformed(error, member);
	return sources_read(value, member, &request->sources, &request->sources_len, error);
}

static bool type_parse(struct slice text, enum task_type *type)
{
	for (size_t i = TASK_TYPE_INDEX_CREATION; i < TYPES; i++)
		if (slice_equal(text, slice_string(type_names[i]))) {
			*type = (enum task_type)i;
			return true;
		}
	return false;
}

static int request_fill(yyjson_val *root, struct task_request *request, struct error *error)
{
	struct slice type;

	if (!json_get_string(root, "type", &type))
		return malformed(error, "type");
	if (!type_parse(type, &request->type))
		return error_set(error, ERROR_VERSION, ERROR_ACTION_REJECT,
		                 "request of type %.40s is not known to this program",
		                 (const char *)type.ptr);
	if (!meta_record_text(root, "nonce", request->nonce, sizeof request->nonce) ||
	    !nonce_is_valid(request->nonce))
		return malformed(error, "nonce");
	if (!meta_record_text(root, "uid", request->uid, sizeof request->uid))
		return malformed(error, "uid");
	if (!json_get_i64(root, "enqueued_at", &request->enqueued_at_ms))
		return malformed(error, "enqueued_at");
	switch (request->type) {
	case TASK_TYPE_INDEX_CREATION:
		return creation_fill(root, request, error);
	case TASK_TYPE_INDEX_REBUILD:
		return rebuild_fill(root, request, error);
	case TASK_TYPE_RECORD_SKIP:
		return skip_fill(root, request, error);
	case TASK_TYPE_INDEX_RESTORE:
		return restore_fill(root, request, error);
	case TASK_TYPE_SOURCE_UPDATE:
		return update_fill(root, request, error);
	case TASK_TYPE_SETTINGS_UPDATE:
		return settings_fill(root, request, error);
	case TASK_TYPE_SOURCE_DELETION:
		return meta_record_text(root, "name", request->source, sizeof request->source)
		               ? 0
		               : malformed(error, "name");
	case TASK_TYPE_INDEX_DELETION:
	case TASK_TYPE_SOURCE_ADDITION:
		break;
	}
	return 0;
}

int task_request_parse(struct slice value, struct task_request *request, struct error *error)
{
	struct task_request out = {0};
	yyjson_doc *doc;
	int status = meta_record_open(value, TASK_VERSION, &doc, error);

	if (status != 0)
		return status;
	status = request_fill(yyjson_doc_get_root(doc), &out, error);
	if (status == 0)
		status = sources_fill(yyjson_doc_get_root(doc), value, &out, error);
	if (status == 0)
		*request = out;
	else
		task_request_deinit(&out);
	yyjson_doc_free(doc);
	return status;
}

void task_request_deinit(struct task_request *request)
{
	free(request->sources);
	free(request->shards);
	free((void *)(uintptr_t)request->body.ptr); /* NOLINT(performance-no-int-to-ptr) */
}

void task_final_write(struct buffer *value, const struct task_final *final)
{
	buffer_printf(value, "{\"v\":%d,\"task\":%" PRId64 ",\"kind\":\"final\",\"status\":\"%s\"",
	              TASK_VERSION, final->task, final->succeeded ? "succeeded" : "failed");
	if (!final->succeeded) {
		buffer_append_string(value, ",\"error\":{\"code\":");
		json_append_string(value, slice_string(final->code));
		append_member(value, "message", final->message);
		buffer_append_string(value, "}");
	}
	buffer_printf(value, ",\"started_at\":%" PRId64 ",\"finished_at\":%" PRId64 "}", final->started_at_ms,
	              final->finished_at_ms);
}

static int final_fill(yyjson_val *root, struct task_final *final, struct error *error)
{
	struct slice kind, status;
	yyjson_val *object = yyjson_obj_get(root, "error");

	if (!json_get_string(root, "kind", &kind) || !slice_equal(kind, slice_string("final")))
		return malformed(error, "kind");
	if (!json_get_i64(root, "task", &final->task) || final->task < 0)
		return malformed(error, "task");
	if (!json_get_i64(root, "started_at", &final->started_at_ms) ||
	    !json_get_i64(root, "finished_at", &final->finished_at_ms))
		return malformed(error, "started_at or finished_at");
	if (!json_get_string(root, "status", &status))
		return malformed(error, "status");
	final->succeeded = slice_equal(status, slice_string("succeeded"));
	if (final->succeeded)
		return 0;
	if (!slice_equal(status, slice_string("failed")))
		return malformed(error, "status");
	if (!meta_record_text(object, "code", final->code, sizeof final->code) ||
	    !meta_record_text(object, "message", final->message, sizeof final->message))
		return malformed(error, "error");
	return 0;
}

int task_final_parse(struct slice value, struct task_final *final, struct error *error)
{
	struct task_final out = {0};
	yyjson_doc *doc;
	int status = meta_record_open(value, TASK_VERSION, &doc, error);

	if (status != 0)
		return status;
	status = final_fill(yyjson_doc_get_root(doc), &out, error);
	if (status == 0)
		*final = out;
	yyjson_doc_free(doc);
	return status;
}

uint64_t task_index_id(int64_t task, const char nonce[33])
{
	return hash64(slice_string(nonce), (uint64_t)task);
}
