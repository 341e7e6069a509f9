/* SPDX-License-Identifier: Apache-2.0 */
/* The subcommands. Each gets argv[0] = "assay NAME" and returns the exit status. */
#ifndef ASSAY_COMMAND_H
#define ASSAY_COMMAND_H

#include <stdbool.h>
#include <stdio.h>

enum {
    ASSAY_EXIT_SAME = 0,
    ASSAY_EXIT_DIFFERENT = 1, /* a comparison or a verification failed */
    ASSAY_EXIT_WRONG = 2,     /* bad usage or bad input */
    ASSAY_EXIT_SIGNAL = 128   /* + the signal's number */
};

int assay_command_list(int argc, char **argv);
int assay_command_show(int argc, char **argv);
int assay_command_check(int argc, char **argv);
int assay_command_compare(int argc, char **argv);
int assay_command_export(int argc, char **argv);
int assay_command_golden(int argc, char **argv);
int assay_command_cells(int argc, char **argv);
int assay_command_run(int argc, char **argv);
int assay_command_verify(int argc, char **argv);
int assay_command_table(int argc, char **argv);
int assay_command_measure(int argc, char **argv);
int assay_command_cost(int argc, char **argv);
int assay_command_plot(int argc, char **argv);

/* "assay: MESSAGE" on the standard error; returns ASSAY_EXIT_WRONG. */
__attribute__((format(printf, 1, 2))) int assay_refuse(const char *format, ...);

/* Colours, where the stream is a terminal and NO_COLOR is not set. */
enum assay_colour { ASSAY_PLAIN, ASSAY_BOLD, ASSAY_GREEN, ASSAY_RED };
bool assay_is_terminal(FILE *stream);
void assay_put(FILE *stream, enum assay_colour colour, const char *text);

/* The folder of golden files: `given`, else ./golden where there is one, else the installed one. */
const char *assay_golden_folder(const char *given);

#endif
