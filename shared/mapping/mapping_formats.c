#include "shared/mapping/mapping_private.h"

#include "shared/base/assert.h"

#include <inttypes.h>
#include <stdio.h>
#include <strings.h>

#define ATTRIBUTE_BYTES_MAX 64 /* of a CloudEvents attribute's name; the specification advises 20 */

/* The last header of that name, as Kafka's own lastHeader; NULL if there is none. */
static const struct record_header *find_header(const struct record *record, struct slice name)
{
	for (size_t i = record->headers_len; i > 0; i--)
		if (slice_equal(record->headers[i - 1].name, name))
			return &record->headers[i - 1];
	return NULL;
}

/* --- JSON --- */

/* An envelope's schema nests two levels where its payload nests one. */
static size_t input_depth_max(const struct mapping *mapping)
{
	size_t depth_max = mapping->limits.depth_max;

	return mapping->format == MAPPING_FORMAT_JSON ? depth_max : 2 * depth_max + 8;
}

static enum mapping_verdict parse_value(struct mapping_work *work)
{
	struct slice value = work->record->value;
	struct error error;
	int rc;

	if (value.len > MAPPING_VALUE_BYTES_MAX)
		return mapping_refuse(work, MAPPING_REFUSAL_TOO_LARGE,
		                      "the value has %zu bytes, at most %u can be mapped", value.len,
		                      MAPPING_VALUE_BYTES_MAX);
	rc = json_parse(value, input_depth_max(work->mapping), &work->value_doc, &error);
	if (rc == ERROR_MEMORY)
		return MAPPING_VERDICT_MEMORY;
	if (rc != 0)
		return mapping_refuse(work,
		                      rc == ERROR_LIMIT ? MAPPING_REFUSAL_TOO_DEEP : MAPPING_REFUSAL_NOT_JSON,
		                      "%.200s", error.text);
	return MAPPING_VERDICT_APPLY;
}

/* The text of the last member of that name, which the object has. */
static struct slice member_text(struct slice object_text, yyjson_val *object, struct slice name)
{
	struct mapping_text text = {object_text.ptr};
	struct slice found = {NULL, 0};
	yyjson_val *key;
	yyjson_val *value;
	size_t at;
	size_t count;

	mapping_text_step(&text);
	yyjson_obj_foreach(object, at, count, key, value)
	{
		struct slice value_text;

		(void)mapping_text_name(&text);
		value_text = mapping_text_value(&text);
		mapping_text_step(&text);
		if (slice_equal(json_string(key), name))
			found = value_text;
	}
	ASSERT(found.ptr != NULL);
	return found;
}

static struct slice root_text(const struct mapping_work *work)
{
	struct mapping_text text = {work->record->value.ptr};

	return mapping_text_value(&text);
}

/* `text` is that of `payload`; `what` names it in refusals. */
static enum mapping_verdict set_payload(struct mapping_work *work, yyjson_val *payload, struct slice text,
                                        const char *what)
{
	if (!yyjson_is_obj(payload))
		return mapping_refuse(work, MAPPING_REFUSAL_NOT_AN_OBJECT, "%s is JSON, but not an object",
		                      what);
	if (work->mapping->format != MAPPING_FORMAT_JSON &&
	    mapping_text_depth(text) > work->mapping->limits.depth_max)
		return mapping_refuse(work, MAPPING_REFUSAL_TOO_DEEP, "%s is nested deeper than %" PRIu32,
		                      what, work->mapping->limits.depth_max);
	work->payload = payload;
	work->payload_text = text;
	return MAPPING_VERDICT_APPLY;
}

/* --- Connect's JsonConverter --- */

static bool is_envelope(yyjson_val *root)
{
	yyjson_val *schema = mapping_member(root, slice_string("schema"));

	return yyjson_is_obj(root) && yyjson_obj_size(root) == 2 &&
	       (yyjson_is_obj(schema) || yyjson_is_null(schema)) &&
	       mapping_member(root, slice_string("payload")) != NULL;
}

static enum mapping_verdict open_connect(struct mapping_work *work)
{
	enum mapping_verdict verdict = parse_value(work);
	struct slice name = slice_string("payload");
	yyjson_val *root;
	yyjson_val *payload;

	if (verdict != MAPPING_VERDICT_APPLY)
		return verdict;
	root = yyjson_doc_get_root(work->value_doc);
	payload = is_envelope(root) ? mapping_member(root, name) : root;
	if (yyjson_is_null(payload)) {
		work->tombstone = true;
		return MAPPING_VERDICT_APPLY;
	}
	if (payload == root)
		return set_payload(work, root, yyjson_is_obj(root) ? root_text(work) : slice_of(NULL, 0),
		                   "the value");
	return set_payload(work, payload, member_text(root_text(work), root, name), "the envelope's payload");
}

static enum mapping_verdict open_key(struct mapping_work *work)
{
	struct slice key = work->record->key;
	struct error error;
	yyjson_val *root;
	int rc;

	if (key.len == 0)
		return MAPPING_VERDICT_APPLY; /* refused where the id is made, if it still is */
	if (key.len > MAPPING_KEY_BYTES_MAX)
		return mapping_refuse(work, MAPPING_REFUSAL_KEY_NOT_JSON,
		                      "the key has %zu bytes, at most %u are read as JSON", key.len,
		                      MAPPING_KEY_BYTES_MAX);
	rc = json_parse(key, 2 * JSON_DEPTH_MAX, &work->key_doc, &error);
	if (rc == ERROR_MEMORY)
		return MAPPING_VERDICT_MEMORY;
	if (rc != 0)
		return mapping_refuse(work, MAPPING_REFUSAL_KEY_NOT_JSON,
		                      "the key is %.150s; if keys are plain text, set `key` to text",
		                      error.text);
	root = yyjson_doc_get_root(work->key_doc);
	work->key = root;
	if (work->mapping->format == MAPPING_FORMAT_CONNECT_JSON && is_envelope(root))
		work->key = mapping_member(root, slice_string("payload"));
	return MAPPING_VERDICT_APPLY;
}

/* --- CloudEvents --- */

static bool is_media_type(struct slice type, const char *name)
{
	return type.len == strlen(name) && strncasecmp((const char *)type.ptr, name, type.len) == 0;
}

/* Without parameters and the space around it. */
static struct slice media_type(struct slice content_type)
{
	const uint8_t *end = content_type.len > 0 ? memchr(content_type.ptr, ';', content_type.len) : NULL;

	if (end != NULL)
		content_type.len = (size_t)(end - content_type.ptr);
	while (content_type.len > 0 && content_type.ptr[0] == ' ')
		content_type = slice_of(content_type.ptr + 1, content_type.len - 1);
	while (content_type.len > 0 && content_type.ptr[content_type.len - 1] == ' ')
		content_type.len--;
	return content_type;
}

static bool is_json_type(struct slice type)
{
	static const char suffix[] = "+json";
	size_t len = sizeof suffix - 1;

	return is_media_type(type, "application/json") || is_media_type(type, "text/json") ||
	       (type.len > len && is_media_type(slice_of(type.ptr + type.len - len, len), suffix));
}

struct slice mapping_attribute(const struct mapping_work *work, struct slice name)
{
	static const uint8_t prefix[3] = {'c', 'e', '_'};
	uint8_t text[sizeof prefix + ATTRIBUTE_BYTES_MAX];
	const struct record_header *header;

	if (work->event != NULL)
		return json_string(mapping_member(work->event, name));
	if (name.len > ATTRIBUTE_BYTES_MAX)
		return slice_of(NULL, 0);
	memcpy(text, prefix, sizeof prefix);
	memcpy(text + sizeof prefix, name.ptr, name.len);
	header = find_header(work->record, slice_of(text, sizeof prefix + name.len));
	if (header == NULL)
		return slice_of(NULL, 0);
	return header->value.ptr != NULL ? header->value : slice_of("", 0);
}

static enum mapping_verdict check_event(struct mapping_work *work)
{
	static const char *const required[] = {"specversion", "id", "source", "type"};

	for (size_t i = 0; i < sizeof required / sizeof *required; i++)
		if (mapping_attribute(work, slice_string(required[i])).len == 0)
			return mapping_refuse(work, MAPPING_REFUSAL_INVALID_EVENT,
			                      "no CloudEvent: attribute `%s` is empty or not there (%s mode)",
			                      required[i], work->event != NULL ? "structured" : "binary");
	if (!slice_starts_with(mapping_attribute(work, slice_string("specversion")), slice_string("1.")))
		return mapping_refuse(work, MAPPING_REFUSAL_INVALID_EVENT,
		                      "the CloudEvent's `specversion` is not 1.x");
	return MAPPING_VERDICT_APPLY;
}

static enum mapping_verdict open_structured(struct mapping_work *work)
{
	enum mapping_verdict verdict = parse_value(work);
	struct slice name = slice_string("data");
	yyjson_val *root;
	yyjson_val *payload;

	if (verdict != MAPPING_VERDICT_APPLY)
		return verdict;
	root = yyjson_doc_get_root(work->value_doc);
	if (!yyjson_is_obj(root))
		return mapping_refuse(work, MAPPING_REFUSAL_NOT_AN_OBJECT,
		                      "the value is JSON, but not an object, so no CloudEvent");
	work->event = root;
	verdict = check_event(work);
	if (verdict != MAPPING_VERDICT_APPLY)
		return verdict;
	if (mapping_member(root, slice_string("data_base64")) != NULL)
		return mapping_refuse(
			work, MAPPING_REFUSAL_UNSUPPORTED_CONTENT,
			"the CloudEvent's data is in `data_base64`; only JSON in `data` is mapped");
	payload = mapping_member(root, name);
	if (payload == NULL || yyjson_is_null(payload))
		return MAPPING_VERDICT_APPLY; /* a type that deletes needs none */
	return set_payload(work, payload, member_text(root_text(work), root, name), "the event's data");
}

static enum mapping_verdict open_event(struct mapping_work *work)
{
	const struct record_header *header = find_header(work->record, slice_string("content-type"));
	struct slice type = media_type(header != NULL ? header->value : slice_of(NULL, 0));
	enum mapping_verdict verdict;

	if (is_media_type(type, "application/cloudevents+json"))
		return open_structured(work);
	verdict = check_event(work);
	if (verdict != MAPPING_VERDICT_APPLY)
		return verdict;
	if (type.len > 0 && !is_json_type(type))
		return mapping_refuse(work, MAPPING_REFUSAL_UNSUPPORTED_CONTENT,
		                      "the content-type is %.*s; only JSON is mapped",
		                      (int)(type.len < 64 ? type.len : 64), (const char *)type.ptr);
	verdict = parse_value(work);
	if (verdict != MAPPING_VERDICT_APPLY)
		return verdict;
	if (!yyjson_is_obj(yyjson_doc_get_root(work->value_doc)))
		return set_payload(work, NULL, slice_of(NULL, 0), "the event's data");
	return set_payload(work, yyjson_doc_get_root(work->value_doc), root_text(work), "the event's data");
}

/* --- any record --- */

static enum mapping_verdict open_json(struct mapping_work *work)
{
	enum mapping_verdict verdict = parse_value(work);
	yyjson_val *root;

	if (verdict != MAPPING_VERDICT_APPLY)
		return verdict;
	root = yyjson_doc_get_root(work->value_doc);
	return set_payload(work, root, yyjson_is_obj(root) ? root_text(work) : slice_of(NULL, 0),
	                   "the value");
}

enum mapping_verdict mapping_open(struct mapping_work *work)
{
	enum mapping_verdict verdict = MAPPING_VERDICT_APPLY;

	work->tombstone = work->record->value.len == 0;
	if (!work->tombstone && work->mapping->format == MAPPING_FORMAT_CLOUDEVENTS)
		verdict = open_event(work);
	else if (!work->tombstone && work->mapping->format == MAPPING_FORMAT_CONNECT_JSON)
		verdict = open_connect(work);
	else if (!work->tombstone)
		verdict = open_json(work);
	if (verdict == MAPPING_VERDICT_APPLY && work->mapping->key_is_json && work->mapping->reads_key)
		verdict = open_key(work);
	return verdict;
}

static enum mapping_verdict check_idempotency_key(struct mapping_work *work, struct slice key)
{
	if (key.len == 0 || key.len > MAPPING_IDEMPOTENCY_KEY_BYTES_MAX)
		return mapping_refuse(work, MAPPING_REFUSAL_INVALID_HEADER,
		                      "the idempotency key has %zu bytes; 1 to %d are allowed", key.len,
		                      MAPPING_IDEMPOTENCY_KEY_BYTES_MAX);
	work->mapped->idempotency_key = key;
	return MAPPING_VERDICT_APPLY;
}

enum mapping_verdict mapping_idempotency_key(struct mapping_work *work)
{
	const struct record_header *header = find_header(work->record, slice_string("idempotency-key"));
	struct slice source = mapping_attribute(work, slice_string("source"));
	struct slice id = mapping_attribute(work, slice_string("id"));
	struct slice key;
	char digits[24];
	int len;
	uint8_t *ptr;

	if (header != NULL)
		return check_idempotency_key(work, header->value);
	if (source.ptr == NULL || id.ptr == NULL)
		return MAPPING_VERDICT_APPLY;
	if (source.len == 0 || id.len == 0)
		return mapping_refuse(
			work, MAPPING_REFUSAL_INVALID_HEADER,
			"header `ce_source` or `ce_id` is empty; together they are the idempotency key");
	len = snprintf(digits, sizeof digits, "%zu:", source.len);
	ptr = arena_alloc(work->arena, (size_t)len + source.len + id.len);
	if (ptr == NULL)
		return MAPPING_VERDICT_MEMORY;
	key = slice_of(ptr, (size_t)len + source.len + id.len);
	memcpy(ptr, digits, (size_t)len);
	memcpy(ptr + len, source.ptr, source.len);
	memcpy(ptr + len + source.len, id.ptr, id.len);
	return check_idempotency_key(work, key);
}
