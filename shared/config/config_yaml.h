/*
 * Config YAML: what the readers of the YAML file share, and nobody else.
 *
 * config_file.c reads the sections of settings, config_source.c the list of
 * sources. Both include libfyaml.h through this header. A place is the one of
 * a value or, where that has none, of its key.
 */
#ifndef MILLRACE_CONFIG_CONFIG_YAML_H
#define MILLRACE_CONFIG_CONFIG_YAML_H

#include "shared/config/config_private.h"

#include <libfyaml.h>

struct yaml_file {
	struct config *config;
	const char *name; /* as messages show it */
};

/* config_file.c */
const char *yaml_place(const struct yaml_file *file, struct fy_node *node, const char *otherwise);
/* An absent value (`ingest:`), `~` or `null`. */
bool yaml_is_null(struct fy_node *node);
/* A scalar's text with ${NAME} expanded. */
int yaml_read_scalar(const struct yaml_file *file, struct fy_node *node, const char *place, const char **text,
                     struct error *error);
/* The key's text and place; keys are plain words. */
int yaml_read_key(const struct yaml_file *file, struct fy_node_pair *pair, const char **name,
                  const char **place, struct error *error);

/* config_source.c: the list under `sources`. */
int yaml_read_sources(const struct yaml_file *file, struct fy_node *list, const char *place,
                      struct error *error);

#endif
