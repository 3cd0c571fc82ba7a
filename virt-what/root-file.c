// SPDX-License-Identifier: GPL-2.0-or-later
#include "virt-what/root-file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

bool root_path(char full[ROOT_PATH_MAX], const char *root, const char *path)
{
    int length = snprintf(full, ROOT_PATH_MAX, "%s%s", root ? root : "", path);
    return length > 0 && length < ROOT_PATH_MAX;
}

static RootFileStatus why_not(void)
{
    return errno == EACCES || errno == EPERM ? ROOT_FILE_DENIED : ROOT_FILE_ABSENT;
}

RootFileStatus root_file_read(const char *root, const char *path, size_t limit, RootText *text)
{
    char full[ROOT_PATH_MAX];
    struct stat status;
    text->bytes = NULL;
    text->length = 0;
    if (!root_path(full, root, path))
        return ROOT_FILE_ABSENT;
    // Looked at before it is opened: opening a device can do something. Looked at again after: it may have
    // been replaced.
    if (stat(full, &status) < 0)
        return why_not();
    if (!S_ISREG(status.st_mode))
        return ROOT_FILE_ABSENT;
    int fd = open(full, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return why_not();
    if (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode)) {
        close(fd);
        return ROOT_FILE_ABSENT;
    }
    // Files of proc and sysfs say that they are empty or a page: only reading tells.
    size_t size = 0;
    char *bytes = NULL;
    RootFileStatus result = ROOT_FILE_READ;
    while (text->length < limit) {
        if (size - text->length < 4096) {
            size = size ? size * 2 : 8192;
            char *larger = realloc(bytes, size + 1);
            if (!larger) {
                result = ROOT_FILE_ABSENT;
                break;
            }
            bytes = larger;
        }
        size_t room = size - text->length;
        ssize_t got =
            read(fd, bytes + text->length, room < limit - text->length ? room : limit - text->length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            result = why_not();
        if (got <= 0)
            break;
        text->length += (size_t)got;
    }
    close(fd);
    if (result != ROOT_FILE_READ || !bytes) {
        free(bytes);
        text->length = 0;
        return result == ROOT_FILE_READ ? ROOT_FILE_ABSENT : result;
    }
    bytes[text->length] = '\0';
    text->bytes = bytes;
    return ROOT_FILE_READ;
}

bool root_file_read_at(const char *root, const char *path, long long offset, void *bytes, size_t size)
{
    char full[ROOT_PATH_MAX];
    if (!root_path(full, root, path))
        return false;
    int fd = open(full, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return false;
    ssize_t got = pread(fd, bytes, size, offset);
    close(fd);
    return got == (ssize_t)size;
}

bool root_file_exists(const char *root, const char *path)
{
    char full[ROOT_PATH_MAX];
    struct stat status;
    return root_path(full, root, path) && stat(full, &status) == 0;
}
