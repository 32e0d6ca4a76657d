#include "query/core/scatter_private.h"

#include "shared/base/assert.h"

#define DEGRADED_NAMED_MAX 16

/* ---- legs ---- */

struct scatter_leg *scatter_leg_at(const struct scatter *scatter, size_t number)
{
	struct scatter_leg *leg = scatter->legs;

	ASSERT(number < scatter->legs_len);
	for (size_t at = scatter->legs_len - 1; at > number; at--)
		leg = leg->next;
	return leg;
}

static struct scatter_shard *shard_of(const struct scatter *scatter, int32_t partition)
{
	return &scatter->shards[scatter->options.partition >= 0 ? 0 : partition];
}

/* NULL when out of memory. */
static struct scatter_leg *leg_new(struct scatter *scatter, const struct scatter_round *round,
                                   const struct scatter_choice *choice)
{
	size_t size = scatter->options.alone ? 1 : scatter->shards_len;
	struct scatter_leg *leg = arena_alloc(scatter->arena, sizeof *leg);
	struct chooser *chooser = scatter->options.chooser;
	struct scatter_node *node = &scatter->nodes[choice->replica->node];

	if (leg == NULL)
		return NULL;
	*leg = (struct scatter_leg){.next = scatter->legs,
	                            .node = choice->replica->node,
	                            .patient = choice->patient,
	                            .hedge = round->hedge,
	                            .sent_us = round->now_us};
	leg->partitions = arena_alloc(scatter->arena, size * sizeof leg->partitions[0]);
	if (leg->partitions == NULL)
		return NULL;
	if (scatter->options.explain) {
		leg->ends = arena_alloc(scatter->arena, size * sizeof leg->ends[0]);
		if (leg->ends == NULL)
			return NULL;
		memset(leg->ends, 0, size * sizeof leg->ends[0]);
	}
	leg->hedge_after_us = node->hedge_after_us;
	leg->overdue_us = round->now_us + (scatter->options.deadline_us - round->now_us) / 2;
	leg->number = scatter->legs_len++;
	scatter->legs = leg;
	node->taken = true;
	chooser_sent(chooser, node->entry, round->now_us);
	return leg;
}

/* A leg of this round for the choice. A shard with a replica elsewhere must not get a stale answer because its
 * neighbour had to: then legs differ. */
static struct scatter_leg *leg_of_round(const struct scatter *scatter, const struct scatter_round *round,
                                        const struct scatter_choice *choice)
{
	struct scatter_leg *leg = scatter->options.alone ? NULL : scatter->legs;

	while (leg != NULL && leg->number >= round->first) {
		if (leg->node == choice->replica->node && leg->patient == choice->patient &&
		    (leg->accepts_stale == choice->stale || scatter->one_node))
			return leg;
		leg = leg->next;
	}
	return NULL;
}

/* A slow node is not waited for as long as it usually takes, where a fast one could have answered. */
static void hasten_hedge(const struct scatter *scatter, const struct scatter_shard *shard,
                         struct scatter_leg *leg)
{
	for (size_t i = 0; i < shard->replicas_len; i++) {
		const struct scatter_replica *replica = &shard->replicas[i];
		const struct scatter_node *node = &scatter->nodes[replica->node];

		if (replica->rank == REPLICA_RANK_SERVING && replica->view == REPLICA_VIEW_UNTRIED &&
		    !replica->asking && node->cost < CHOOSER_COST_AWAY &&
		    node->hedge_after_us < leg->hedge_after_us)
			leg->hedge_after_us = node->hedge_after_us;
	}
	leg->hedge_us = leg->sent_us + leg->hedge_after_us;
}

static bool ask(struct scatter *scatter, struct scatter_shard *shard, const struct scatter_round *round,
                const struct scatter_choice *choice)
{
	struct scatter_leg *leg = leg_of_round(scatter, round, choice);

	if (leg == NULL)
		leg = leg_new(scatter, round, choice);
	if (leg == NULL)
		return false;
	leg->accepts_stale = leg->accepts_stale || choice->stale;
	leg->partitions[leg->partitions_len++] = shard->partition;
	hasten_hedge(scatter, shard, leg);
	scatter->nodes[leg->node].shards++;
	choice->replica->asking = true;
	choice->replica->asked = true;
	shard->asking++;
	return true;
}

/* ---- rounds ---- */

static struct scatter_round round_begin(struct scatter *scatter, int64_t now_us, bool hedge)
{
	for (size_t i = 0; i < scatter->nodes_len; i++) {
		struct scatter_node *node = &scatter->nodes[i];

		node->cost =
			chooser_cost(scatter->options.chooser, node->entry, scatter->options.kind, now_us);
		node->asked_us = chooser_asked_us(scatter->options.chooser, node->entry);
		node->hedge_after_us =
			chooser_hedge_after_us(scatter->options.chooser, node->entry, scatter->options.kind);
		node->taken = false;
		node->shards = 0;
	}
	return (struct scatter_round){scatter->legs_len, now_us, hedge};
}

/* A choice for every open shard that has one, those with the least freedom first, so that the others can follow them.
 * Without `asks` it is only noted which nodes these are. */
static bool choose_all(struct scatter *scatter, const struct scatter_round *round, bool asks)
{
	for (int freedom = 0; freedom <= 2; freedom++) {
		for (size_t i = 0; i < scatter->shards_len; i++) {
			struct scatter_shard *shard = &scatter->shards[i];
			struct scatter_choice choice;

			if (shard->state != SHARD_STATE_OPEN || shard->asking > 0)
				continue;
			if (!scatter_choose(scatter, shard, &choice))
				shard->state = SHARD_STATE_MISSING;
			else if (choice.freedom > freedom)
				continue;
			else if (!asks)
				scatter->nodes[choice.replica->node].taken = true;
			else if (!ask(scatter, shard, round, &choice))
				return false;
		}
	}
	return true;
}

/* Puts every open shard into a leg or declares it missing; which nodes are asked is known before any of them is, so that
 * shards can be spread over them. */
static int ask_open(struct scatter *scatter, int64_t now_us, struct error *error)
{
	struct scatter_round round = round_begin(scatter, now_us, false);
	bool waiting = false;

	(void)choose_all(scatter, &round, false);
	if (!choose_all(scatter, &round, true))
		return error_memory(error, sizeof(struct scatter_leg));
	for (size_t i = 0; i < scatter->shards_len; i++)
		waiting = waiting || scatter->shards[i].state == SHARD_STATE_OPEN;
	scatter->finished = !waiting;
	if (scatter->first_round_asked)
		scatter->tally.retries += (unsigned)(scatter->legs_len - round.first);
	scatter->first_round_asked = true;
	scatter->explore_us = INT64_MIN;
	return 0;
}

/* Twice as late every time: where all are slow, there is no budget for long, and all are busy. */
static int64_t hedge_again_us(const struct scatter_leg *leg, int64_t now_us)
{
	int64_t out_us = now_us - leg->sent_us;

	return now_us + (out_us > SCATTER_HEDGE_AGAIN_US_MIN ? out_us : SCATTER_HEDGE_AGAIN_US_MIN);
}

/* Where all nodes are busy, asking twice only makes them busier: whoever would be asked should answer in less time than
 * the leg is out by now. */
static bool is_hedged(struct scatter *scatter, const struct scatter_leg *leg,
                      const struct scatter_round *round, const struct scatter_choice *choice)
{
	return scatter->nodes[choice->replica->node].cost <= round->now_us - leg->sent_us &&
	       chooser_take_hedge(scatter->options.chooser);
}

/* Asks for a shard of the leg elsewhere too; false: not now. */
static bool ask_besides(struct scatter *scatter, const struct scatter_leg *leg, struct scatter_shard *shard,
                        const struct scatter_round *round, int *result)
{
	struct scatter_choice choice;
	bool found = leg->accepts_stale ? scatter_choose(scatter, shard, &choice)
	                                : scatter_choose_fresh(scatter, shard, &choice);
	bool new_leg;

	if (!found)
		return true;
	new_leg = leg_of_round(scatter, round, &choice) == NULL;
	if (new_leg && round->hedge && !is_hedged(scatter, leg, round, &choice))
		return false;
	if (!ask(scatter, shard, round, &choice))
		*result = ERROR_MEMORY;
	scatter->tally.hedges += new_leg && round->hedge;
	scatter->tally.retries += new_leg && !round->hedge;
	return true;
}

/* A hedge for the leg, or its retry once it is overdue: its open shards that nobody else is asked for. */
static int hedge_leg(struct scatter *scatter, struct scatter_leg *leg, int64_t now_us, struct error *error)
{
	struct scatter_round round = round_begin(scatter, now_us, !leg->overdue);
	int result = 0;

	leg->hedge_us = INT64_MAX;
	for (size_t i = 0; i < leg->partitions_len && result == 0; i++) {
		struct scatter_shard *shard = shard_of(scatter, leg->partitions[i]);

		if (shard->state != SHARD_STATE_OPEN || shard->asking != 1 ||
		    ask_besides(scatter, leg, shard, &round, &result))
			continue;
		scatter->tally.hedges_denied++;
		leg->hedge_us = hedge_again_us(leg, now_us);
		return 0;
	}
	return result == 0 ? 0 : error_memory(error, sizeof *leg);
}

/* Half of the time is over: whoever is asked counts as one that does not answer. */
static void note_overdue(struct scatter *scatter, struct scatter_leg *leg, int64_t now_us)
{
	leg->overdue = true;
	if (!scatter->options.tokens)
		chooser_overdue(scatter->options.chooser, scatter->nodes[leg->node].entry, now_us);
}

static int hedge_due(struct scatter *scatter, int64_t now_us, struct error *error)
{
	struct scatter_leg *next;

	/* legs made on the way come before the list's present head */
	for (struct scatter_leg *leg = scatter->legs; leg != NULL; leg = next) {
		bool due;

		next = leg->next;
		if (leg->closed)
			continue;
		due = leg->hedge_us <= now_us && !leg->accepts_stale;
		if (!leg->overdue && leg->overdue_us <= now_us) {
			note_overdue(scatter, leg, now_us);
			due = true;
		}
		if (due && hedge_leg(scatter, leg, now_us, error) < 0)
			return error->code;
	}
	return 0;
}

/* ---- events ---- */

static bool is_among(int32_t partition, const int32_t *list, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (list[i] == partition)
			return true;
	return false;
}

static const struct node_refusal *refusal_of(const struct scatter_event *event, int32_t partition)
{
	for (size_t i = 0; i < event->refusals_len; i++)
		if (event->refusals[i].partition == partition)
			return &event->refusals[i];
	return NULL;
}

static bool refuses_some(const struct scatter_leg *leg, const struct scatter_event *event)
{
	for (size_t i = 0; i < event->refusals_len; i++)
		if (is_among(event->refusals[i].partition, leg->partitions, leg->partitions_len))
			return true;
	return false;
}

static enum replica_view view_of(const struct node_refusal *refusal, const struct scatter_leg *leg)
{
	switch (refusal->reason) {
	case NODE_REFUSAL_RECOVERING:
		/* although a stale answer was accepted: a node that does not answer */
		return leg->accepts_stale ? REPLICA_VIEW_FAILED : REPLICA_VIEW_RECOVERING;
	case NODE_REFUSAL_ABSENT:
		return REPLICA_VIEW_ABSENT;
	case NODE_REFUSAL_BEHIND:
		return leg->patient ? REPLICA_VIEW_FAILED : REPLICA_VIEW_BEHIND;
	case NODE_REFUSAL_STOPPED:
		break;
	}
	return REPLICA_VIEW_FAILED;
}

/* What the event says of one partition of its leg: how it ended for that one. */
static enum scatter_event_kind settle(struct scatter *scatter, const struct scatter_leg *leg,
                                      struct scatter_shard *shard, const struct scatter_event *event)
{
	struct scatter_replica *replica = scatter_replica_on(shard, leg->node);
	const struct node_refusal *refusal = refusal_of(event, shard->partition);

	replica->asking = false;
	shard->asking--;
	if (refusal != NULL) {
		replica->view = view_of(refusal, leg);
		return SCATTER_EVENT_REFUSED;
	}
	if (event->kind == SCATTER_EVENT_FAILED || event->kind == SCATTER_EVENT_UNSENT) {
		replica->view = REPLICA_VIEW_FAILED;
		return event->kind;
	}
	if (event->kind != SCATTER_EVENT_ANSWERED || shard->state != SHARD_STATE_OPEN)
		return SCATTER_EVENT_UNUSED;
	shard->state = SHARD_STATE_ANSWERED;
	/* what is recorded out of sync may not know it yet */
	shard->stale = replica->rank != REPLICA_RANK_SERVING ||
	               is_among(shard->partition, event->stale, event->stale_len);
	scatter->won = true;
	return SCATTER_EVENT_ANSWERED;
}

static const char *word_of(const struct node_refusal *refusal)
{
	static const char *const words[] = {
		[NODE_REFUSAL_STOPPED] = "stopped",
		[NODE_REFUSAL_RECOVERING] = "recovering",
		[NODE_REFUSAL_ABSENT] = "absent",
		[NODE_REFUSAL_BEHIND] = "behind",
	};

	return refusal != NULL ? words[refusal->reason] : NULL;
}

static bool refuses_for_good(const struct scatter_event *event)
{
	for (size_t i = 0; i < event->refusals_len; i++)
		if (event->refusals[i].reason != NODE_REFUSAL_BEHIND)
			return true;
	return false;
}

static void tell_chooser(const struct scatter *scatter, const struct scatter_leg *leg,
                         const struct scatter_event *event)
{
	struct chooser *chooser = scatter->options.chooser;
	size_t entry = scatter->nodes[leg->node].entry;

	if (event->kind == SCATTER_EVENT_FAILED)
		chooser_failed(chooser, entry, event->now_us);
	else if (event->kind == SCATTER_EVENT_UNSENT)
		chooser_unsent(chooser, entry);
	else if (event->kind == SCATTER_EVENT_REFUSED && refuses_for_good(event))
		chooser_refused(chooser, entry, event->now_us);
	else
		chooser_answered(chooser, entry, scatter->options.kind,
		                 scatter->options.tokens || event->kind == SCATTER_EVENT_REFUSED
		                         ? -1
		                         : event->now_us - leg->sent_us);
}

static void close_leg(struct scatter *scatter, const struct scatter_event *event)
{
	struct scatter_leg *leg = scatter_leg_at(scatter, event->leg);
	struct scatter_event as = *event;

	ASSERT(!leg->closed && leg->sent);
	leg->closed = true;
	leg->closed_us = event->now_us;
	if (as.kind == SCATTER_EVENT_REFUSED && !refuses_some(leg, event)) {
		as.kind = SCATTER_EVENT_FAILED;
		as.why = "it refuses no shard that it was asked for";
	}
	tell_chooser(scatter, leg, &as);
	if (scatter->finished)
		return;
	scatter->won = false;
	for (size_t i = 0; i < leg->partitions_len; i++) {
		int32_t partition = leg->partitions[i];
		enum scatter_event_kind end = settle(scatter, leg, shard_of(scatter, partition), &as);

		if (leg->ends != NULL)
			leg->ends[i] = (struct scatter_end){
				end, as.why != NULL ? as.why : word_of(refusal_of(&as, partition))};
	}
	scatter->tally.hedges_won += leg->hedge && scatter->won;
}

/* Legs that are out stay open: their events still come. */
static void give_up(struct scatter *scatter)
{
	for (struct scatter_leg *leg = scatter->legs; leg != NULL; leg = leg->next) {
		if (leg->sent)
			continue;
		leg->sent = true;
		leg->closed = true;
		chooser_unsent(scatter->options.chooser, scatter->nodes[leg->node].entry);
	}
	for (size_t i = 0; i < scatter->shards_len; i++)
		if (scatter->shards[i].state != SHARD_STATE_ANSWERED)
			scatter->shards[i].state = SHARD_STATE_MISSING;
	scatter->finished = true;
}

void scatter_abandon(struct scatter *scatter)
{
	give_up(scatter);
	scatter->finish_taken = true;
}

int scatter_step(struct scatter *scatter, const struct scatter_event *event, struct error *error)
{
	ASSERT((event->kind == SCATTER_EVENT_START) == !scatter->started);
	if (event->kind == SCATTER_EVENT_START) {
		scatter->started = true;
		scatter->explore_us = chooser_turn(scatter->options.chooser, event->now_us);
		(void)round_begin(scatter, event->now_us, false);
		for (size_t i = 0; i < scatter->nodes_len; i++)
			scatter->nodes[i].first_cost = scatter->nodes[i].cost;
		scatter_choose_group(scatter);
	} else if (event->kind != SCATTER_EVENT_TICK) {
		close_leg(scatter, event);
	}
	if (scatter->finished)
		return 0;
	if (ask_open(scatter, event->now_us, error) < 0)
		return error->code;
	if (!scatter->finished && event->now_us >= scatter->options.deadline_us)
		give_up(scatter);
	return scatter->finished ? 0 : hedge_due(scatter, event->now_us, error);
}

/* ---- results ---- */

static int64_t patience_us(const struct scatter_leg *leg)
{
	int64_t least_us = SCATTER_PATIENCE_US_MIN;

	if (leg->patient)
		return INT64_MAX;
	/* a search must be able to finish in it */
	return leg->hedge_after_us > least_us ? leg->hedge_after_us : least_us;
}

bool scatter_take(struct scatter *scatter, struct scatter_action *action)
{
	for (struct scatter_leg *leg = scatter->legs; leg != NULL; leg = leg->next) {
		if (leg->sent)
			continue;
		leg->sent = true;
		*action = (struct scatter_action){.kind = SCATTER_ACTION_SEND,
		                                  .leg = leg->number,
		                                  .node = scatter->nodes[leg->node].record,
		                                  .partitions = leg->partitions,
		                                  .partitions_len = leg->partitions_len,
		                                  .stale = leg->accepts_stale,
		                                  .hedge = leg->hedge,
		                                  .patience_us = patience_us(leg)};
		return true;
	}
	if (!scatter->finished || scatter->finish_taken)
		return false;
	scatter->finish_taken = true;
	*action = (struct scatter_action){.kind = SCATTER_ACTION_FINISH};
	return true;
}

int64_t scatter_wake_us(const struct scatter *scatter)
{
	int64_t wake_us = scatter->options.deadline_us;

	if (scatter->finished)
		return INT64_MAX;
	for (const struct scatter_leg *leg = scatter->legs; leg != NULL; leg = leg->next) {
		if (leg->closed)
			continue;
		if (!leg->overdue && leg->overdue_us < wake_us)
			wake_us = leg->overdue_us;
		if (!leg->accepts_stale && leg->hedge_us < wake_us)
			wake_us = leg->hedge_us;
	}
	return wake_us;
}

struct node_question scatter_question(const struct scatter *scatter, size_t number, uint64_t hits_max)
{
	const struct scatter_leg *leg = scatter_leg_at(scatter, number);

	return (struct node_question){
		.partitions = leg->partitions, .partitions_len = leg->partitions_len, .hits_max = hits_max};
}

size_t scatter_wanted(const struct scatter *scatter, size_t number, bool *wanted)
{
	const struct scatter_leg *leg = scatter_leg_at(scatter, number);
	size_t count = 0;

	for (size_t i = 0; i < leg->partitions_len; i++) {
		wanted[i] = shard_of(scatter, leg->partitions[i])->state == SHARD_STATE_OPEN;
		count += wanted[i];
	}
	return count;
}

bool scatter_is_on_one_node(const struct scatter *scatter)
{
	return scatter->one_node;
}

static bool is_missing(const struct scatter_shard *shard)
{
	return shard->state == SHARD_STATE_MISSING;
}

static bool is_stale(const struct scatter_shard *shard)
{
	return shard->stale;
}

static bool is_absent(const struct scatter_shard *shard)
{
	if (shard->state != SHARD_STATE_MISSING)
		return false;
	for (size_t i = 0; i < shard->replicas_len; i++)
		if (shard->replicas[i].view == REPLICA_VIEW_ABSENT)
			return true;
	return false;
}

static size_t count_shards(const struct scatter *scatter, bool (*counts)(const struct scatter_shard *))
{
	size_t count = 0;

	for (size_t i = 0; i < scatter->shards_len; i++)
		count += counts(&scatter->shards[i]);
	return count;
}

size_t scatter_missing(const struct scatter *scatter)
{
	return count_shards(scatter, is_missing);
}

size_t scatter_stale(const struct scatter *scatter)
{
	return count_shards(scatter, is_stale);
}

size_t scatter_absent(const struct scatter *scatter)
{
	return count_shards(scatter, is_absent);
}

static void append_list(const struct scatter *scatter, struct buffer *text, const char *name,
                        bool (*counts)(const struct scatter_shard *))
{
	size_t all = count_shards(scatter, counts);
	size_t named = 0;

	if (all == 0)
		return;
	buffer_printf(text, "%s%s=", text->len > 0 ? "; " : "", name);
	for (size_t i = 0; i < scatter->shards_len && named < DEGRADED_NAMED_MAX; i++)
		if (counts(&scatter->shards[i]))
			buffer_printf(text, "%s%s/%d", named++ > 0 ? "," : "", scatter->index->uid,
			              scatter->shards[i].partition);
	if (all > named)
		buffer_printf(text, ",+%zu", all - named);
}

void scatter_append_missing(const struct scatter *scatter, struct buffer *body)
{
	const char *before = "";

	buffer_put_u8(body, '[');
	for (size_t i = 0; i < scatter->shards_len; i++) {
		if (!is_missing(&scatter->shards[i]))
			continue;
		buffer_printf(body, "%s%d", before, scatter->shards[i].partition);
		before = ",";
	}
	buffer_put_u8(body, ']');
}

void scatter_append_degraded(const struct scatter *scatter, struct buffer *text)
{
	append_list(scatter, text, "shards", is_missing);
	append_list(scatter, text, "stale", is_stale);
}

struct scatter_tally scatter_tally(const struct scatter *scatter)
{
	return scatter->tally;
}
