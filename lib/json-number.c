// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/json-number.h"

#include <errno.h>
#include <string.h>

/* RFC 8259, section 6. */
static gboolean is_number(const char *p)
{
    p += *p == '-';
    if (*p == '0') {
        p++;
    } else {
        if (!g_ascii_isdigit(*p)) {
            return FALSE;
        }
        p += strspn(p, "0123456789");
    }
    if (*p == '.') {
        gsize digits = strspn(p + 1, "0123456789");

        if (!digits) {
            return FALSE;
        }
        p += 1 + digits;
    }
    if (*p == 'e' || *p == 'E') {
        p++;
        p += *p == '+' || *p == '-';

        gsize digits = strspn(p, "0123456789");

        if (!digits) {
            return FALSE;
        }
        p += digits;
    }
    return *p == '\0';
}

JsonNode *json_number_parse(const char *text)
{
    if (!is_number(text)) {
        return NULL;
    }

    JsonNode *node = json_node_alloc();

    if (!strpbrk(text, ".eE")) {
        errno = 0;
        gint64 integer = g_ascii_strtoll(text, NULL, 10);

        if (errno == 0) {
            return json_node_init_int(node, integer);
        }
    }
    return json_node_init_double(node, g_ascii_strtod(text, NULL));
}
