#include "shared/filter/filter_value.h"

#include "shared/filter/filter_private.h"

yyjson_val *filter_member(yyjson_val *object, struct slice name)
{
	size_t at;
	size_t len;
	yyjson_val *key;
	yyjson_val *value;
	yyjson_val *last = NULL;

	if (!yyjson_is_obj(object))
		return NULL;
	yyjson_obj_foreach(object, at, len, key, value)
	{
		if (slice_equal(json_string(key), name))
			last = value;
	}
	return last;
}

/* Every beginning of `path` that ends at a dot may be a member's name: {"a.b":{"c":…}}. */
static bool object_reach(yyjson_val *object, struct slice path, const struct filter_visitor *visitor)
{
	for (size_t len = 0; len <= path.len; len++) {
		yyjson_val *member;

		if (len < path.len && path.ptr[len] != '.')
			continue;
		member = filter_member(object, slice_of(path.ptr, len));
		if (member == NULL)
			continue;
		if (len == path.len)
			return visitor->visit(visitor->context, member);
		if (filter_reach(member, slice_of(path.ptr + len + 1, path.len - len - 1), visitor))
			return true;
	}
	return false;
}

bool filter_reach(yyjson_val *document, struct slice path, const struct filter_visitor *visitor)
{
	size_t at;
	size_t len;
	yyjson_val *element;

	if (yyjson_is_obj(document))
		return object_reach(document, path, visitor);
	yyjson_arr_foreach(document, at, len, element)
	{
		if (filter_reach(element, path, visitor))
			return true;
	}
	return false;
}

bool filter_value_is_empty(yyjson_val *reached)
{
	return (yyjson_is_ctn(reached) && yyjson_get_len(reached) == 0) || yyjson_equals_str(reached, "");
}

bool filter_scalars(yyjson_val *reached, const struct filter_visitor *visitor)
{
	size_t at;
	size_t len;
	yyjson_val *element;

	if (yyjson_is_raw(reached) || yyjson_is_num(reached) || yyjson_is_bool(reached) ||
	    (yyjson_is_str(reached) && yyjson_get_len(reached) > 0))
		return visitor->visit(visitor->context, reached);
	yyjson_arr_foreach(reached, at, len, element)
	{
		if (filter_scalars(element, visitor))
			return true;
	}
	return false;
}

bool filter_value_text(yyjson_val *value, const struct filter_fold *fold, struct buffer *scratch,
                       struct slice *text)
{
	struct slice found = json_string(value);

	if (yyjson_is_bool(value)) {
		*text = slice_string(yyjson_get_bool(value) ? "true" : "false");
		return true;
	}
	buffer_clear(scratch);
	found = filter_cut(filter_trim(found), FILTER_VALUE_READ_BYTES_MAX);
	if (!fold->append(fold->context, found, scratch) || buffer_failed(scratch))
		return false;
	*text = filter_cut(buffer_slice(scratch), FILTER_VALUE_BYTES_MAX);
	return true;
}

bool filter_value_number(yyjson_val *value, struct buffer *scratch, double *number)
{
	yyjson_val read;

	if (!yyjson_is_raw(value)) {
		*number = yyjson_get_num(value);
		return true;
	}
	buffer_clear(scratch);
	buffer_append_slice(scratch, json_raw_number(value));
	buffer_put_u8(scratch, 0);
	if (buffer_failed(scratch) ||
	    yyjson_read_number((const char *)scratch->ptr, &read, YYJSON_READ_NOFLAG, NULL, NULL) == NULL)
		return false;
	*number = yyjson_get_num(&read);
	return true;
}
