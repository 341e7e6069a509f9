/* SPDX-License-Identifier: Apache-2.0 */
/* Progress of a training run. */
#include "harness/progress.h"

#include <math.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "harness/command.h"

static const double live_interval = 0.1, plain_interval = 5;

double assay_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

void assay_progress_begin(struct assay_progress *p, bool quiet, size_t first, size_t steps)
{
    *p = (struct assay_progress){.quiet = quiet,
                                 .live = assay_is_terminal(stderr),
                                 .first = first,
                                 .steps = steps,
                                 .began = assay_clock()};
    p->shown = p->began;
    p->interval = p->live ? live_interval : plain_interval;
}

/* "42 s", "3 min 20 s", "2 h 5 min" */
static void duration_text(double seconds, char text[32])
{
    unsigned long whole = seconds < 1e8 ? (unsigned long)(seconds + 0.5) : 100000000;
    if (whole < 60)
        snprintf(text, 32, "%lu s", whole);
    else if (whole < 3600)
        snprintf(text, 32, "%lu min %lu s", whole / 60, whole % 60);
    else
        snprintf(text, 32, "%lu h %lu min", whole / 3600, whole / 60 % 60);
}

static int columns(void)
{
    struct winsize size;
    bool known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1;
    return known ? size.ws_col : 80;
}

void assay_progress_step(struct assay_progress *p, const struct assay_progress_step *at)
{
    double now = assay_clock(), spent = now - p->began;
    bool last = at->step == p->steps;
    if (p->quiet || (!last && now - p->shown < p->interval))
        return;
    p->shown = now;
    double per_second = spent > 0 ? (double)(at->step - p->first) / spent : 0;
    char left[32] = "?", accuracy[32] = "", line[160];
    if (per_second > 0)
        duration_text((double)(p->steps - at->step) / per_second, left);
    if (!isnan(at->accuracy))
        snprintf(accuracy, sizeof accuracy, "accuracy %.1f%%  ", 100 * at->accuracy);
    snprintf(line, sizeof line, "%zu/%zu  loss %.4f  %srate %.1e  %.1f/s  %s left", at->step,
             p->steps, at->loss, accuracy, at->rate, per_second, left);
    if (p->live)
        fprintf(stderr, "\r\033[K%.*s", columns() - 1, line);
    else
        fprintf(stderr, "step %s\n", line);
    fflush(stderr);
}

void assay_progress_end(struct assay_progress *p)
{
    if (p->live && !p->quiet)
        fputc('\n', stderr);
}
