/*
 * Simulated store: shard/kv.h over memory, with a disk that survives.
 *
 * A disk is what kill -9 leaves: the last commit. kv handles are opened over
 * it and obey kv.h; a commit replaces whole sorted tables by copy on write,
 * so that a read transaction, or a copy of the disk, is a reference. Values
 * handed out are copies that go when the transaction writes or ends, so a
 * caller that keeps one too long reads freed memory (and ASan says so).
 *
 * Faults are armed on the disk: the n-th call from now fails once, or finds
 * the map full (until kv_grow), or is the last that the process makes, which
 * for a commit may be before or after it reached the disk.
 *
 * Owner: one thread. Entries live in the arena given to sim_disk_init.
 */
#ifndef MILLRACE_TESTS_SIMULATION_SIM_KV_H
#define MILLRACE_TESTS_SIMULATION_SIM_KV_H

#include "shard/kv.h"
#include "shared/base/arena.h"

enum sim_disk_fault {
	SIM_DISK_FAULT_NONE = 0,
	SIM_DISK_FAULT_ERROR,       /* ERROR_STORAGE, once */
	SIM_DISK_FAULT_FULL,        /* ERROR_LIMIT from writes until kv_grow */
	SIM_DISK_FAULT_DIE,         /* nothing works any more; a commit is lost */
	SIM_DISK_FAULT_DIE_DURABLE, /* as before, but a commit at that very call is on disk */
	SIM_DISK_FAULTS
};

struct sim_table;

struct sim_disk {
	struct sim_table *tables[KV_TABLES];
	struct arena *arena;
	uint64_t commits; /* that wrote something */
	uint64_t grown;
	unsigned transactions; /* open */
	enum sim_disk_fault fault;
	uint32_t fault_in; /* calls from now, 0: the next one */
	bool fault_hit;
	bool full;
	bool dead;
};

void sim_disk_init(struct sim_disk *disk, struct arena *arena);
void sim_disk_deinit(struct sim_disk *disk);
/* A second disk with the content of the last commit. */
void sim_disk_copy(struct sim_disk *copy, const struct sim_disk *disk);
/* Everything is gone: a new disk. */
void sim_disk_wipe(struct sim_disk *disk);
bool sim_disk_is_empty(const struct sim_disk *disk);
void sim_disk_arm(struct sim_disk *disk, enum sim_disk_fault fault, uint32_t fault_in);
/* What a restarted process finds: no fault, the last commit. */
void sim_disk_revive(struct sim_disk *disk);
/* A handle; closed by kv_close. Aborts when out of memory, as all of the simulation does. */
struct kv *sim_kv_open(struct sim_disk *disk);

#endif
