// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * virt-who-password: encrypts a password for encrypted_password and the like in virt-who's configuration.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "virt-who/conf.h"
#include "virt-who/secret.h"

#define MAX_PASSWORD 1024

/* One line of stdin, without echo where it is a terminal. */
static gboolean ask(char *password)
{
    gboolean terminal = isatty(STDIN_FILENO);
    struct termios before, quiet;
    char *end;

    if (terminal && tcgetattr(STDIN_FILENO, &before) == 0) {
        fputs("Password: ", stderr);
        quiet = before;
        quiet.c_lflag &= (tcflag_t)~ECHO;
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
    }
    end = fgets(password, MAX_PASSWORD, stdin);
    if (terminal) {
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
        fputc('\n', stderr);
    }
    if (end == NULL || (strchr(password, '\n') == NULL && !feof(stdin))) {
        return FALSE;
    }
    password[strcspn(password, "\r\n")] = '\0';
    return password[0] != '\0';
}

static int encrypt(const char *path, const char *password)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *hex = NULL;
    SecretKey key;

    if (!g_utf8_validate(password, -1, NULL)) {
        fprintf(stderr, "virt-who-password: the password is not UTF-8\n");
        return 1;
    }
    if (!(g_file_test(path, G_FILE_TEST_EXISTS) ? secret_key_read(path, &key, &error)
                                                : secret_key_create(path, &key, &error))) {
        fprintf(stderr, "virt-who-password: %s\n", error->message);
        return 1;
    }
    hex = secret_encrypt(&key, password);
    secret_key_clear(&key);
    fprintf(stderr, "Use the following as value for the encrypted_password key in the configuration file:\n");
    puts(hex);
    return fflush(stdout) == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    g_autofree char *given = NULL;
    g_autofree char *root = NULL;
    gboolean version = FALSE;
    const GOptionEntry entries[] = {
        {"password", 'p', 0, G_OPTION_ARG_FILENAME /* its bytes */, &given,
         "The password; other users of this machine can see it while this runs: better is to be asked",
         "PASSWORD"},
        {"root", 0, 0, G_OPTION_ARG_FILENAME, &root, "Find the key below a folder", "DIR"},
        {"version", 0, 0, G_OPTION_ARG_NONE, &version, "Print the version and exit", NULL},
        {NULL},
    };
    g_autoptr(GOptionContext) context = g_option_context_new(NULL);
    g_autoptr(GError) error = NULL;
    char password[MAX_PASSWORD] = "";
    Paths paths;
    int status;

    secret_protect_process();
    g_option_context_set_summary(context,
                                 "Encrypts a password for virt-who's configuration; see virt-who-config(5).");
    g_option_context_add_main_entries(context, entries, NULL);
    if (!g_option_context_parse(context, &argc, &argv, &error) || argc > 1) {
        fprintf(stderr, "virt-who-password: %s\n", error != NULL ? error->message : "unrecognized arguments");
        return 2;
    }
    if (version) {
        puts("virt-who-password " PACKAGE_VERSION);
        return 0;
    }
    if (given == NULL && !ask(password)) {
        fprintf(stderr, "virt-who-password: there is no password\n");
        return 1;
    }
    paths_init(&paths, root != NULL ? root : "");
    status = encrypt(paths.key, given != NULL ? given : password);
    paths_clear(&paths);
    explicit_bzero(password, sizeof password);
    if (given != NULL) {
        explicit_bzero(given, strlen(given));
    }
    return status;
}
