#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Compilers keep products and sums apart, also in the kernels of levels that this machine can't run: the machine code of files
# that name no fma has no fused instruction, and none has one that adds and subtracts by turns, which only a compiler invents.
use strict;
use warnings;
use Cwd qw(abs_path getcwd);
use Test::More;

my $source = abs_path($ENV{ASSAY_SRCDIR} // getcwd());
my $build = abs_path($ENV{ASSAY_BUILDDIR} // getcwd());
my $fused = qr/\bvfn?m(?:add|sub)|\bf(?:mla|mls|n?madd|n?msub)\b/;
my $alternating = qr/\bvfm(?:addsub|subadd)/;

like("vfmadd231ps %ymm1,%ymm2,%ymm3", $fused, 'a fused instruction of x86 is found');
like("vfmaddsub231pd %xmm2,%xmm1,%xmm0", $alternating, 'one that adds and subtracts by turns is found');
like("fmla v0.4s, v1.4s, v2.s[0]", $fused, 'a fused instruction of ARM is found');
unlike("vmulps %ymm1,%ymm2,%ymm3", $fused, 'a product is passed');

# Files of ref/kernels that neither call fma nor evaluate an elementary function.
sub plain {
    my ($name) = @_;
    open my $in, '<', "$source/ref/kernels/$name.c" or die "$name.c: $!";
    my $text = do { local $/; <$in> };
    return $text !~ /\bFMA\(|\bvec_fma\b|tile\.h|attention_tile\.h|\b(?:array|real)_(?:exp|log|erf|tanh|sin|cos)/;
}

my @archives = glob "$build/libkernels_*.a";
ok(scalar @archives, 'there are kernels to look into');
my ($fusing, $looked) = (0, 0);
for my $archive (@archives) {
    my ($name) = $archive =~ m{([^/]+)\.a$};
    my (%wrong, $file, $plain, $instructions);
    if (!open my $code, '-|', 'objdump', '-d', '--no-show-raw-insn', $archive) {
        SKIP: { skip('no objdump', 1) }
        next;
    } else {
        while (<$code>) {
            ($file, $plain) = ($1, plain($1)) if /^lib\w+-(\w+)\.o:/;
            $instructions++ if /^ +[0-9a-f]+:\t/;
            $wrong{"$file: $1"}++ if /($alternating\w*)/ || $plain && /($fused\w*)/;
            $fusing++ if !$plain && /$fused/;
        }
    }
  SKIP: {
        $looked += $instructions // 0;
        skip("$name: no machine code yet, as with -flto", 1) if !$instructions;
        is(join(', ', sort keys %wrong), '', "$name: every fused instruction is one that the source asks for");
    }
}
SKIP: {
    skip('no level with fma', 1) if !grep { /_v3\.a$/ } @archives;
    skip('no machine code yet', 1) if !$looked;
    ok($fusing > 100, 'the matrix product of level v3 has its fused instructions');
}

done_testing();
