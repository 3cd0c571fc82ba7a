// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * secret: passwords: upstream's encryption, files of their own, systemd's credentials.
 *
 * encrypted_password is AES-128-CBC with PKCS#7 padding under a key and an IV that lie in a file: two lines
 * of 32 hexadecimal digits. It hides a password from a look over the shoulder; whoever can read the key can
 * read it.
 */
#pragma once

#include <gio/gio.h>

#define SECRET_ERROR (secret_error_quark())
GQuark secret_error_quark(void);
typedef enum {
    SECRET_ERROR_KEY,       /* "Unable to read key file: …" */
    SECRET_ERROR_CORRUPTED, /* is not what this key has encrypted */
    SECRET_ERROR_FILE,      /* a password's file cannot be read, or others can read it */
} SecretError;

#define SECRET_BLOCK 16

typedef struct SecretKey {
    guint8 key[SECRET_BLOCK], iv[SECRET_BLOCK];
} SecretKey;

/* $CREDENTIALS_DIRECTORY/virt-who-key is taken first, where there is one. */
gboolean secret_key_read(const char *path, SecretKey *key, GError **error);
/* A new one of random bytes, in a file (0600) that is there from now on, its folder (0700) too. */
gboolean secret_key_create(const char *path, SecretKey *key, GError **error);
void secret_key_clear(SecretKey *key);

/* Lower-case hexadecimal. */
char *secret_encrypt(const SecretKey *key, const char *text);
/* Freed with secret_free(). */
char *secret_decrypt(const SecretKey *key, const char *hex, GError **error);

/* The first line of a file that only its owner (us or root), or a group, can read. */
char *secret_from_file(const char *path, GError **error);
/* The same of a systemd credential (systemd.exec(5), LoadCredential=). */
char *secret_from_credential(const char *name, GError **error);

/* Overwrites it first. */
void secret_free(char *text);
/* Keeps this process's memory out of core dumps and away from other processes of this user. */
void secret_protect_process(void);
