// SPDX-License-Identifier: GPL-2.0-or-later
#include "host-vmm/optset.h"

#include <string.h>

#include "lib/jsonstream.h"

typedef struct Option {
    char *key;
    char *value;
    gboolean asked; /* somebody knows this key */
} Option;

struct OptSet {
    char *what;     /* "-device virtio-rng-pci" */
    GArray *values; /* of Option, in the order given */
};

static void option_clear(gpointer data)
{
    Option *option = data;

    g_free(option->key);
    g_free(option->value);
}

OptSet *optset_new(const char *what)
{
    OptSet *options = g_new0(OptSet, 1);

    options->what = g_strdup(what);
    options->values = g_array_new(FALSE, FALSE, sizeof(Option));
    g_array_set_clear_func(options->values, option_clear);
    return options;
}

void optset_free(OptSet *options)
{
    if (options == NULL) {
        return;
    }
    g_array_unref(options->values);
    g_free(options->what);
    g_free(options);
}

/* The last one: a key given twice keeps its last value, as in QEMU (but for lists). */
static Option *find(const OptSet *options, const char *key)
{
    for (guint i = options->values->len; i > 0; i--) {
        Option *option = &g_array_index(options->values, Option, i - 1);

        if (strcmp(option->key, key) == 0) {
            return option;
        }
    }
    return NULL;
}

/* An id names a thing in paths and messages: a letter, then letters, digits, '-', '.', '_' (QEMU's rule). */
static gboolean is_id(const char *text)
{
    if (!g_ascii_isalpha(*text)) {
        return FALSE;
    }
    for (const char *c = text; *c != '\0'; c++) {
        if (!g_ascii_isalnum(*c) && strchr("-._", *c) == NULL) {
            return FALSE;
        }
    }
    return TRUE;
}

/* Takes the value. */
static gboolean add(OptSet *options, const char *key, char *value, GError **error)
{
    Option fresh = {NULL, value, FALSE};

    if (*key == '\0') {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "%s: a value without a name: '=%s'",
                    options->what, value);
        g_free(value);
        return FALSE;
    }
    if (strcmp(key, "id") == 0 && !is_id(value)) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                    "%s: '%s' cannot be an id: a letter, then letters, digits, '-', '.' and '_'",
                    options->what, value);
        g_free(value);
        return FALSE;
    }
    fresh.key = g_strdup(key);
    g_array_append_val(options->values, fresh);
    return TRUE;
}

/* From here on errors say "-device virtio-rng-pci". */
static void name_after(OptSet *options, const char *key)
{
    Option *option = key != NULL ? find(options, key) : NULL;

    if (option != NULL && *option->value != '\0') {
        char *what = g_strdup_printf("%s %s", options->what, option->value);

        g_free(options->what);
        options->what = what;
    }
}

static gboolean add_json(OptSet *options, const char *key, JsonNode *node, GError **error);

static gboolean add_json_object(OptSet *options, const char *prefix, JsonObject *object, GError **error)
{
    JsonObjectIter iter;
    const char *name;
    JsonNode *node;

    json_object_iter_init_ordered(&iter, object);
    while (json_object_iter_next_ordered(&iter, &name, &node)) {
        g_autofree char *key = g_strconcat(prefix, name, NULL);

        /* "backing": null: there shall be none. */
        if (JSON_NODE_HOLDS_NULL(node) ? !add(options, key, g_strdup(""), error)
                                       : !add_json(options, key, node, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean add_json_array(OptSet *options, const char *name, JsonArray *array, GError **error)
{
    for (guint i = 0; i < json_array_get_length(array); i++) {
        g_autofree char *key = g_strdup_printf("%s.%u", name, i);

        if (!add_json(options, key, json_array_get_element(array, i), error)) {
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean add_json(OptSet *options, const char *key, JsonNode *node, GError **error)
{
    char *value;

    if (JSON_NODE_HOLDS_OBJECT(node)) {
        g_autofree char *inner = g_strconcat(key, ".", NULL);

        return add_json_object(options, inner, json_node_get_object(node), error);
    }
    if (JSON_NODE_HOLDS_ARRAY(node)) {
        return add_json_array(options, key, json_node_get_array(node), error);
    }
    if (!JSON_NODE_HOLDS_VALUE(node)) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                    "%s: '%s' must be a string, a number or a boolean", options->what, key);
        return FALSE;
    }
    switch (json_node_get_value_type(node)) {
    case G_TYPE_BOOLEAN:
        value = g_strdup(json_node_get_boolean(node) ? "on" : "off");
        break;
    case G_TYPE_INT64:
        value = g_strdup_printf("%" G_GINT64_FORMAT, json_node_get_int(node));
        break;
    case G_TYPE_DOUBLE:
        value = g_malloc(G_ASCII_DTOSTR_BUF_SIZE);
        g_ascii_dtostr(value, G_ASCII_DTOSTR_BUF_SIZE, json_node_get_double(node));
        break;
    default:
        value = json_node_dup_string(node);
        break;
    }
    return add(options, key, value, error);
}

OptSet *optset_from_json(const char *what, JsonObject *object, GError **error)
{
    g_autoptr(OptSet) options = optset_new(what);

    if (!add_json_object(options, "", object, error)) {
        return NULL;
    }
    name_after(options, optset_has(options, "driver")     ? "driver"
                        : optset_has(options, "qom-type") ? "qom-type"
                                                          : "type");
    return g_steal_pointer(&options);
}

static OptSet *parse_json(const char *what, const char *text, const char *implied, GError **error)
{
    g_autoptr(OptSet) options = optset_new(what);
    g_autoptr(JsonNode) node = json_parse_text(text, -1, error);

    if (node == NULL) {
        g_prefix_error(error, "%s: ", what);
        return NULL;
    }
    if (!JSON_NODE_HOLDS_OBJECT(node)) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "%s: not a JSON object", what);
        return NULL;
    }
    if (!add_json_object(options, "", json_node_get_object(node), error)) {
        return NULL;
    }
    name_after(options, implied);
    return g_steal_pointer(&options);
}

/* Cuts the next item off *text: up to a single comma, with doubled ones undone. */
static char *next_item(const char **text)
{
    GString *item = g_string_new(NULL);
    const char *c = *text;

    for (; *c != '\0'; c++) {
        if (*c == ',') {
            if (c[1] != ',') {
                c++;
                break;
            }
            c++;
        }
        g_string_append_c(item, *c);
    }
    *text = c;
    return g_string_free(item, FALSE);
}

OptSet *optset_parse(const char *what, const char *text, const char *implied, GError **error)
{
    g_autoptr(OptSet) options = NULL;
    gboolean first = TRUE;

    if (*text == '{') {
        return parse_json(what, text, implied, error);
    }
    options = optset_new(what);
    while (*text != '\0') {
        g_autofree char *item = next_item(&text);
        char *equals = strchr(item, '=');
        const char *key = item;
        char *value;

        if (equals != NULL) {
            *equals = '\0';
            value = g_strdup(equals + 1);
        } else if (first && implied != NULL) {
            key = implied;
            value = g_strdup(item);
        } else if (g_str_has_prefix(item, "no") && item[2] != '\0') {
            key = item + 2;
            value = g_strdup("off");
        } else {
            value = g_strdup("on");
        }
        if (!add(options, key, value, error)) {
            return NULL;
        }
        first = FALSE;
    }
    name_after(options, implied);
    return g_steal_pointer(&options);
}

const char *optset_what(const OptSet *options)
{
    return options->what;
}

gboolean optset_has(OptSet *options, const char *key)
{
    return find(options, key) != NULL;
}

const char *optset_peek(const OptSet *options, const char *key)
{
    const char *value = NULL;

    for (guint i = 0; i < options->values->len; i++) {
        const Option *option = &g_array_index(options->values, Option, i);

        value = strcmp(option->key, key) == 0 ? option->value : value;
    }
    return value;
}

const char *optset_string(OptSet *options, const char *key)
{
    const char *value = NULL;

    for (guint i = 0; i < options->values->len; i++) {
        Option *option = &g_array_index(options->values, Option, i);

        if (strcmp(option->key, key) == 0) {
            option->asked = TRUE;
            value = option->value;
        }
    }
    return value;
}

/* "KEY", "KEY.3" or "KEY.3.str". */
static gboolean is_list_key(const char *text, const char *key)
{
    gsize length = strlen(key);
    const char *c = text + length;

    if (strncmp(text, key, length) != 0) {
        return FALSE;
    }
    if (*c == '\0') {
        return TRUE;
    }
    if (*c++ != '.' || !g_ascii_isdigit(*c)) {
        return FALSE;
    }
    while (g_ascii_isdigit(*c)) {
        c++;
    }
    return *c == '\0' || strcmp(c, ".str") == 0;
}

GStrv optset_list(OptSet *options, const char *key)
{
    GPtrArray *list = g_ptr_array_new();

    for (guint i = 0; i < options->values->len; i++) {
        Option *option = &g_array_index(options->values, Option, i);

        if (is_list_key(option->key, key)) {
            option->asked = TRUE;
            g_ptr_array_add(list, g_strdup(option->value));
        }
    }
    g_ptr_array_add(list, NULL);
    return (GStrv)g_ptr_array_free(list, FALSE);
}

void optset_ignore(OptSet *options, const char *key)
{
    (void)optset_string(options, key);
}

void optset_set_default(OptSet *options, const char *key, const char *value)
{
    Option fresh = {g_strdup(key), g_strdup(value), FALSE};

    if (optset_has(options, key)) {
        option_clear(&fresh);
    } else {
        g_array_append_val(options->values, fresh);
    }
}

OptSet *optset_take(OptSet *options, const char *prefix)
{
    OptSet *taken = NULL;
    gsize length = strlen(prefix);

    for (guint i = 0; i < options->values->len; i++) {
        Option *option = &g_array_index(options->values, Option, i);

        if (strncmp(option->key, prefix, length) != 0 || option->key[length] != '.') {
            continue;
        }
        if (taken == NULL) {
            g_autofree char *what = g_strdup_printf("%s, '%s'", options->what, prefix);

            taken = optset_new(what);
        }
        option->asked = TRUE;
        Option copy = {g_strdup(option->key + length + 1), g_strdup(option->value), FALSE};

        g_array_append_val(taken->values, copy);
    }
    return taken;
}

const char *optset_need_string(OptSet *options, const char *key, GError **error)
{
    const char *value = optset_string(options, key);

    if (value == NULL) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "%s: '%s' is missing", options->what,
                    key);
    }
    return value;
}

gboolean optset_bool(OptSet *options, const char *key, gboolean *value, GError **error)
{
    const char *text = optset_string(options, key);

    if (text == NULL) {
        return TRUE;
    }
    if (strcmp(text, "on") == 0 || strcmp(text, "yes") == 0 || strcmp(text, "true") == 0) {
        *value = TRUE;
    } else if (strcmp(text, "off") == 0 || strcmp(text, "no") == 0 || strcmp(text, "false") == 0) {
        *value = FALSE;
    } else {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "%s: '%s' must be on or off, not '%s'",
                    options->what, key, text);
        return FALSE;
    }
    return TRUE;
}

gboolean optset_uint(OptSet *options, const char *key, guint64 min, guint64 max, guint64 *value,
                     GError **error)
{
    const char *text = optset_string(options, key);
    gboolean is_hex;
    guint64 number;

    if (text == NULL) {
        return TRUE;
    }
    is_hex = g_str_has_prefix(text, "0x") || g_str_has_prefix(text, "0X");
    if (!g_ascii_string_to_unsigned(is_hex ? text + 2 : text, is_hex ? 16 : 10, min, max, &number, NULL)) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                    "%s: '%s' must be a number from %" G_GUINT64_FORMAT " to %" G_GUINT64_FORMAT ", not '%s'",
                    options->what, key, min, max, text);
        return FALSE;
    }
    *value = number;
    return TRUE;
}

/* FALSE if text is no size. A fraction ("1.5G") is cut down to whole bytes. */
static gboolean parse_size(const char *text, guint64 default_unit, guint64 *bytes)
{
    static const char suffixes[] = "BKMGT";
    guint64 unit = default_unit;
    unsigned __int128 number = 0, fraction = 0, scale = 1;
    const char *c = text;

    if (g_str_has_prefix(text, "0x") || g_str_has_prefix(text, "0X")) {
        return g_ascii_string_to_unsigned(text + 2, 16, 0, G_MAXUINT64, bytes, NULL);
    }
    for (; g_ascii_isdigit(*c); c++) {
        number = number * 10 + (guint)(*c - '0');
        if (number > G_MAXUINT64) {
            return FALSE;
        }
    }
    if (c == text) {
        return FALSE;
    }
    if (*c == '.') {
        for (c++; g_ascii_isdigit(*c) && scale < 1000000000; c++) {
            fraction = fraction * 10 + (guint)(*c - '0');
            scale *= 10;
        }
    }
    if (*c != '\0') {
        const char *suffix = strchr(suffixes, g_ascii_toupper(*c));

        if (suffix == NULL || c[1] != '\0') {
            return FALSE;
        }
        unit = 1ull << (10 * (suffix - suffixes));
    }
    number = number * unit + fraction * unit / scale;
    if (number > G_MAXUINT64) {
        return FALSE;
    }
    *bytes = (guint64)number;
    return TRUE;
}

gboolean optset_size(OptSet *options, const char *key, guint64 default_unit, guint64 *value, GError **error)
{
    const char *text = optset_string(options, key);
    guint64 bytes;

    if (text == NULL) {
        return TRUE;
    }
    if (!parse_size(text, default_unit, &bytes)) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                    "%s: '%s' must be a size like 512M or 2G, not '%s'", options->what, key, text);
        return FALSE;
    }
    *value = bytes;
    return TRUE;
}

gboolean optset_finish(OptSet *options, GError **error)
{
    for (guint i = 0; i < options->values->len; i++) {
        Option *option = &g_array_index(options->values, Option, i);

        if (!option->asked) {
            g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "%s: unknown property '%s'",
                        options->what, option->key);
            return FALSE;
        }
    }
    return TRUE;
}
