#include "shard/core/watch.h"

int watch_look(struct watch *watch, struct error *error)
{
	watch->left = watch->every;
	watch->time = watch->look(watch->context);
	if (watch->time == WATCH_TIME_OVER)
		return error_set(error, ERROR_TIMEOUT, ERROR_ACTION_RETRY, "the deadline has passed");
	if (watch->ranks && watch->time == WATCH_TIME_CUTOFF)
		return error_set(error, ERROR_TIMEOUT, ERROR_ACTION_RETRY, "the cutoff has passed");
	return 0;
}
