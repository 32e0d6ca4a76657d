/* Of `millrace doctor`: where dead letters go, and the records before which somebody waits. */
#include "shared/cli/cli_doctor.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *brokers_of(const struct doctor *doctor)
{
	const struct config_property *properties;
	size_t len = config_kafka(doctor->cli->config, &properties);

	for (size_t i = 0; i < len; i++)
		if (strcmp(properties[i].name, "bootstrap.servers") == 0)
			return properties[i].value;
	return "HOST:PORT";
}

void doctor_check_letters(struct doctor *doctor, const char *topic)
{
	char remedy[DOCTOR_TEXT_BYTES_MAX];
	struct error error;
	char value[128];

	/* what is wrong with the topic itself is said elsewhere */
	if (log_topic_setting(doctor->connection, topic, "message.timestamp.type", DOCTOR_KAFKA_MS, value,
	                      &error) != 0 ||
	    strcmp(value, "LogAppendTime") == 0)
		return;
	(void)snprintf(remedy, sizeof remedy,
	               "kafka-configs.sh --bootstrap-server %s --alter --entity-type topics --entity-name %s "
	               "--add-config message.timestamp.type=LogAppendTime",
	               brokers_of(doctor), topic);
	doctor_note(doctor, VERDICT_WARNING, topic, remedy,
	            "message.timestamp.type is CreateTime: the letter of an old record may leave at once, "
	            "because "
	            "its retention counts from the record's own time");
}

static void note_held(struct doctor *doctor, const char *program, yyjson_val *held)
{
	char check[DOCTOR_TEXT_BYTES_MAX];
	char found[DOCTOR_TEXT_BYTES_MAX];
	char remedy[DOCTOR_TEXT_BYTES_MAX];
	int64_t task = cli_number(held, "task", -1);

	(void)snprintf(check, sizeof check, "%s/%" PRId64, cli_text(held, "uid"),
	               cli_number(held, "partition", -1));
	(void)snprintf(found, sizeof found,
	               "%s died %" PRId64 " times of the record at offset %" PRId64
	               " of %s, and waits before it; %s",
	               program, cli_number(held, "deaths", 0), cli_number(held, "offset", -1),
	               cli_text(held, "topic"),
	               strcmp(cli_text(held, "lane"), "live") == 0
	                       ? "nothing behind it is indexed"
	                       : "only replicas that have it still to get are concerned");
	if (task < 0)
		(void)snprintf(remedy, sizeof remedy, "wait: it asks the controller to have it skipped");
	else
		(void)snprintf(
			remedy, sizeof remedy,
			"GET /tasks/%" PRId64 " says whether it is skipped; where a replica has it already "
			"it cannot be: stop %s, delete %s on its machine, and start a version that can "
			"read it",
			task, program, cli_text(held, "file"));
	doctor_note(doctor, VERDICT_ERROR, check, remedy, found);
}

void doctor_check_held(struct doctor *doctor, yyjson_val *status)
{
	static const char *const lists[][2] = {{"controllers", "millrace-rebalance"},
	                                       {"ingest", "millrace-ingest"}};
	yyjson_val *told;
	yyjson_val *held;
	size_t at, len, held_at, held_len;

	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
		yyjson_arr_foreach(yyjson_obj_get(status, lists[i][0]), at, len, told)
		{
			yyjson_arr_foreach(yyjson_obj_get(told, "held"), held_at, held_len, held)
				note_held(doctor, lists[i][1], held);
		}
}
