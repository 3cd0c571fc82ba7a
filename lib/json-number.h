// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * json-number: the text of a JSON number as a node.
 */
#pragma once

#include <json-glib/json-glib.h>

/* A G_TYPE_INT64 node if it is an integer that fits, else a G_TYPE_DOUBLE one (infinite where it is too
 * large); NULL if the text is no JSON number. */
JsonNode *json_number_parse(const char *text);
