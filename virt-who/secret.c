// SPDX-License-Identifier: GPL-2.0-or-later
#include "virt-who/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <glib/gstdio.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

#include "virt-who/ini.h"

#define MAX_SECRET 4096 /* bytes of a password, and of the key's file */

G_DEFINE_QUARK(secret - error - quark, secret_error)

void secret_free(char *text)
{
    if (text != NULL) {
        explicit_bzero(text, strlen(text));
        g_free(text);
    }
}

void secret_key_clear(SecretKey *key)
{
    explicit_bzero(key, sizeof *key);
}

void secret_protect_process(void)
{
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    prctl(PR_SET_DUMPABLE, 0);
}

/* ---- hexadecimal ---- */

static gboolean from_hex(const char *text, gsize length, guint8 *bytes)
{
    for (gsize i = 0; i < length; i++) {
        int high = g_ascii_xdigit_value(text[2 * i]);
        int low = high < 0 ? -1 : g_ascii_xdigit_value(text[2 * i + 1]);

        if (low < 0) {
            return FALSE;
        }
        bytes[i] = (guint8)(high << 4 | low);
    }
    return TRUE;
}

static void append_hex(GString *out, const guint8 *bytes, gsize length)
{
    for (gsize i = 0; i < length; i++) {
        g_string_append_printf(out, "%02x", bytes[i]);
    }
}

/* ---- the key ---- */

static char *credential_path(const char *name)
{
    const char *folder = g_getenv("CREDENTIALS_DIRECTORY");

    return folder != NULL && folder[0] == '/' && strchr(name, '/') == NULL && name[0] != '.'
               ? g_build_filename(folder, name, NULL)
               : NULL;
}

gboolean secret_key_read(const char *path, SecretKey *key, GError **error)
{
    g_autofree char *credential = credential_path("virt-who-key");
    g_autoptr(GError) reason = NULL;
    gsize length;
    char *text, *second;
    gboolean good;

    if (credential != NULL && g_file_test(credential, G_FILE_TEST_EXISTS)) {
        path = credential;
    }
    text = ini_read_bytes(path, MAX_SECRET, &length, NULL, &reason);
    if (text == NULL) {
        g_set_error(error, SECRET_ERROR, SECRET_ERROR_KEY, "Unable to read key file: %s: %s", path,
                    reason->message);
        return FALSE;
    }
    g_strchug(text);
    second = text + strcspn(text, "\n");
    second += strspn(second, " \t\r\n");
    g_strchomp(second);
    good = from_hex(text, SECRET_BLOCK, key->key) && g_ascii_isspace(text[2 * SECRET_BLOCK]) &&
           strlen(second) == 2 * SECRET_BLOCK && from_hex(second, SECRET_BLOCK, key->iv);
    explicit_bzero(text, length);
    g_free(text);
    if (!good) {
        secret_key_clear(key);
        g_set_error(error, SECRET_ERROR, SECRET_ERROR_KEY,
                    "Unable to read key file: %s: it should be two lines of 32 hexadecimal digits", path);
    }
    return good;
}

gboolean secret_key_create(const char *path, SecretKey *key, GError **error)
{
    g_autofree char *folder = g_path_get_dirname(path);
    GString *text = g_string_new(NULL);
    gboolean good;

    if (getrandom(key, sizeof *key, 0) != sizeof *key || g_mkdir_with_parents(folder, 0700) != 0) {
        g_set_error(error, SECRET_ERROR, SECRET_ERROR_KEY, "%s: %s", folder, g_strerror(errno));
        g_string_free(text, TRUE);
        return FALSE;
    }
    append_hex(text, key->key, SECRET_BLOCK);
    g_string_append_c(text, '\n');
    append_hex(text, key->iv, SECRET_BLOCK);
    g_string_append_c(text, '\n');
    good =
        g_file_set_contents_full(path, text->str, (gssize)text->len,
                                 G_FILE_SET_CONTENTS_CONSISTENT | G_FILE_SET_CONTENTS_DURABLE, 0600, error);
    explicit_bzero(text->str, text->len);
    g_string_free(text, TRUE);
    return good;
}

/* ---- the cipher ---- */

static void run_cipher(const SecretKey *key, gboolean encrypt, guint8 *bytes, gsize length)
{
    gnutls_datum_t secret = {(unsigned char *)key->key, SECRET_BLOCK};
    gnutls_datum_t iv = {(unsigned char *)key->iv, SECRET_BLOCK};
    gnutls_cipher_hd_t cipher;

    if (gnutls_cipher_init(&cipher, GNUTLS_CIPHER_AES_128_CBC, &secret, &iv) != 0) {
        g_error("GnuTLS has no AES-128-CBC");
    }
    if (encrypt) {
        gnutls_cipher_encrypt(cipher, bytes, length);
    } else {
        gnutls_cipher_decrypt(cipher, bytes, length);
    }
    gnutls_cipher_deinit(cipher);
}

char *secret_encrypt(const SecretKey *key, const char *text)
{
    gsize length = strlen(text), padding = SECRET_BLOCK - length % SECRET_BLOCK;
    g_autofree guint8 *bytes = g_malloc(length + padding);
    GString *hex = g_string_new(NULL);

    memcpy(bytes, text, length);
    memset(bytes + length, (int)padding, padding);
    run_cipher(key, TRUE, bytes, length + padding);
    append_hex(hex, bytes, length + padding);
    return g_string_free(hex, FALSE);
}

char *secret_decrypt(const SecretKey *key, const char *hex, GError **error)
{
    gsize length = strlen(hex) / 2, padding = 0;
    g_autofree guint8 *bytes = g_malloc0(length + 1);
    gboolean good = strlen(hex) % (2 * SECRET_BLOCK) == 0 && length > 0 && length <= MAX_SECRET &&
                    from_hex(hex, length, bytes);

    if (good) {
        run_cipher(key, FALSE, bytes, length);
        padding = bytes[length - 1];
        good = padding >= 1 && padding <= SECRET_BLOCK;
        for (gsize i = 0; good && i < padding; i++) {
            good = bytes[length - 1 - i] == padding;
        }
    }
    if (good) {
        memset(bytes + length - padding, 0, padding);
        good = strlen((char *)bytes) == length - padding && g_utf8_validate((char *)bytes, -1, NULL);
    }
    if (!good) {
        explicit_bzero(bytes, length);
        g_set_error(error, SECRET_ERROR, SECRET_ERROR_CORRUPTED, "it is not what this key encrypts");
        return NULL;
    }
    return (char *)g_steal_pointer(&bytes);
}

/* ---- files ---- */

static char *read_first_line(const char *path, gboolean strict, GError **error)
{
    g_autoptr(GError) reason = NULL;
    struct stat info;
    gsize length;
    char *text;

    if (strict && g_stat(path, &info) == 0 &&
        ((info.st_mode & 0037) != 0 || (info.st_uid != 0 && info.st_uid != geteuid()))) {
        g_set_error(
            error, SECRET_ERROR, SECRET_ERROR_FILE,
            "%s: others can read or change it (mode %04o): it should be root's or ours, with mode 0600", path,
            info.st_mode & 07777);
        return NULL;
    }
    text = ini_read_bytes(path, MAX_SECRET, &length, NULL, &reason);
    if (text == NULL) {
        g_set_error(error, SECRET_ERROR, SECRET_ERROR_FILE, "%s: %s", path, reason->message);
        return NULL;
    }
    memset(text + strcspn(text, "\r\n"), 0, length - strcspn(text, "\r\n"));
    if (text[0] == '\0' || !g_utf8_validate(text, -1, NULL)) {
        g_set_error(error, SECRET_ERROR, SECRET_ERROR_FILE, "%s: its first line is no password", path);
        secret_free(text);
        return NULL;
    }
    return text;
}

char *secret_from_file(const char *path, GError **error)
{
    return read_first_line(path, TRUE, error);
}

char *secret_from_credential(const char *name, GError **error)
{
    g_autofree char *path = credential_path(name);

    if (path == NULL) {
        g_set_error(error, SECRET_ERROR, SECRET_ERROR_FILE,
                    "there is no credential \"%s\": this needs LoadCredential= in the systemd unit", name);
        return NULL;
    }
    return read_first_line(path, FALSE, error);
}
