#include "tests/simulation/sim_find.h"

#include "tests/unit/replica_asked.h"

int sim_find(struct replica *replica, const char *query, const struct document_request *request,
             struct document_page *page, struct error *error)
{
	struct asked_search asked = {.query = query, .limit = request->limit, .arena = request->arena};
	struct asked_page found;
	struct document *documents;

	if (asked_replica(replica, &asked, &found, error) != 0)
		return error->code;
	documents = arena_alloc(request->arena, (found.len + 1) * sizeof *documents);
	if (documents == NULL)
		return error_memory(error, found.len * sizeof *documents);
	for (size_t i = 0; i < found.len; i++)
		documents[i] = found.hits[i].document;
	*page = (struct document_page){documents, found.len, found.total};
	return 0;
}
