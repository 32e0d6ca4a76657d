/*
 * What the files of `millrace doctor` share: its findings, and the rights.
 *
 * cli_doctor.c asks Kafka and the gateway; cli_doctor_rights.c has the one
 * list of what each program may have to do in Kafka: `doctor --rights` prints
 * it as commands, `doctor --user` compares it with the authorizer's rules;
 * cli_doctor_letters.c looks at where dead letters go, and at records before
 * which somebody waits. One thread.
 */
#ifndef MILLRACE_CLI_CLI_DOCTOR_H
#define MILLRACE_CLI_CLI_DOCTOR_H

#include "shared/cli/cli.h"
#include "shared/log/log.h"

#define DOCTOR_KAFKA_MS 5000
#define DOCTOR_TEXT_BYTES_MAX 700
#define DOCTOR_USERS_MAX 64

enum verdict {
	VERDICT_OK,
	VERDICT_WARNING,
	VERDICT_ERROR
};

/* `--user PROGRAM=PRINCIPAL` */
struct doctor_user {
	char program[16];
	const char *principal; /* "User:name" */
};

struct doctor {
	struct cli *cli;
	struct log_connection *connection;
	int32_t brokers;
	yyjson_mut_doc *doc;
	yyjson_mut_val *list;
	bool failed;
	struct doctor_user users[DOCTOR_USERS_MAX];
	size_t users_len;
};

/* One line of the report. */
void doctor_note(struct doctor *doctor, enum verdict verdict, const char *check, const char *remedy,
                 const char *found);

/* ---- cli_doctor_letters.c ---- */

/* Whether letters are kept by the time of their arrival in this topic; one that does not exist is nobody's trouble. */
void doctor_check_letters(struct doctor *doctor, const char *topic);
/* Records of which a program died, by GET /status of the gateway. */
void doctor_check_held(struct doctor *doctor, yyjson_val *status);

/* ---- cli_doctor_rights.c ---- */

/* Takes "PROGRAM=PRINCIPAL"; 0, or 1 after one sentence on stderr. */
int doctor_add_user(struct doctor *doctor, const char *text);
/* The commands that grant everything, on stdout. */
void doctor_print_rights(const struct doctor *doctor);
/* Notes what each of doctor->users lacks; `indexes` is the gateway's list, or NULL. */
void doctor_check_rights(struct doctor *doctor, yyjson_val *indexes);

#endif
