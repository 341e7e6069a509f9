#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# The environment can't reach the bits: in each a short training ends in the same state, and a golden file is computed as it
# is, or the program refuses to start and says why.
use strict;
use warnings;
use Cwd qw(abs_path getcwd);
use File::Temp qw(tempdir);
use Test::More;

my $assay = abs_path($ENV{ASSAY} // './assay');
my $source = abs_path($ENV{ASSAY_SRCDIR} // getcwd());
my $scratch = tempdir('hostile-t-XXXXXX', TMPDIR => 1, CLEANUP => 1);
-x $assay or die "$assay: not there; set ASSAY\n";
chdir $scratch or die "$scratch: $!";
delete @ENV{qw(LC_ALL LC_NUMERIC LANG LOCPATH LD_PRELOAD MALLOC_PERTURB_ GLIBC_TUNABLES TZ HOSTILE)};

# A sanitizer's runtime must not insist on coming before a preloaded library, nor count what the linker leaves behind.
$ENV{ASAN_OPTIONS} = 'verify_asan_link_order=0:detect_leaks=0';

my $train = 'run -q --task listops --variant denseformer --threads 2 --steps 5'
    . ' --set "width=8 heads=2 hidden=8 layers=1 head_hidden=8 train.batch=4 train.rate=0.0025 dropout=0.125"';
my $golden = "golden verify --quiet --kernels cpu --dir '$source/golden' '$source/golden/linear_transformer.safetensors'";
my $runs = 0;

sub shell {
    my ($command) = @_;
    open my $pipe, '-|', '/bin/sh', '-c', "exec 2>&1; $command" or die "sh: $!";
    my $output = do { local $/; <$pipe> } // '';
    close $pipe;
    return ($? & 127 ? 128 + ($? & 127) : $? >> 8, $output);
}

# The record without what time, memory and other runs may change in it.
sub record_of {
    my ($folder) = @_;
    my ($file) = glob "$folder/*.json" or return 'no record';
    open my $in, '<', $file or die "$file: $!";
    return join '', grep { !/"cost":/ } <$in>;
}

# Trains and verifies with something before the command; returns whether all is right, and what was seen.
sub results {
    my ($before) = @_;
    my $folder = "$scratch/run" . ++$runs;
    my ($status, $output) = shell("$before '$assay' $train --results '$folder'");
    my ($final) = $output =~ /^ *final +(\w{64})$/m;
    my ($verify_status, $verify) = shell("$before '$assay' $golden");
    my $same = $verify_status == 0 && $verify =~ /^1 as computed now, 0 different, 0 refused$/m;
    return { final => $status == 0 && $final ? $final : 'none', record => record_of($folder),
             golden => $same ? 'same' : 'different',
             output => "exit status $status\n$output\nexit status $verify_status\n$verify" };
}

my $quiet = results('env');
ok($quiet->{final} ne 'none' && $quiet->{golden} eq 'same', 'a training and a golden file to compare with')
    or die $quiet->{output};
like($quiet->{record}, qr/"train\.rate": 0\.0025/, 'its record has numbers with fractions');

# One environment: the command that sets it, in words.
sub same_in {
    my ($words, $before) = @_;
    my $seen = results($before);
    ok($seen->{final} eq $quiet->{final} && $seen->{golden} eq 'same' && $seen->{record} eq $quiet->{record},
       "$words: the same final state, record and golden file")
        or diag("final $quiet->{final} and $seen->{final}\n", $seen->{output},
                $seen->{record} eq $quiet->{record} ? '' : "records differ:\n$seen->{record}");
}

sub try_same_in {
    my ($words, $before) = @_;
    my ($status) = shell("$before true");
  SKIP: {
        skip("$words: can't be set here", 1) if $status != 0;
        same_in($words, $before);
    }
}

sub refused_in {
    my ($words, $before, $reason) = @_;
    my ($status, $output) = shell("$before '$assay' $train --results '$scratch/refused'");
    ok($status == 2 && $output =~ $reason && !glob("$scratch/refused/*"),
       "$words: refused with the reason, and nothing is written")
        or diag("exit status $status\n$output");
}

# A locale with a decimal comma, made here: installed ones are not to be relied on.
sub write_to {
    my ($path, @lines) = @_;
    open my $file, '>', $path or die "$path: $!";
    print $file map { "$_\n" } @lines;
    close $file or die "$path: $!";
}

write_to('charmap', '<code_set_name> ASCII', '<comment_char> %', '<escape_char> /', 'CHARMAP',
         (map { sprintf '<U%04X> /x%02x', $_, $_ } 0 .. 127), 'END CHARMAP');
write_to('comma.def', 'comment_char %', 'escape_char /', 'LC_NUMERIC', 'decimal_point "<U002C>"', 'thousands_sep "<U002E>"',
         'grouping 3;3', 'END LC_NUMERIC');
shell('localedef -c -f ./charmap -i ./comma.def ./comma');
my $comma = "env LOCPATH='$scratch' LC_ALL=comma LANG=comma";
my (undef, $number) = shell("LOCPATH='$scratch' LC_ALL=comma; export LOCPATH LC_ALL; /usr/bin/printf %.1f 1,5");
my $have_comma = $number eq '1,5';
SKIP: {
    skip('no localedef, or it makes no locale', 1) if !$have_comma;
    same_in('a locale with a decimal comma', $comma);
}

# Floating-point environments, by a library that is loaded before main.
my $cc = $ENV{CC} // 'cc';
my ($built, $said) = shell("$cc -shared -fPIC -O1 -o hostile.so '$source/harness/tests/hostile_preload.c' -lm -ldl -lpthread");
SKIP: {
    skip("the library for LD_PRELOAD is not built: $said", 18) if $built != 0;
    my $preload = "env LD_PRELOAD='$scratch/hostile.so' HOSTILE=";
    my $x86 = `uname -m` =~ /x86_64/;
    same_in('the library, idle', "${preload}nothing");
    for my $mode (qw(upward downward truncate)) {
        refused_in("rounding $mode before main", "${preload}main-$mode", qr/rounding mode/);
        same_in("rounding $mode in every thread", "${preload}thread-$mode");
    }
  SKIP: {
        skip('MXCSR and x87 are of x86', 6) if !$x86;
        refused_in('flush to zero before main', "${preload}main-flush", qr/FTZ/);
        same_in('flush to zero in every thread', "${preload}thread-flush");
        refused_in('denormals are zero before main', "${preload}main-denormals", qr/DAZ/);
        same_in('denormals are zero in every thread', "${preload}thread-denormals");
        same_in('x87 of 24 bits before main', "${preload}main-x87");
        same_in('x87 of 24 bits in every thread', "${preload}thread-x87");
    }
    same_in('floating-point traps before main', "${preload}main-traps");
    same_in('floating-point traps in every thread', "${preload}thread-traps");
  SKIP: {
        skip('no locale with a decimal comma', 2) if !$have_comma;
        same_in('a decimal comma set before main', "$comma ${preload}main-locale");
        same_in('a decimal comma set in every thread', "$comma ${preload}thread-locale");
    }
}

# Memory: where things lie, and what is in it before it is written.
for my $length ($ENV{ASSAY_QUICK} ? (0, 8) : 0 .. 15) {
    same_in("the stack moved by $length bytes", 'env PADDING=' . 'x' x $length);
}
same_in("memory filled with $_", "env MALLOC_PERTURB_=$_") for 1, 85, 127, 255;
same_in('one arena, no cache of freed memory', 'env GLIBC_TUNABLES=glibc.malloc.arena_max=1:glibc.malloc.tcache_count=0');
try_same_in("no address-space randomisation", 'setarch -R');
try_same_in("addresses from below", 'setarch -L');
try_same_in("a stack of $_ KiB", "ulimit -s $_ &&") for 512, 65536;
try_same_in('an unlimited stack', 'ulimit -s unlimited &&');

# The rest of what a process inherits.
same_in('another directory', 'cd / &&');
same_in('no environment', 'env -i');
same_in('a time zone', 'env TZ=Pacific/Chatham');
same_in('umask 077', 'umask 077 &&');
same_in('no standard input', 'exec 0<&- ;');
same_in('one processor', 'taskset 1') if !(shell('taskset 1 true'))[0];
same_in("the C library's plain functions", 'env GLIBC_TUNABLES=glibc.cpu.hwcaps=-AVX512F,-AVX2,-AVX,-FMA,-SSE4_2,-ERMS');

done_testing();
