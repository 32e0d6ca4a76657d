#include "shard/core/node_identity.h"

#include "shared/json/json.h"

#define NODE_IDENTITY_VERSION 1

void node_identity_append(struct buffer *content, const struct node_identity *identity)
{
	char incarnation[33];

	incarnation_print(identity->incarnation, incarnation);
	buffer_printf(content, "{\"v\":%d,\"id\":", NODE_IDENTITY_VERSION);
	json_append_string(content, slice_string(identity->id));
	buffer_printf(content, ",\"incarnation\":\"%s\"}\n", incarnation);
}

static int refuse(struct error *error, const char *why)
{
	return error_set(error, ERROR_CONFIGURATION, ERROR_ACTION_FATAL,
	                 "%s; restore the file, or start on an empty directory", why);
}

static int fill(yyjson_val *root, struct node_identity *identity, struct error *error)
{
	struct node_identity found = {.id = ""};
	struct slice id;
	struct slice incarnation;
	int64_t version;

	if (!json_get_i64(root, "v", &version))
		return refuse(error, "it has no version `v`");
	if (version != NODE_IDENTITY_VERSION)
		return refuse(error, "it has a version that this program does not know");
	if (!json_get_string(root, "id", &id) || id.len == 0 || id.len > NODE_ID_BYTES_MAX ||
	    memchr(id.ptr, 0, id.len) != NULL)
		return refuse(error, "it has no `id`");
	if (!json_get_string(root, "incarnation", &incarnation) ||
	    !incarnation_parse(incarnation, &found.incarnation) || incarnation_is_none(found.incarnation))
		return refuse(error, "it has no `incarnation` of 32 hexadecimal digits");
	memcpy(found.id, id.ptr, id.len);
	*identity = found;
	return 0;
}

int node_identity_parse(struct slice content, struct node_identity *identity, struct error *error)
{
	yyjson_doc *doc;
	int rc;

	if (json_parse_typed(content, &doc, error) != 0)
		return refuse(error, "it is not JSON");
	rc = fill(yyjson_doc_get_root(doc), identity, error);
	yyjson_doc_free(doc);
	return rc;
}

int node_identity_check(const struct node_identity *identity, const char *id, struct error *error)
{
	if (strcmp(identity->id, id) == 0)
		return 0;
	return error_set(
		error, ERROR_CONFIGURATION, ERROR_ACTION_FATAL,
		"this directory belongs to node %s, but shard.id is %s: start it with --shard.id %s, "
		"or give node %s a directory of its own (shard.data)",
		identity->id, id, identity->id, id);
}
