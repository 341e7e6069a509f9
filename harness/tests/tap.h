/* SPDX-License-Identifier: Apache-2.0 */
/* Test Anything Protocol for the tests in C: a statement per line, a plan at the end. */
#ifndef ASSAY_TAP_H
#define ASSAY_TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

static int tap_count, tap_failed;

__attribute__((format(printf, 2, 3), unused)) static bool ok(bool holds, const char *statement, ...)
{
    va_list arguments;
    printf("%sok %d - ", holds ? "" : "not ", ++tap_count);
    va_start(arguments, statement);
    vprintf(statement, arguments);
    va_end(arguments);
    putchar('\n');
    fflush(stdout);
    tap_failed += !holds;
    return holds;
}

__attribute__((format(printf, 1, 2), unused)) static void diag(const char *format, ...)
{
    va_list arguments;
    fputs("# ", stdout);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
}

/* Reports `n` statements that can't be tried here, with the reason. */
__attribute__((unused)) static void skip(int n, const char *reason)
{
    for (int i = 0; i < n; i++)
        printf("ok %d # SKIP %s\n", ++tap_count, reason);
}

/* Prints the plan; the value is main's exit status. */
__attribute__((unused)) static int done_testing(void)
{
    printf("1..%d\n", tap_count);
    return tap_failed != 0;
}

#endif
