#include "shard/engine/place.h"

static uint32_t place_key(struct place place)
{
	return (uint32_t)place.field << 16 | place.position;
}

uint32_t places_distance(struct places from, struct places to, uint32_t least)
{
	size_t k = 0;

	/* none is below 1 */
	for (size_t i = 0; i < from.len && least > 1; i++) {
		uint32_t key = place_key(from.ptr[i]);

		while (k < to.len && place_key(to.ptr[k]) <= key)
			k++;
		if (k == to.len)
			break;
		if (place_key(to.ptr[k]) - key < least && to.ptr[k].field == from.ptr[i].field)
			least = place_key(to.ptr[k]) - key;
	}
	return least;
}

bool places_share_field(struct places left, struct places right)
{
	for (size_t i = 0, k = 0; i < left.len && k < right.len;) {
		if (left.ptr[i].field == right.ptr[k].field)
			return true;
		if (left.ptr[i].field < right.ptr[k].field)
			i++;
		else
			k++;
	}
	return false;
}
