// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * conf-section: the keys of one section: which there are, what they may be.
 */
#include <string.h>

#include "virt-who/conf.h"
#include "virt-who/secret.h"

#define MAX_NEAR 24 /* length of keys that are compared with the known ones */

typedef enum {
    FOR_LIBVIRT = 1 << CONF_LIBVIRT,
    FOR_FAKE = 1 << CONF_FAKE,
    FOR_MONITOR = 1 << CONF_MONITOR,
    FOR_ALL = FOR_LIBVIRT | FOR_FAKE | FOR_MONITOR,
} KeyUsers;

static const struct {
    const char *key;
    KeyUsers users;
} known_keys[] = {
    {"type", FOR_ALL},
    {"server", FOR_ALL},
    {"username", FOR_ALL},
    {"password", FOR_ALL},
    {"encrypted_password", FOR_ALL},
    {"password_file", FOR_ALL},
    {"password_credential", FOR_ALL},
    {"owner", FOR_ALL},
    {"hypervisor_id", FOR_ALL},
    {"rhsm_hostname", FOR_ALL},
    {"rhsm_port", FOR_ALL},
    {"rhsm_prefix", FOR_ALL},
    {"rhsm_username", FOR_ALL},
    {"rhsm_password", FOR_ALL},
    {"rhsm_encrypted_password", FOR_ALL},
    {"rhsm_password_file", FOR_ALL},
    {"rhsm_password_credential", FOR_ALL},
    {"rhsm_proxy_hostname", FOR_ALL},
    {"rhsm_proxy_port", FOR_ALL},
    {"rhsm_proxy_user", FOR_ALL},
    {"rhsm_proxy_password", FOR_ALL},
    {"rhsm_encrypted_proxy_password", FOR_ALL},
    {"rhsm_proxy_password_file", FOR_ALL},
    {"rhsm_proxy_password_credential", FOR_ALL},
    {"rhsm_no_proxy", FOR_ALL},
    {"rhsm_insecure", FOR_ALL},
    {"filter_hosts", FOR_ALL},
    {"exclude_hosts", FOR_ALL},
    {"filter_host_uuids", FOR_ALL},
    {"exclude_host_uuids", FOR_ALL},
    {"filter_type", FOR_ALL},
    {"sm_type", FOR_ALL},
    {"is_hypervisor", FOR_FAKE},
    {"file", FOR_FAKE},
};

static const char *const rhsm_keys[RHSM_COUNT] = {
    [RHSM_HOSTNAME] = "rhsm_hostname",     [RHSM_PORT] = "rhsm_port",
    [RHSM_PREFIX] = "rhsm_prefix",         [RHSM_USERNAME] = "rhsm_username",
    [RHSM_PROXY_USER] = "rhsm_proxy_user", [RHSM_PROXY_HOSTNAME] = "rhsm_proxy_hostname",
    [RHSM_NO_PROXY] = "rhsm_no_proxy",     [RHSM_PROXY_PORT] = "rhsm_proxy_port",
    [RHSM_INSECURE] = "rhsm_insecure",
};

/* The section that is being read, over [defaults]. */
typedef struct Reader {
    const IniFile *file, *defaults_file;
    const IniSection *section, *defaults;
    const Paths *paths;
    ConfSet *set;
    Conf *config;
    gboolean failed;
} Reader;

static const IniValue *get(const Reader *reader, const char *key, const char **file)
{
    const IniValue *value = ini_value(reader->section, key);

    *file = reader->file->path;
    if (value == NULL && reader->defaults != NULL) {
        value = ini_value(reader->defaults, key);
        *file = reader->defaults_file->path;
    }
    return value != NULL && value->text[0] != '\0' ? value : NULL;
}

static const char *get_text(const Reader *reader, const char *key)
{
    const char *file;
    const IniValue *value = get(reader, key, &file);

    return value != NULL ? value->text : NULL;
}

/* about: the key it is about, NULL: the section. */
static void G_GNUC_PRINTF(4, 5)
    tell(Reader *reader, gboolean is_error, const char *about, const char *format, ...)
{
    const char *file = reader->file->path;
    const IniValue *value = about != NULL ? get(reader, about, &file) : NULL;
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    problem_add(reader->set->problems, is_error, value != NULL ? file : reader->file->path,
                value != NULL ? value->line : reader->section->line, "[%s]: %s", reader->section->name, text);
    reader->failed |= is_error;
}

/* ---- keys that are not known ---- */

/* Edit distance; both are short. */
static guint distance(const char *a, const char *b)
{
    guint previous[MAX_NEAR * 2], current[MAX_NEAR * 2];
    gsize length = strlen(b);

    for (guint j = 0; j <= length; j++) {
        previous[j] = j;
    }
    for (guint i = 0; a[i] != '\0'; i++) {
        current[0] = i + 1;
        for (guint j = 0; j < length; j++) {
            current[j + 1] = MIN(MIN(previous[j + 1], current[j]) + 1, previous[j] + (a[i] != b[j]));
        }
        memcpy(previous, current, (length + 1) * sizeof previous[0]);
    }
    return previous[length];
}

static const char *nearest(const char *key, ConfType type)
{
    const char *best = NULL;
    guint least = 4;

    if (strlen(key) > MAX_NEAR) {
        return NULL;
    }
    for (guint i = 0; i < G_N_ELEMENTS(known_keys); i++) {
        guint steps = distance(key, known_keys[i].key);

        if ((known_keys[i].users & (1u << type)) && steps < least && steps < strlen(key)) {
            best = known_keys[i].key;
            least = steps;
        }
    }
    return best;
}

static gboolean is_known(const char *key, ConfType type)
{
    for (guint i = 0; i < G_N_ELEMENTS(known_keys); i++) {
        if (strcmp(known_keys[i].key, key) == 0) {
            return (known_keys[i].users & (1u << type)) != 0;
        }
    }
    return FALSE;
}

static void check_keys(Reader *reader)
{
    for (guint i = 0; i < reader->section->values->len; i++) {
        const IniValue *value = reader->section->values->pdata[i];
        const char *near;

        if (is_known(value->key, reader->config->type)) {
            continue;
        }
        near = nearest(value->key, reader->config->type);
        problem_add(reader->set->problems, FALSE, reader->file->path, value->line,
                    "[%s]: Ignoring unknown configuration option \"%s\"%s%s%s", reader->section->name,
                    value->key, near != NULL ? " (did you mean \"" : "", near != NULL ? near : "",
                    near != NULL ? "\"?)" : "");
    }
}

/* ---- passwords ---- */

static char *decrypt(Reader *reader, const char *key, const char *hex)
{
    SecretKey secret;
    g_autoptr(GError) error = NULL;
    char *text;

    if (!secret_key_read(reader->paths->key, &secret, &error)) {
        tell(reader, TRUE, key, "%s", error->message);
        reader->set->key_failed = TRUE;
        return NULL;
    }
    text = secret_decrypt(&secret, hex, &error);
    secret_key_clear(&secret);
    if (text == NULL) {
        tell(reader, TRUE, key, "Option \"%s\" cannot be decrypted, possibly corrupted", key);
    }
    return text;
}

/* A password is given in one of four ways; the encrypted one wins over the plain one, as ever. */
static char *read_password(Reader *reader, const char *plain, const char *encrypted)
{
    g_autofree char *file_key = g_strconcat(plain, "_file", NULL);
    g_autofree char *credential_key = g_strconcat(plain, "_credential", NULL);
    const char *path = get_text(reader, file_key), *name = get_text(reader, credential_key);
    const char *hex = get_text(reader, encrypted), *where;
    const IniValue *value = get(reader, plain, &where);
    g_autoptr(GError) error = NULL;
    char *text = NULL;

    if ((path != NULL) + (name != NULL) + (hex != NULL) + (value != NULL) > 1) {
        tell(reader, FALSE, plain, "the password is given more than once: %s is taken",
             name != NULL   ? credential_key
             : path != NULL ? file_key
                            : encrypted);
    }
    if (name != NULL || path != NULL) {
        text = name != NULL ? secret_from_credential(name, &error) : secret_from_file(path, &error);
        if (text == NULL) {
            tell(reader, TRUE, name != NULL ? credential_key : file_key, "%s", error->message);
        }
        return text;
    }
    if (hex != NULL) {
        return decrypt(reader, encrypted, hex);
    }
    if (value != NULL &&
        (where == reader->file->path ? reader->file : reader->defaults_file)->world_readable) {
        tell(reader, FALSE, plain,
             "all users of this machine can read this password: chmod 600 the file, or use %s", file_key);
    }
    return value != NULL ? g_strdup(value->text) : NULL;
}

/* ---- the rest ---- */

/* FALSE: this section is not for us. */
static gboolean read_type(Reader *reader)
{
    static const char *const elsewhere[] = {"esx", "hyperv", "kubevirt", "ahv", "xen", "rhevm", "vdsm", NULL};
    const char *type = get_text(reader, "type");
    const char *sm_type = get_text(reader, "sm_type");

    for (guint i = 0; i < reader->section->values->len; i++) {
        const IniValue *value = reader->section->values->pdata[i];

        if (g_str_has_prefix(value->key, "sat_")) {
            sm_type = "satellite";
        }
    }
    if (sm_type != NULL && g_ascii_strcasecmp(sm_type, "satellite") == 0) {
        tell(reader, TRUE, "sm_type", "Satellite 5 is not supported here, only servers with a Candlepin API");
        return FALSE;
    }
    if (type == NULL) {
        tell(reader, FALSE, NULL, "Option \"type\" is not set: libvirt is taken");
        return TRUE;
    }
    for (ConfType i = CONF_LIBVIRT; i <= CONF_MONITOR; i++) {
        if (g_ascii_strcasecmp(type, conf_type_name(i)) == 0) {
            reader->config->type = i;
            return TRUE;
        }
    }
    if (g_strv_contains(elsewhere, type)) {
        tell(reader, TRUE, "type",
             "Unsupported virtual type '%s' is set: this virt-who reports libvirt, monitor and fake", type);
    } else {
        tell(reader, TRUE, "type", "Unsupported virtual type '%s' is set", type);
    }
    return FALSE;
}

static void read_filters(Reader *reader)
{
    const char *names[2][2] = {{"filter_hosts", "filter_host_uuids"},
                               {"exclude_hosts", "exclude_host_uuids"}};
    const char *type = get_text(reader, "filter_type");
    FilterType how = FILTER_BOTH;
    char **lists[2] = {NULL, NULL};
    g_autoptr(GPtrArray) warnings = g_ptr_array_new_with_free_func(g_free);

    if (type != NULL) {
        if (g_ascii_strcasecmp(type, "regex") == 0) {
            how = FILTER_REGEX;
        } else if (g_ascii_strcasecmp(type, "wildcards") == 0) {
            how = FILTER_WILDCARDS;
        } else {
            tell(reader, TRUE, "filter_type", "'filter_type' must be one of: 'regex, wildcards'");
        }
    }
    for (guint i = 0; i < 2; i++) {
        for (guint j = 0; j < 2 && lists[i] == NULL; j++) {
            const char *text = get_text(reader, names[i][j]);

            if (text != NULL) {
                lists[i] = filter_split(text);
                if (lists[i] == NULL) {
                    tell(reader, TRUE, names[i][j], "a quote of \"%s\" is not closed", names[i][j]);
                }
            }
        }
    }
    if (lists[0] != NULL || lists[1] != NULL) {
        reader->config->filter = filter_new(lists[0], lists[1], how, warnings);
    }
    for (guint i = 0; i < warnings->len; i++) {
        tell(reader, FALSE, NULL, "%s", (char *)warnings->pdata[i]);
    }
    g_strfreev(lists[0]);
    g_strfreev(lists[1]);
}

static void read_hypervisor_id(Reader *reader)
{
    const char *id = get_text(reader, "hypervisor_id");

    if (id == NULL || reader->config->type == CONF_FAKE || strcmp(id, "uuid") == 0) {
        return;
    }
    if (strcmp(id, "hostname") == 0) {
        reader->config->by_hostname = TRUE;
        return;
    }
    tell(reader, TRUE, "hypervisor_id",
         "Invalid option: \"%s\" for hypervisor_id, use one of: (uuid, hostname)", id);
}

static void read_rhsm(Reader *reader)
{
    Conf *config = reader->config;
    gboolean insecure;

    for (guint i = 0; i < RHSM_COUNT; i++) {
        if (rhsm_keys[i] != NULL) {
            config->rhsm[i] = g_strdup(get_text(reader, rhsm_keys[i]));
        }
    }
    config->rhsm[RHSM_PASSWORD] = read_password(reader, "rhsm_password", "rhsm_encrypted_password");
    config->rhsm[RHSM_PROXY_PASSWORD] =
        read_password(reader, "rhsm_proxy_password", "rhsm_encrypted_proxy_password");
    for (guint i = RHSM_PORT; i <= RHSM_PROXY_PORT; i += RHSM_PROXY_PORT - RHSM_PORT) {
        guint64 port;

        if (config->rhsm[i] != NULL &&
            !g_ascii_string_to_unsigned(config->rhsm[i], 10, 1, 65535, &port, NULL)) {
            tell(reader, TRUE, rhsm_keys[i], "Option \"%s\" is no port: \"%s\"", rhsm_keys[i],
                 config->rhsm[i]);
        }
    }
    if (config->rhsm[RHSM_INSECURE] != NULL && !conf_parse_bool(config->rhsm[RHSM_INSECURE], &insecure)) {
        tell(reader, TRUE, "rhsm_insecure", "Option \"rhsm_insecure\" is neither 0 nor 1: \"%s\"",
             config->rhsm[RHSM_INSECURE]);
    }
    if ((config->rhsm[RHSM_USERNAME] != NULL) != (config->rhsm[RHSM_PASSWORD] != NULL) && !reader->failed) {
        tell(reader, FALSE, "rhsm_username",
             "rhsm_username and rhsm_password are only used together: the consumer's certificate is taken");
    }
}

static void read_fake(Reader *reader)
{
    Conf *config = reader->config;
    const char *text = get_text(reader, "is_hypervisor");

    config->is_hypervisor = TRUE;
    if (text != NULL && !conf_parse_bool(text, &config->is_hypervisor)) {
        tell(reader, FALSE, "is_hypervisor", "is_hypervisor must be a valid boolean, using default.");
    }
    config->fake_file = g_strdup(get_text(reader, "file"));
    if (config->fake_file == NULL) {
        tell(reader, TRUE, "file", "Required option: \"file\" not set.");
    }
}

Conf *conf_section_read(const IniFile *file, const IniSection *section, const IniFile *defaults_file,
                        const IniSection *defaults, const Paths *paths, ConfSet *set)
{
    Conf *config = g_new0(Conf, 1);
    Reader reader = {file, defaults_file, section, defaults, paths, set, config, FALSE};

    config->name = g_strdup(section->name);
    config->file = g_strdup(file->path);
    config->line = section->line;
    if (read_type(&reader)) {
        check_keys(&reader);
        config->server = g_strdup(get_text(&reader, "server"));
        config->username = g_strdup(get_text(&reader, "username"));
        config->owner = g_strdup(get_text(&reader, "owner"));
        config->password = read_password(&reader, "password", "encrypted_password");
        switch (config->type) {
        case CONF_LIBVIRT:
            config->is_hypervisor = config->server != NULL;
            if (config->is_hypervisor && config->owner == NULL) {
                tell(&reader, TRUE, "owner", "Required option: \"owner\" not set.");
            }
            break;
        case CONF_FAKE:
            read_fake(&reader);
            break;
        case CONF_MONITOR:
            config->is_hypervisor = config->owner != NULL;
            break;
        }
        read_hypervisor_id(&reader);
        read_filters(&reader);
        read_rhsm(&reader);
    }
    if (reader.failed) {
        problem_add(set->problems, TRUE, file->path, section->line, "Dropping invalid configuration \"%s\"",
                    section->name);
        conf_free(config);
        return NULL;
    }
    return config;
}

void conf_free(gpointer data)
{
    Conf *config = data;

    g_free(config->name);
    g_free(config->file);
    g_free(config->server);
    g_free(config->username);
    secret_free(config->password);
    g_free(config->owner);
    g_free(config->fake_file);
    g_clear_pointer(&config->filter, filter_free);
    for (guint i = 0; i < RHSM_COUNT; i++) {
        secret_free(config->rhsm[i]);
    }
    g_free(config);
}
