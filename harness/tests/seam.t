#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# The seam: tensor elements are seen by kernels alone, and nobody calls libm, whose bits differ between machines.
# Each rule is first tried on lines that it must find and on lines that it must pass.
use strict;
use warnings;
use File::Find;
use FindBin;
use Test::More;

chdir(defined $ENV{srcdir} ? $ENV{srcdir} : "$FindBin::Bin/../..") or die "no source directory: $!\n";

my @above = qw(ref/tape ref/model ref/train variants suites);
my @code = qw(ref variants suites);

my $libm = join '|', qw(exp exp2 exp10 expm1 log log2 log10 log1p pow sqrt cbrt hypot sin cos tan sincos asin acos
    atan atan2 sinh cosh tanh asinh acosh atanh erf erfc tgamma lgamma rint nearbyint round roundeven floor ceil
    trunc lrint llrint lround llround fma fmod remainder modf);

my @rules = (
    {
        says => 'no code above the seam includes what knows an element type, or intrinsics',
        in => \@above,
        keep_strings => 1,
        finds => qr{\#\s*include\s*["<](?:ref/(?:real|elementary_array)\.h|ref/kernels/.*|ref/arithmetic/.*
                    |\w*intrin\.h|arm_\w+\.h|riscv_vector\.h)[">]}x,
        bad => ['#include "ref/real.h"', '#include <immintrin.h>', '# include "ref/kernels/kernel.h"'],
        good => ['#include "ref/kernels.h"', '#include "ref/ops.h"', '/* see "ref/real.h" */'],
    },
    {
        # Inputs arrive from the host in binary32 and are handed to a kernel: a parameter `const float *x` is no element.
        # Draws are binary32 numbers, so that their scalars are, too.
        says => 'no code above the seam holds, casts to, or reads arrays of float',
        in => \@above,
        finds => qr{\bfloat\b\s*(?:const\s*)?\*(?!\s*\w+\s*[,)])|(?<!const\ )\bfloat\s*\*\s*\w+\s*[,)]|\(\s*float\s*\)[\w.>-]+\[
                    |\bfloat\s+\w+\s*\[|\breal\s*\*}x,
        bad => ['const float *x = data;', 'y = (float)x[i];', 'float row[4];', 'f((const float *)p);', 'real *x',
            'void f(float *out)', 'float *p;'],
        good => ['double rate;', 'int32_t *index;', '/* float *x */', '"(float *)"', 'unreal *x', 'g(rng, (float)b)',
            'tensor input(tape *t, const float *data)', 'float keep;'],
    },
    {
        says => 'no code above the seam reads tensor data as double',
        in => \@above,
        finds => qr{\(\s*(?:const\s+)?double\s*\*\s*\)[^;,]*\b(?:data|gradient|grad|tensor\w*|tape_\w+)\b
                    |\bdouble\s*\*\s*(?:const\s+|restrict\s+)?\w+\s*=[^;]*(?:->|\.)\s*(?:data|value|gradient|grad)\b
                    |\bdouble\s*\*\s*(?:const\s+|restrict\s+)?\w+\s*=[^;]*\b(?:tensor|tape|entry)_(?!allocate)\w+\(}x,
        bad => ['sum += ((double *)x.data)[i];', 'const double *x = tensor->data;', q{(const double *)tape_gradient(t, x)}],
        good => ['double *losses = run->losses;', '(double)count', 'void *p = tensor->data;', '*(double *)(void *)at = v;'],
    },
    {
        says => 'no code above the seam uses intrinsics or vector types',
        in => \@above,
        finds => qr{\b_mm\d*_\w+\s*\(|\b__m(?:128|256|512)[di]?\b|\bvector_size\b|\bv(?:ld|st)1q?_\w+\s*\(
                    |\b__builtin_(?:ia32|neon)_\w+}x,
        bad => ['__m256 a;', 'a = _mm256_add_ps(a, b);', '__attribute__((vector_size(32)))', 'vld1q_f32(x)'],
        good => ['a = add(b, c);', 'size_t vector_length;'],
    },
    {
        says => 'nobody calls libm',
        in => \@code,
        finds => qr{(?<![\w.>])(?:$libm)[fl]?\s*\((?!\s*void\s*\))|\b__builtin_(?!sqrtf?\b|fmaf?\b)(?:$libm)[fl]?\b
                    |\#\s*include\s*<tgmath\.h>}x,
        bad => ['y = expf(x);', 'return 2 * sqrt (x);', '__builtin_rintf(x)', '#include <tgmath.h>', 'z = -round(x);'],
        good => ['mpfr_exp(y, x, MPFR_RNDN);', 'k->exp(x);', 'ops.log(x)', 'real_exp(x)', 'SQRT(x)',
            '__builtin_sqrtf(x)', '/* exp(x) */', 'array_log1p(n, x, y)', '"exp(%g)"'],
    },
    {
        says => 'fma stands in kernels and in the arithmetic alone',
        in => \@code,
        except => qr{^ref/(?:kernels/|arithmetic/|real\.h$)},
        finds => qr{\b(?:FMA|assay_(?:soft_)?fma_f(?:32|64)|__builtin_fmaf?)\s*\(}x,
        bad => ['y = FMA(a, b, c);', 'assay_fma_f32(a, b, c)'],
        good => ['/* FMA(a, b, c) */', 'assay_scalar_mul(p, a, b)'],
    },
);

# The text without comments, and without what stands in strings and characters unless they are kept; lines stay.
sub stripped {
    my ($text, $keep_strings) = @_;
    $text =~ s{(/\*.*?\*/|//[^\n]*)|("(?:[^"\\\n]|\\.)*")|('(?:[^'\\\n]|\\.)*')}{
        my ($comment, $string, $character) = ($1, $2, $3);
        if (defined $comment) { (my $lines = $comment) =~ s/[^\n]//g; length $lines ? $lines : ' ' }
        elsif (defined $string) { $keep_strings ? $string : '""' }
        else { "' '" }
    }gsex;
    return $text;
}

sub found {
    my ($rule, $text) = @_;
    my $number = 0;
    my @hits;
    for my $line (split /\n/, stripped($text, $rule->{keep_strings})) {
        $number++;
        push @hits, [$number, $line] if $line =~ $rule->{finds};
    }
    return @hits;
}

my %sources;
find({ no_chdir => 1, wanted => sub { $sources{$File::Find::name} = 1 if -f && /\.[ch]$/ } }, grep { -d } @code);

sub content {
    my ($name) = @_;
    open my $file, '<', $name or die "$name: $!\n";
    local $/;
    return <$file>;
}

cmp_ok(scalar(keys %sources), '>', 10, 'there are sources to read');
for my $rule (@rules) {
    my @missed = grep { !found($rule, $_) } @{ $rule->{bad} };
    my @wrong = grep { found($rule, $_) } @{ $rule->{good} };
    ok(!@missed && !@wrong, "the rule finds what it should: $rule->{says}")
        or diag(map { "$_\n" } (map { "missed: $_" } @missed), (map { "wrongly found: $_" } @wrong));
    my @lines;
    for my $name (sort keys %sources) {
        next unless grep { index($name, "$_/") == 0 } @{ $rule->{in} };
        next if $rule->{except} && $name =~ $rule->{except};
        push @lines, map { "$name:$_->[0]:$_->[1]\n" } found($rule, content($name));
    }
    ok(!@lines, $rule->{says}) or diag(@lines);
}
done_testing();
