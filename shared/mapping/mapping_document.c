#include "shared/mapping/mapping_private.h"

#include "shared/base/assert.h"
#include "shared/base/map.h"

#include <inttypes.h>

#define NAME_SHOWN_MAX 64

/* A document being written. */
struct writer {
	struct mapping_work *work;
	struct mapping_text text; /* the payload's, in step with the values below */
	struct buffer out;
	struct buffer prefix;  /* flatten: names of the objects around, with separators */
	struct buffer name;    /* of the member at hand, as it is written, decoded */
	struct buffer scratch; /* JSON of a name or of what is hashed */
	size_t containers;     /* open ones in `out` */
	size_t arrays;         /* of them */
	bool names_id;         /* the primary key is there */
	struct map *names;     /* of the object being written; NULL: none can collide */
	enum mapping_verdict verdict;
};

static bool stop(struct writer *writer, enum mapping_verdict verdict)
{
	writer->verdict = verdict;
	return false;
}

/* The three below are false when the writer has stopped. */

static bool put(struct writer *writer, struct slice bytes)
{
	uint32_t len_max = writer->work->mapping->limits.document_bytes_max;

	if (bytes.len > len_max || writer->out.len + bytes.len > len_max)
		return stop(writer, mapping_refuse(writer->work, MAPPING_REFUSAL_TOO_LARGE,
		                                   "the document has more than %" PRIu32 " bytes", len_max));
	buffer_append_slice(&writer->out, bytes);
	return !buffer_failed(&writer->out) || stop(writer, MAPPING_VERDICT_MEMORY);
}

/* A comma, unless this is the first in its container. */
static bool put_comma(struct writer *writer)
{
	uint8_t last = writer->out.len > 0 ? writer->out.ptr[writer->out.len - 1] : '{';

	return last == '{' || last == '[' || put(writer, slice_string(","));
}

static bool put_string(struct writer *writer, struct slice text)
{
	buffer_clear(&writer->scratch);
	json_append_string(&writer->scratch, text);
	if (buffer_failed(&writer->scratch))
		return stop(writer, MAPPING_VERDICT_MEMORY);
	return put(writer, buffer_slice(&writer->scratch));
}

/* --- what the rules say of a member --- */

enum fate {
	FATE_SKIP,
	FATE_COPY,
	FATE_DESCEND,
	FATE_MASK
};

/* A place of the payload: what the rules say there, and whether it is in. */
struct place {
	const struct mapping_field *field; /* NULL: nothing of its own */
	bool included;
};

static struct place place_below(struct place place, struct slice name)
{
	const struct mapping_field *child = place.field != NULL ? place.field->children : NULL;

	while (child != NULL && !slice_equal(child->name, name))
		child = child->next;
	return (struct place){child, place.included || (child != NULL && child->included)};
}

static bool dissolves(const struct writer *writer, yyjson_val *value)
{
	return writer->work->mapping->separator.ptr != NULL && writer->arrays == 0 && yyjson_is_obj(value) &&
	       yyjson_obj_size(value) > 0;
}

static enum fate fate_of(const struct writer *writer, struct place place, yyjson_val *value)
{
	const struct mapping_field *field = place.field;

	if (field != NULL && field->excluded)
		return FATE_SKIP;
	if (!place.included && (field == NULL || !field->included_below))
		return FATE_SKIP;
	if (field != NULL && field->mask != MAPPING_MASK_NONE)
		return FATE_MASK;
	if (!yyjson_is_ctn(value))
		return place.included ? FATE_COPY : FATE_SKIP;
	if (place.included && (field == NULL || field->children == NULL) && !dissolves(writer, value))
		return FATE_COPY;
	return FATE_DESCEND;
}

/* --- values --- */

static bool write_members(struct writer *writer, yyjson_val *object, struct place place);

static bool write_mask(struct writer *writer, enum mapping_mask mask, yyjson_val *value)
{
	char text[33];
	struct error error;

	(void)mapping_text_value(&writer->text);
	if (mask == MAPPING_MASK_STARS)
		return put(writer, slice_string("\"***\""));
	buffer_clear(&writer->scratch);
	if (json_append_value(&writer->scratch, value, &error) < 0)
		return stop(writer, MAPPING_VERDICT_MEMORY);
	hash128_print(hash128_of(buffer_slice(&writer->scratch), 0), text);
	return put_string(writer, slice_string(text));
}

static bool write_object(struct writer *writer, yyjson_val *object, struct place place)
{
	struct map *around = writer->names;
	struct map names;
	bool good;

	map_init(&names);
	writer->names = (place.field != NULL && place.field->renamed_below) ||
	                                (writer->work->mapping->separator.ptr != NULL && writer->arrays == 0)
	                        ? &names
	                        : NULL;
	writer->containers++;
	good = put(writer, slice_string("{")) && write_members(writer, object, place) &&
	       put(writer, slice_string("}"));
	writer->containers--;
	writer->names = around;
	map_deinit(&names);
	return good;
}

static bool write_value(struct writer *writer, yyjson_val *value, struct place place, enum fate fate);

/* Each element is judged as the array itself; scalars of one that is not included are not there. */
static bool write_array(struct writer *writer, yyjson_val *array, struct place place)
{
	bool good = put(writer, slice_string("["));
	yyjson_val *element;
	size_t at;
	size_t count;

	writer->containers++;
	writer->arrays++;
	mapping_text_step(&writer->text);
	yyjson_arr_foreach(array, at, count, element)
	{
		enum fate fate = fate_of(writer, place, element);

		if (fate == FATE_SKIP)
			(void)mapping_text_value(&writer->text);
		else
			good = good && put_comma(writer) && write_value(writer, element, place, fate);
		if (!good)
			break;
		mapping_text_step(&writer->text);
	}
	if (good && count == 0)
		mapping_text_step(&writer->text);
	writer->arrays--;
	writer->containers--;
	return good && put(writer, slice_string("]"));
}

static bool write_value(struct writer *writer, yyjson_val *value, struct place place, enum fate fate)
{
	if (fate == FATE_MASK)
		return write_mask(writer, place.field->mask, value);
	if (fate == FATE_COPY)
		return put(writer, mapping_text_value(&writer->text));
	return yyjson_is_arr(value) ? write_array(writer, value, place) : write_object(writer, value, place);
}

/* --- members --- */

/* Notes the name of the member at hand; false if a member of another origin has it. */
static bool note_name(struct writer *writer, struct place place)
{
	bool flat = writer->work->mapping->separator.ptr != NULL && writer->arrays == 0;
	const struct mapping_field *renamed =
		place.field != NULL && place.field->rename.ptr != NULL ? place.field : NULL;
	struct slice name = buffer_slice(&writer->name);
	uint64_t *origin = map_get(writer->names, name);
	struct slice kept;

	if (origin != NULL && (flat || *origin != (uint64_t)(uintptr_t)renamed))
		return stop(writer,
		            mapping_refuse(writer->work, MAPPING_REFUSAL_FIELD_COLLISION,
		                           "two fields end under the name `%.*s`; rename or exclude one",
		                           (int)(name.len < NAME_SHOWN_MAX ? name.len : NAME_SHOWN_MAX),
		                           (const char *)name.ptr));
	if (!arena_copy(writer->work->arena, name, &kept) ||
	    !map_put(writer->names, kept, (uint64_t)(uintptr_t)renamed))
		return stop(writer, MAPPING_VERDICT_MEMORY);
	return true;
}

/* True if the value is the document id: the same string, or the same integer. */
static bool is_id(const struct writer *writer, yyjson_val *value, enum fate fate)
{
	struct slice text = yyjson_is_str(value) ? json_string(value) : json_raw_number(value);

	return fate == FATE_COPY && text.ptr != NULL && slice_equal(text, writer->work->mapped->id);
}

/* A member of the document itself that bears the primary key's name must name the id. */
static bool check_primary_key(struct writer *writer, struct slice name, yyjson_val *value, enum fate fate)
{
	struct slice primary_key = writer->work->mapping->primary_key;

	if (writer->containers != 1 || !slice_equal(name, primary_key))
		return true;
	if (!is_id(writer, value, fate))
		return stop(
			writer,
			mapping_refuse(
				writer->work, MAPPING_REFUSAL_ID_MISMATCH,
				"the document's `%.*s` is not the id that `id` makes; rename or exclude it",
				(int)(primary_key.len < NAME_SHOWN_MAX ? primary_key.len : NAME_SHOWN_MAX),
				(const char *)primary_key.ptr));
	writer->names_id = true;
	return true;
}

static bool write_member(struct writer *writer, struct place place, yyjson_val *value, enum fate fate)
{
	return (writer->names == NULL || note_name(writer, place)) &&
	       check_primary_key(writer, buffer_slice(&writer->name), value, fate) && put_comma(writer) &&
	       put_string(writer, buffer_slice(&writer->name)) && put(writer, slice_string(":")) &&
	       write_value(writer, value, place, fate);
}

/* The members of an object that dissolves, under longer names. */
static bool write_dissolved(struct writer *writer, yyjson_val *object, struct place place)
{
	size_t len = writer->prefix.len;
	bool good;

	buffer_clear(&writer->prefix);
	buffer_append_slice(&writer->prefix, buffer_slice(&writer->name));
	buffer_append_slice(&writer->prefix, writer->work->mapping->separator);
	if (buffer_failed(&writer->prefix))
		return stop(writer, MAPPING_VERDICT_MEMORY);
	good = write_members(writer, object, place);
	writer->prefix.len = len;
	return good;
}

/* The name that the member gets, into writer->name. */
static bool make_name(struct writer *writer, struct place place, struct slice name)
{
	if (place.field != NULL && place.field->rename.ptr != NULL)
		name = place.field->rename;
	buffer_clear(&writer->name);
	if (writer->arrays == 0)
		buffer_append_slice(&writer->name, buffer_slice(&writer->prefix));
	buffer_append_slice(&writer->name, name);
	if (writer->prefix.len > 0 && writer->name.len > MAPPING_FLAT_NAME_BYTES_MAX)
		return stop(writer, mapping_refuse(writer->work, MAPPING_REFUSAL_TOO_LARGE,
		                                   "a flattened field's name has more than %d bytes",
		                                   MAPPING_FLAT_NAME_BYTES_MAX));
	return !buffer_failed(&writer->name) || stop(writer, MAPPING_VERDICT_MEMORY);
}

static bool write_members(struct writer *writer, yyjson_val *object, struct place place)
{
	yyjson_val *key;
	yyjson_val *value;
	size_t at;
	size_t count;

	mapping_text_step(&writer->text);
	yyjson_obj_foreach(object, at, count, key, value)
	{
		struct place below = place_below(place, json_string(key));
		enum fate fate = fate_of(writer, below, value);
		bool good = true;

		(void)mapping_text_name(&writer->text);
		if (fate == FATE_SKIP)
			(void)mapping_text_value(&writer->text);
		else if (!make_name(writer, below, json_string(key)))
			good = false;
		else if (fate == FATE_DESCEND && dissolves(writer, value))
			good = write_dissolved(writer, value, below);
		else
			good = write_member(writer, below, value, fate);
		if (!good)
			return false;
		mapping_text_step(&writer->text);
	}
	if (count == 0)
		mapping_text_step(&writer->text);
	return true;
}

/* --- the document --- */

/* Without rules for fields the payload is the document, byte for byte. */
static bool keep_payload(struct writer *writer)
{
	struct mapping_work *work = writer->work;
	yyjson_val *key;
	yyjson_val *value;
	size_t at;
	size_t count;

	writer->containers = 1;
	yyjson_obj_foreach(work->payload, at, count, key, value)
	{
		if (!check_primary_key(writer, json_string(key), value, FATE_COPY))
			return false;
	}
	if (work->payload_text.len > work->mapping->limits.document_bytes_max)
		return stop(writer, mapping_refuse(work, MAPPING_REFUSAL_TOO_LARGE,
		                                   "the document has more than %" PRIu32 " bytes",
		                                   work->mapping->limits.document_bytes_max));
	work->mapped->body = work->payload_text;
	return true;
}

static bool reshape_payload(struct writer *writer)
{
	const struct mapping_field *fields = &writer->work->mapping->fields;
	struct mapping_work *work = writer->work;

	writer->text.at = work->payload_text.ptr;
	if (!write_object(writer, work->payload, (struct place){fields, fields->included}))
		return false;
	ASSERT(writer->text.at == work->payload_text.ptr + work->payload_text.len);
	return arena_copy(work->arena, buffer_slice(&writer->out), &work->mapped->body) ||
	       stop(writer, MAPPING_VERDICT_MEMORY);
}

/* {"<primary key>":"<id>", then the document as it is. */
static bool add_primary_key(struct writer *writer)
{
	struct mapping_work *work = writer->work;
	struct slice body = work->mapped->body;
	struct slice rest = slice_of(body.ptr + 1, body.len - 1);
	struct mapping_text text = {rest.ptr};

	buffer_clear(&writer->out);
	return put(writer, slice_string("{")) && put_string(writer, work->mapping->primary_key) &&
	       put(writer, slice_string(":")) && put_string(writer, work->mapped->id) &&
	       (mapping_text_closes(&text) || put(writer, slice_string(","))) && put(writer, rest) &&
	       (arena_copy(work->arena, buffer_slice(&writer->out), &work->mapped->body) ||
	        stop(writer, MAPPING_VERDICT_MEMORY));
}

enum mapping_verdict mapping_make_document(struct mapping_work *work)
{
	struct writer writer = {.work = work, .verdict = MAPPING_VERDICT_APPLY};
	size_t len_max = 8 * (size_t)MAPPING_VALUE_BYTES_MAX;

	ASSERT(work->payload_text.len >= 2);
	buffer_init(&writer.out, work->mapping->limits.document_bytes_max);
	buffer_init(&writer.prefix, SIZE_MAX);
	buffer_init(&writer.name, SIZE_MAX);
	buffer_init(&writer.scratch, len_max);
	(void)((work->mapping->reshapes ? reshape_payload(&writer) : keep_payload(&writer)) &&
	       (writer.names_id || add_primary_key(&writer)));
	buffer_deinit(&writer.out);
	buffer_deinit(&writer.prefix);
	buffer_deinit(&writer.name);
	buffer_deinit(&writer.scratch);
	return writer.verdict;
}
