/*
 * A query of a text: its tokens one by one to the parser.
 */
#include "shard/engine/query_parser.h"

int query_parse(struct text *text, const struct query_request *request, struct query *query,
                struct error *error)
{
	struct query_parser parser;
	struct token token;
	int found = query_parser_begin(&parser, request->arena, request->prefix_search, error);

	if (found < 0)
		return found;
	text_begin(text, request->rules, request->text);
	while ((found = text_next(text, &token, error)) > 0 &&
	       (found = query_parser_add(&parser, &token, error)) > 0)
		;
	return found < 0 ? found : query_parser_end(&parser, query, error);
}
