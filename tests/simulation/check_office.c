/*
 * The invariants of what controllers write.
 *
 * - Whoever writes has read everything that was written before: no record of a predecessor is unknown to it.
 * - A request is applied once: an index is made by one request, its log's start is read once, it lives and then
 *   is deleted for ever; a task has one final.
 * - A topic is deleted only after that was recorded.
 */
#include "tests/simulation/sim.h"

#include <inttypes.h>

void check_write(struct sim *sim, const size_t known[SIM_TOPICS])
{
	static const enum sim_topic_number own[] = {SIM_TOPIC_META, SIM_TOPIC_TOPOLOGY,
	                                            SIM_TOPIC_TASK_STATES};

	for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
		if (known[own[i]] != sim->topics[own[i]].len)
			sim_violate(sim, "whoever writes has read everything written before",
			            "topic %d: knows %zu records of %zu", (int)own[i], known[own[i]],
			            sim->topics[own[i]].len);
}

void check_index(struct sim *sim, struct slice key, struct slice value)
{
	struct catalog *catalog = catalog_new();
	const struct index_record *before;
	const struct index_record *now;
	struct error error;
	uint64_t id;

	if (key.len != 22 || !index_id_parse(slice_of(key.ptr + 6, 16), &id) || catalog == NULL) {
		catalog_free(catalog);
		return; /* names */
	}
	if (catalog_apply(catalog, CATALOG_TOPIC_META, 0, key, value, &error) != 0)
		sim_violate(sim, "the records of meta can be read", "%s", error.text);
	now = catalog_index(catalog, id);
	before = sim->truth.catalog == NULL ? NULL : catalog_index(sim->truth.catalog, id);
	if (now != NULL && before != NULL &&
	    (now->state < before->state || strcmp(now->topic, before->topic) != 0 ||
	     (now->base != NULL && before->base != NULL &&
	      memcmp(now->base, before->base, (size_t)now->partitions * sizeof *now->base) != 0)))
		sim_violate(sim, "a request is applied once",
		            "index %016" PRIx64 ": state %d after %d, topic %s", id, (int)now->state,
		            (int)before->state, now->topic);
	catalog_free(catalog);
}

void check_final(struct sim *sim, struct slice value)
{
	struct task_final final;
	struct error error;

	if (task_final_parse(value, &final, &error) != 0 || final.task < 0 || final.task >= FINALS_MAX) {
		sim_violate(sim, "a request is applied once", "a final that cannot be read");
		return;
	}
	if (sim->finals[final.task])
		sim_violate(sim, "a request is applied once", "task %" PRId64 " has two finals", final.task);
	sim->finals[final.task] = true;
	tally_add(&sim->tally->finals, 1);
}

void check_deleted(struct sim *sim, const char *topic)
{
	const struct index_record *index;
	size_t at = 0;

	while ((index = catalog_next_index(sim->truth.catalog, &at)) != NULL)
		if (strcmp(index->topic, topic) == 0 && index->state != INDEX_STATE_DELETED)
			sim_violate(sim, "a topic is deleted only after that was recorded", "%s", topic);
}
