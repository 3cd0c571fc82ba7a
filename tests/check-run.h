// SPDX-License-Identifier: GPL-2.0-or-later
/* check-run: what main() of a Check test program does. */
#pragma once

#include <check.h>
#include <stdlib.h>

/* Runs the suite (taken) and returns what main() should. CK_TAP_LOG_FILE_NAME, CK_RUN_CASE and the like work as ever. */
static inline int check_run(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
