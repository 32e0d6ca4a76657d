#include "query/core/restore_request.h"

#include <stdio.h>

int restore_request_from_body(struct slice body, struct slice uid, struct task_request *request,
                              struct error_answer *refusal)
{
	struct task_request made = {.type = TASK_TYPE_INDEX_RESTORE};
	struct slice index;
	struct error error;
	yyjson_val *root;
	yyjson_doc *doc;
	int result = 0;

	if (json_parse_typed(body, &doc, &error) != 0)
		return error_answer_set(refusal, "malformed_payload",
		                        "The `json` payload provided is malformed. %s", error.text);
	root = yyjson_doc_get_root(doc);
	(void)snprintf(made.uid, sizeof made.uid, "%.*s", SLICE_ARGS(uid));
	if (!json_get_string(root, "index", &index) || !index_id_parse(index, &made.index_id))
		result = error_answer_set(refusal, "bad_request",
		                          "Invalid value at `.index`: expected 16 hexadecimal digits");
	else if (restore_shards_take(yyjson_obj_get(root, "shards"), &made.shards, &made.shards_len,
	                             &error) != 0)
		result = error_answer_set(refusal, "bad_request", "%s", error.text);
	yyjson_doc_free(doc);
	if (result == 0)
		*request = made;
	return result;
}
