// SPDX-License-Identifier: GPL-2.0-or-later
#include "virt-who/ini.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_DEPTH    10 /* of %(name)s within values, as Python's */
#define MAX_EXPANDED (64 << 10)
#define MAX_WORK     (16 << 20) /* bytes that expanding a file may take: [DEFAULT] times sections */
#define STEP_WORK    64         /* what a %(name)s costs at least */
#define MAX_WARNINGS 1000
#define MAX_SECTIONS 4096
#define MAX_KEYS     1024 /* of a section */

G_DEFINE_QUARK(ini - error - quark, ini_error)

static void value_free(gpointer data)
{
    IniValue *value = data;

    /* It may have been a password. */
    explicit_bzero(value->text, strlen(value->text));
    g_free(value->key);
    g_free(value->text);
    g_free(value);
}

static void section_free(gpointer data)
{
    IniSection *section = data;

    g_free(section->name);
    g_ptr_array_unref(section->values);
    g_free(section);
}

static IniSection *section_new(const char *name, guint line)
{
    IniSection *section = g_new0(IniSection, 1);

    section->name = g_strdup(name);
    section->line = line;
    section->values = g_ptr_array_new_with_free_func(value_free);
    return section;
}

void ini_free(IniFile *file)
{
    g_free(file->path);
    g_ptr_array_unref(file->sections);
    g_ptr_array_unref(file->warnings);
    g_free(file);
}

const IniSection *ini_section(const IniFile *file, const char *name)
{
    for (guint i = 0; i < file->sections->len; i++) {
        const IniSection *section = file->sections->pdata[i];

        if (strcmp(section->name, name) == 0) {
            return section;
        }
    }
    return NULL;
}

static IniValue *find(const IniSection *section, const char *key, gsize length)
{
    for (guint i = 0; i < section->values->len; i++) {
        IniValue *value = section->values->pdata[i];

        if (strncmp(value->key, key, length) == 0 && value->key[length] == '\0') {
            return value;
        }
    }
    return NULL;
}

const IniValue *ini_value(const IniSection *section, const char *key)
{
    return find(section, key, strlen(key));
}

const char *ini_text(const IniSection *section, const char *key, const char *fallback)
{
    const IniValue *value = section != NULL ? ini_value(section, key) : NULL;

    return value != NULL ? value->text : fallback;
}

/* ---- lines ---- */

typedef struct Parser {
    IniFile *file;
    IniSection *defaults;
    IniSection *section; /* the one that lines belong to */
    IniValue *value;     /* that a deeper line goes on with */
    GString *text;       /* its text so far */
    gsize indent;
    guint line;
} Parser;

static void G_GNUC_PRINTF(3, 4) warn(IniFile *file, guint line, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    if (file->warnings->len >= MAX_WARNINGS) {
        return;
    }
    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    g_ptr_array_add(file->warnings, g_strdup_printf("%s:%u: %s", file->path, line, text));
}

static gboolean refuse(Parser *parser, GError **error, const char *what)
{
    g_set_error(error, INI_ERROR, INI_ERROR_SYNTAX, "%s:%u: %s", parser->file->path, parser->line, what);
    return FALSE;
}

static void end_value(Parser *parser)
{
    if (parser->value != NULL) {
        g_free(parser->value->text);
        parser->value->text = g_strchomp(g_strndup(parser->text->str, parser->text->len));
        explicit_bzero(parser->text->str, parser->text->len);
        parser->value = NULL;
    }
}

static gboolean begin_section(Parser *parser, const char *name, GError **error)
{
    end_value(parser);
    if (strcmp(name, "DEFAULT") == 0) {
        parser->section = parser->defaults;
        return TRUE;
    }
    parser->section = (IniSection *)ini_section(parser->file, name);
    if (parser->section != NULL) {
        warn(parser->file, parser->line, "section [%s] is there twice, see line %u", name,
             parser->section->line);
        return TRUE;
    }
    if (parser->file->sections->len >= MAX_SECTIONS) {
        return refuse(parser, error, "there are more than " G_STRINGIFY(MAX_SECTIONS) " sections");
    }
    parser->section = section_new(name, parser->line);
    g_ptr_array_add(parser->file->sections, parser->section);
    return TRUE;
}

static gboolean take_value(Parser *parser, const char *line, gsize delimiter, GError **error)
{
    g_autofree char *raw = g_strchomp(g_strndup(line, delimiter));
    g_autofree char *key = g_utf8_strdown(raw, -1);
    IniValue *value = find(parser->section, key, strlen(key));

    if (value != NULL) {
        warn(parser->file, parser->line, "key \"%s\" is there twice in [%s], see line %u; this one is taken",
             key, parser->section->name, value->line);
    } else if (parser->section->values->len >= MAX_KEYS) {
        return refuse(parser, error, "the section has more than " G_STRINGIFY(MAX_KEYS) " keys");
    } else {
        value = g_new0(IniValue, 1);
        value->key = g_steal_pointer(&key);
        value->text = g_strdup("");
        g_ptr_array_add(parser->section->values, value);
    }
    value->line = parser->line;
    end_value(parser);
    parser->value = value;
    line += delimiter + 1;
    g_string_assign(parser->text, line + strspn(line, " \t\f\v"));
    return TRUE;
}

static gboolean go_on(Parser *parser, const char *text, GError **error)
{
    if (parser->text->len + strlen(text) > INI_MAX_LINE) {
        return refuse(parser, error, "the value is longer than " G_STRINGIFY(INI_MAX_KIB) " KiB");
    }
    g_string_append_c(parser->text, '\n');
    g_string_append(parser->text, text);
    return TRUE;
}

static gboolean take_line(Parser *parser, char *line, GError **error)
{
    gsize indent = strspn(line, " \t\f\v");
    const char *path = parser->file->path;
    const char *end;
    char *text = g_strstrip(line); /* moves it to the front */

    if (text[0] == '#' || text[0] == ';') {
        return TRUE;
    }
    if (text[0] == '\0') {
        return parser->value == NULL || go_on(parser, "", error);
    }
    if (parser->value != NULL && indent > parser->indent) {
        return go_on(parser, text, error);
    }
    parser->indent = indent;
    if (text[0] == '[' && (end = strrchr(text, ']')) != NULL && end > text + 1) {
        g_autofree char *name = g_strndup(text + 1, (gsize)(end - text - 1));

        return begin_section(parser, name, error);
    }
    if (parser->section == NULL) {
        g_set_error(error, INI_ERROR, INI_ERROR_NO_SECTION,
                    "Configuration file %s contains no section headers (line %u)", path, parser->line);
        return FALSE;
    }
    if (text[strcspn(text, "=:")] == '\0') {
        return refuse(parser, error,
                      "neither a [section] nor \"key=value\"; a longer value goes on indented");
    }
    if (strcspn(text, "=:") == 0) {
        return refuse(parser, error, "there is no key before the delimiter");
    }
    return take_value(parser, text, strcspn(text, "=:"), error);
}

/* ---- expansion ---- */

typedef struct Expansion {
    IniFile *file;
    const IniSection *section, *defaults;
    guint line;
    gsize *work; /* done for this file */
    gboolean too_much;
} Expansion;

static void expand(Expansion *job, const char *text, guint depth, GString *out)
{
    while (*text != '\0' && !job->too_much) {
        const char *percent = strchrnul(text, '%');
        const char *end;
        const IniValue *other = NULL;

        g_string_append_len(out, text, percent - text);
        *job->work += (gsize)(percent - text) + STEP_WORK;
        if (out->len > MAX_EXPANDED || *job->work > MAX_WORK) {
            job->too_much = TRUE;
        }
        if (*percent == '\0') {
            return;
        }
        text = percent + 1;
        if (*text == '%') {
            g_string_append_c(out, '%');
            text++;
            continue;
        }
        if (*text == '(' && (end = strstr(text, ")s")) != NULL) {
            g_autofree char *name = g_strndup(text + 1, (gsize)(end - text - 1));
            g_autofree char *key = g_utf8_strdown(name, -1);

            other = find(job->section, key, strlen(key));
            if (other == NULL) {
                other = find(job->defaults, key, strlen(key));
            }
            if (other == NULL || depth >= MAX_DEPTH) {
                warn(job->file, job->line, "%%(%s)s is %s; it is taken as it stands", name,
                     other == NULL ? "not defined here" : "nested too deeply");
                other = NULL;
            }
        }
        if (other != NULL) {
            expand(job, other->text, depth + 1, out);
            text = end + 2;
        } else {
            g_string_append_c(out, '%');
        }
    }
}

static void unquote(char *text)
{
    gsize length = strlen(text);

    if (length >= 2 && (text[0] == '"' || text[0] == '\'') && text[0] == text[length - 1]) {
        memmove(text, text + 1, length - 2);
        text[length - 2] = '\0';
    }
}

/* All values of a section with what [DEFAULT] adds, as programs want to see them. */
static gboolean finish_section(IniFile *file, IniSection *section, const IniSection *defaults, gsize *work,
                               GError **error)
{
    g_autoptr(GPtrArray) values = g_ptr_array_new_with_free_func(value_free);

    for (guint round = 0; round < 2; round++) {
        const IniSection *from = round == 0 ? section : defaults;

        for (guint i = 0; i < from->values->len; i++) {
            const IniValue *value = from->values->pdata[i];
            Expansion job = {file, section, defaults, value->line, work, FALSE};
            GString *text;
            IniValue *copy;

            if (round == 1 && find(section, value->key, strlen(value->key)) != NULL) {
                continue;
            }
            text = g_string_new(NULL);
            expand(&job, value->text, 0, text);
            if (job.too_much) {
                g_string_free(text, TRUE);
                g_set_error(error, INI_ERROR, INI_ERROR_SYNTAX,
                            "%s:%u: its %%(names)s make the value too long", file->path, value->line);
                return FALSE;
            }
            copy = g_new0(IniValue, 1);
            copy->key = g_strdup(value->key);
            copy->text = g_strchomp(g_string_free(text, FALSE));
            copy->line = value->line;
            unquote(copy->text);
            g_ptr_array_add(values, copy);
        }
    }
    g_ptr_array_unref(section->values);
    section->values = g_steal_pointer(&values);
    return TRUE;
}

/* ---- the whole ---- */

static gboolean parse_lines(Parser *parser, const char *text, gsize length, GError **error)
{
    const char *at = text, *end = text + length;

    if (length >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
        at += 3;
    }
    while (at < end) {
        gsize bytes = 0;
        gboolean good;
        char *line;

        while (at + bytes < end && at[bytes] != '\n' && at[bytes] != '\r') {
            bytes++;
        }
        parser->line++;
        if (bytes > INI_MAX_LINE) {
            return refuse(parser, error, "the line is longer than " G_STRINGIFY(INI_MAX_KIB) " KiB");
        }
        if (memchr(at, '\0', bytes) != NULL || !g_utf8_validate(at, (gssize)bytes, NULL)) {
            return refuse(parser, error, "this is not text in UTF-8");
        }
        line = g_strndup(at, bytes);
        good = take_line(parser, line, error);
        explicit_bzero(line, strlen(line));
        g_free(line);
        if (!good) {
            return FALSE;
        }
        at += bytes;
        at += at + 1 < end && at[0] == '\r' && at[1] == '\n' ? 2 : at < end;
    }
    return TRUE;
}

IniFile *ini_parse(const char *path, const char *text, gsize length, GError **error)
{
    g_autoptr(IniFile) file = g_new0(IniFile, 1);
    Parser parser = {.file = file, .defaults = section_new("DEFAULT", 0), .text = g_string_new(NULL)};
    gsize work = 0;
    gboolean good;

    file->path = g_strdup(path);
    file->sections = g_ptr_array_new_with_free_func(section_free);
    file->warnings = g_ptr_array_new_with_free_func(g_free);
    good = parse_lines(&parser, text, length, error);
    end_value(&parser);
    g_string_free(parser.text, TRUE);
    for (guint i = 0; good && i < file->sections->len; i++) {
        good = finish_section(file, file->sections->pdata[i], parser.defaults, &work, error);
    }
    section_free(parser.defaults);
    return good ? g_steal_pointer(&file) : NULL;
}

char *ini_read_bytes(const char *path, gsize limit, gsize *length, guint *mode, GError **error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    g_autofree char *bytes = NULL;
    struct stat info;
    gsize done = 0;

    if (fd < 0 || fstat(fd, &info) != 0) {
        g_set_error(error, INI_ERROR, INI_ERROR_UNREADABLE, "%s", g_strerror(errno));
    } else if (!S_ISREG(info.st_mode)) {
        g_set_error(error, INI_ERROR, INI_ERROR_UNREADABLE, "not a regular file");
    } else {
        bytes = g_malloc(MIN((gsize)info.st_size, limit) + 2);
    }
    while (bytes != NULL) {
        gsize room = MIN((gsize)info.st_size, limit) + 1 - done;
        gssize got = room > 0 ? read(fd, bytes + done, room) : 0;

        if (got < 0 && errno != EINTR) {
            g_set_error(error, INI_ERROR, INI_ERROR_UNREADABLE, "%s", g_strerror(errno));
            g_clear_pointer(&bytes, g_free);
        } else if (got == 0) {
            break;
        } else if (got > 0) {
            done += (gsize)got;
        }
    }
    if (bytes != NULL && done > limit) {
        g_set_error(error, INI_ERROR, INI_ERROR_UNREADABLE, "larger than %" G_GSIZE_FORMAT " bytes", limit);
        g_clear_pointer(&bytes, g_free);
    }
    if (fd >= 0) {
        close(fd);
    }
    if (bytes != NULL) {
        bytes[done] = '\0';
        *length = done;
        if (mode != NULL) {
            *mode = info.st_mode & 07777;
        }
    }
    return g_steal_pointer(&bytes);
}

IniFile *ini_read(const char *path, GError **error)
{
    g_autoptr(GError) reason = NULL;
    gsize length;
    guint mode = 0;
    char *text = ini_read_bytes(path, INI_MAX_BYTES, &length, &mode, &reason);
    IniFile *file;

    if (text == NULL) {
        g_set_error(error, INI_ERROR, INI_ERROR_UNREADABLE, "Unable to read configuration file %s: %s", path,
                    reason->message);
        return NULL;
    }
    file = ini_parse(path, text, length, error);
    explicit_bzero(text, length);
    g_free(text);
    if (file != NULL) {
        file->world_readable = (mode & 0004) != 0;
    }
    return file;
}
