/* The judgement over what was found, in one sentence. */
#include "shared/cli/cli_where.h"
#include "shared/runtime/clock.h"

#include <inttypes.h>

/* Replicas by what they say of the document. */
struct counts {
	size_t present; /* in whatever form */
	size_t silent;
};

static struct counts count(const struct where *where)
{
	struct counts counts = {0, 0};

	for (size_t i = 0; i < where->replicas.len; i++) {
		enum where_answer answer = where->replicas.list[i].answer;

		counts.present += answer == WHERE_ANSWER_PRESENT || answer == WHERE_ANSWER_DIFFERS;
		counts.silent += answer == WHERE_ANSWER_NONE;
	}
	return counts;
}

static const struct where_record *last_of(const struct where_records *records)
{
	return records->len == 0 ? NULL : &records->list[records->len - 1];
}

/* A replica whose answer says nothing about the record that counts: it has not received that yet, or gives none. */
static bool is_away(const struct where *where, const struct where_replica *replica)
{
	return replica->answer == WHERE_ANSWER_NONE ||
	       (replica->received >= 0 && replica->received <= where->log.effective.offset);
}

static void append_away(struct where *where, const struct where_replica *replica)
{
	int64_t behind = where->log.end - replica->received;

	if (replica->answer == WHERE_ANSWER_NONE)
		buffer_printf(&where->verdict, "; %s %s", replica->node, replica->note);
	else
		buffer_printf(&where->verdict, "; not received yet by %s: %" PRId64 " record%s behind",
		              replica->node, behind, behind == 1 ? "" : "s");
}

/* Where one reads more of a refused record. */
static void append_letter(struct where *where, const struct where_record *record)
{
	for (size_t i = where->letters.len; i > 0; i--) {
		const struct where_letter *letter = &where->letters.list[i - 1];

		if (letter->log_partition != record->partition || letter->log_offset != record->offset)
			continue;
		buffer_printf(&where->verdict, ", see `millrace dlq show %" PRId32 "@%" PRId64 "`",
		              letter->partition, letter->offset);
		return;
	}
	if (where->letters.trouble.text[0] == '\0')
		buffer_append_string(&where->verdict, ", its dead letter is not there yet, or not any more");
}

/* What came after what counts and changed nothing; a filter of which it cannot be said. */
static void append_later(struct where *where)
{
	const struct where_record *last = last_of(&where->log.here);

	if (where->log.uncertain >= 0 && where->log.uncertain >= where->log.effective.offset)
		buffer_printf(&where->verdict,
		              "; whether the delete-by-filter at offset %" PRId64 " meant it is not known "
		              "here",
		              where->log.uncertain);
	if (last->offset > where->log.effective.offset && last->code == NULL && last->reason[0] != '\0')
		buffer_printf(&where->verdict, "; the newest record, a %s at offset %" PRId64 ": %s",
		              last->operation, last->offset, last->reason);
	if (last->code == NULL)
		return;
	buffer_printf(&where->verdict, "; the newest record, at offset %" PRId64 ", was refused: %s",
	              last->offset, last->code);
	append_letter(where, last);
}

static void append_time(struct where *where, int64_t timestamp_ms)
{
	char text[25];

	if (timestamp_ms < 0)
		return;
	clock_print(timestamp_ms, text);
	buffer_printf(&where->verdict, " (%s)", text);
}

/* ---- a put counts ---- */

static bool has_it(const struct where *where, const struct where_replica *replica)
{
	return replica->answer == WHERE_ANSWER_PRESENT && !is_away(where, replica);
}

static void append_lacking(struct where *where, const struct where_replica *replica)
{
	if (has_it(where, replica))
		return;
	if (is_away(where, replica))
		append_away(where, replica);
	else if (replica->answer == WHERE_ANSWER_ABSENT)
		buffer_printf(&where->verdict, "; %s has received the record and lacks the document",
		              replica->node);
	else if (replica->received > where->log.end)
		buffer_printf(&where->verdict,
		              "; %s has another body, but has received newer records: ask "
		              "again",
		              replica->node);
	else
		buffer_printf(&where->verdict, "; %s has another body", replica->node);
}

static void judge_put(struct where *where)
{
	const struct where_record *put = &where->log.effective;
	struct buffer *verdict = &where->verdict;
	size_t replicas = where->replicas.len;
	size_t have = 0;

	for (size_t i = 0; i < replicas; i++)
		have += has_it(where, &where->replicas.list[i]);
	where->outcome = replicas == 0      ? WHERE_OUTCOME_UNKNOWN
	                 : have == replicas ? WHERE_OUTCOME_PRESENT
	                                    : WHERE_OUTCOME_INCOMPLETE;
	if (replicas == 0)
		buffer_printf(verdict,
		              "put by the record at offset %" PRId64 " of partition %" PRId32
		              "; which replicas have it is not known: %s",
		              put->offset, put->partition, where->replicas.trouble.text);
	else if (have == 0)
		buffer_printf(verdict,
		              "put by the record at offset %" PRId64 " of partition %" PRId32
		              ", but on no replica",
		              put->offset, put->partition);
	else
		buffer_printf(verdict, "in the index since offset %" PRId64 " of partition %" PRId32 ", ",
		              put->offset, put->partition);
	if (have > 0 && have == replicas)
		buffer_printf(verdict, "all %zu replica%s", have, have == 1 ? " has it" : "s have it");
	else if (have > 0)
		buffer_printf(verdict, "%zu of %zu replicas %s it", have, replicas,
		              have == 1 ? "has" : "have");
	for (size_t i = 0; i < replicas; i++)
		append_lacking(where, &where->replicas.list[i]);
	append_later(where);
}

/* ---- other ends ---- */

static void judge_delete(struct where *where)
{
	const struct where_record *delete = &where->log.effective;

	where->outcome = WHERE_OUTCOME_DELETED;
	buffer_printf(&where->verdict, "deleted by the %s at offset %" PRId64 " of partition %" PRId32,
	              strcmp(delete->operation, "delete") == 0 ? "record" : delete->operation, delete->offset,
	              delete->partition);
	append_time(where, delete->timestamp_ms);
	for (size_t i = 0; i < where->replicas.len; i++) {
		const struct where_replica *replica = &where->replicas.list[i];

		if (is_away(where, replica))
			append_away(where, replica);
		else if (replica->answer != WHERE_ANSWER_ABSENT && replica->received > where->log.end)
			buffer_printf(&where->verdict,
			              "; %s has the document, but has received newer records: ask again",
			              replica->node);
		else if (replica->answer != WHERE_ANSWER_ABSENT)
			buffer_printf(&where->verdict, "; %s has received it and has the document still",
			              replica->node);
	}
	append_later(where);
}

/* Documents whose record the log no longer has. */
static void append_older(struct where *where)
{
	struct counts counts = count(where);

	if (counts.present > 0)
		buffer_printf(&where->verdict,
		              "; %zu of %zu replicas have a document whose record is no longer in the log",
		              counts.present, where->replicas.len);
}

static void judge_refused(struct where *where)
{
	const struct where_record *last = last_of(&where->log.here);

	where->outcome = WHERE_OUTCOME_REFUSED;
	buffer_printf(&where->verdict, "refused: %s, at offset %" PRId64 " of partition %" PRId32, last->code,
	              last->offset, last->partition);
	append_letter(where, last);
	append_older(where);
}

/* What is told of other partitions by the log itself, or else by a dead letter. */
static bool append_elsewhere(struct where *where)
{
	const struct where_record *last = last_of(&where->log.elsewhere);

	if (last != NULL) {
		buffer_printf(&where->verdict,
		              ", but in other partitions (%" PRIu64 "), the last at offset %" PRId64
		              " of partition %" PRId32 ": published with another partitioner than %s?",
		              where->log.elsewhere.total, last->offset, last->partition,
		              partitioner_name(where->index.partitioner));
		return true;
	}
	for (size_t i = where->letters.len; i > 0; i--) {
		const struct where_letter *letter = &where->letters.list[i - 1];

		if (letter->log_partition < 0 || letter->log_partition == where->partition)
			continue;
		buffer_printf(&where->verdict,
		              ", but one in partition %" PRId64
		              " was refused: %s, see `millrace dlq show %" PRId32 "@%" PRId64 "`",
		              letter->log_partition, letter->code, letter->partition, letter->offset);
		return true;
	}
	return false;
}

static void judge_unrecorded(struct where *where)
{
	bool all = where->all_partitions || where->partition < 0;

	where->outcome = WHERE_OUTCOME_ABSENT;
	if (where->partition >= 0)
		buffer_printf(&where->verdict, "no record with this key in partition %" PRId32,
		              where->partition);
	else
		buffer_printf(&where->verdict, "no record with this key in any partition");
	if (append_elsewhere(where))
		where->outcome = WHERE_OUTCOME_ELSEWHERE;
	else if (all)
		buffer_printf(&where->verdict, "%s of %s: published to another topic?",
		              where->partition >= 0 ? " or any other" : "", where->index.topic);
	else
		buffer_append_string(&where->verdict,
		                     ": published to another topic or partition? try --all-partitions");
	if (where->log.start > where->log.base)
		buffer_printf(&where->verdict,
		              "; the log begins at offset %" PRId64 " now, older records are gone",
		              where->log.start);
}

/* Records that change a document, and none that makes one. */
static void judge_without_effect(struct where *where)
{
	const struct where_record *last = last_of(&where->log.here);

	where->outcome = WHERE_OUTCOME_ABSENT;
	buffer_printf(&where->verdict,
	              "never put; its last record, a %s at offset %" PRId64 " of partition %" PRId32 ": %s",
	              last->operation, last->offset, last->partition, last->reason);
}

/* The log keeps nothing of it, the replicas do. */
static void judge_older(struct where *where)
{
	struct counts counts = count(where);

	where->outcome =
		counts.present == where->replicas.len ? WHERE_OUTCOME_PRESENT : WHERE_OUTCOME_INCOMPLETE;
	buffer_printf(&where->verdict,
	              "in the index on %zu of %zu replicas, but partition %" PRId32
	              ", which begins at offset %" PRId64 " now, has no record of it",
	              counts.present, where->replicas.len, where->partition, where->log.start);
	for (size_t i = 0; i < where->replicas.len; i++) {
		const struct where_replica *replica = &where->replicas.list[i];

		if (replica->answer == WHERE_ANSWER_NONE)
			buffer_printf(&where->verdict, "; %s %s", replica->node, replica->note);
	}
}

static void judge_without_log(struct where *where)
{
	struct counts counts = count(where);

	where->outcome = WHERE_OUTCOME_UNKNOWN;
	buffer_printf(&where->verdict, "the log could not be read: %s", where->log.trouble.text);
	if (where->replicas.trouble.text[0] != '\0')
		buffer_printf(&where->verdict, "; replicas could not be asked: %s",
		              where->replicas.trouble.text);
	else
		buffer_printf(&where->verdict,
		              "; %zu of %zu replicas have a document with this id, %zu did not say",
		              counts.present, where->replicas.len, counts.silent);
}

void where_judge(struct where *where)
{
	if (where->log.trouble.text[0] != '\0')
		judge_without_log(where);
	else if (where->log.settled && !where->log.present)
		judge_delete(where);
	else if (where->log.settled)
		judge_put(where);
	else if (where->log.here.total > 0 && last_of(&where->log.here)->code != NULL)
		judge_refused(where);
	else if (count(where).present > 0)
		judge_older(where);
	else if (where->log.here.total > 0)
		judge_without_effect(where);
	else
		judge_unrecorded(where);
}
