/* SPDX-License-Identifier: Apache-2.0 */
/* pcg-cpp's pcg32 behind C functions. */
#include "harness/tests/pcg_witness.h"

#include <pcg_random.hpp>
#include <sstream>

/* The library reads a generator as multiplier, increment and state. */
static pcg32 standing_at(uint64_t state, uint64_t increment)
{
    pcg32 generator;
    uint64_t multiplier;
    std::stringstream ours, theirs;
    theirs << generator;
    theirs >> multiplier;
    ours << multiplier << ' ' << increment << ' ' << state;
    ours >> generator;
    return generator;
}

static void outputs(pcg32 generator, size_t n, uint32_t *y)
{
    for (size_t i = 0; i < n; i++)
        y[i] = generator();
}

void pcg_witness_outputs(uint64_t seed, uint64_t stream, size_t n, uint32_t *y)
{
    outputs(pcg32(seed, stream), n, y);
}

void pcg_witness_outputs_from(uint64_t state, uint64_t increment, size_t n, uint32_t *y)
{
    outputs(standing_at(state, increment), n, y);
}

void pcg_witness_below(uint64_t seed, uint64_t stream, size_t n, const uint32_t *bound, uint32_t *y)
{
    pcg32 generator(seed, stream);
    for (size_t i = 0; i < n; i++)
        y[i] = generator(bound[i]);
}

void pcg_witness_shuffle(uint64_t seed, uint64_t stream, size_t n, int32_t *p)
{
    pcg32 generator(seed, stream);
    pcg_extras::shuffle(p, p + n, generator);
}

uint32_t pcg_witness_after(uint64_t seed, uint64_t stream, uint64_t distance)
{
    pcg32 generator(seed, stream);
    generator.advance(distance);
    return generator();
}
