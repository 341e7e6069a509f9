/* SPDX-License-Identifier: Apache-2.0 */
/* What the subcommands share: messages, colours, the golden folder. */
#include "harness/command.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int assay_refuse(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fflush(stdout);
    fputs("assay: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    return ASSAY_EXIT_WRONG;
}

bool assay_is_terminal(FILE *stream)
{
    const char *term = getenv("TERM");
    return isatty(fileno(stream)) && !(term && strcmp(term, "dumb") == 0);
}

void assay_put(FILE *stream, enum assay_colour colour, const char *text)
{
    static const char *const codes[] = {"0", "1", "32", "1;31"};
    const char *refused = getenv("NO_COLOR");
    if (colour == ASSAY_PLAIN || !assay_is_terminal(stream) || (refused && *refused))
        fputs(text, stream);
    else
        fprintf(stream, "\033[%sm%s\033[0m", codes[colour], text);
}

const char *assay_golden_folder(const char *given)
{
    struct stat status;
    if (given)
        return given;
    return stat("golden", &status) == 0 && S_ISDIR(status.st_mode) ? "golden"
                                                                   : ASSAY_PKGDATADIR "/golden";
}
