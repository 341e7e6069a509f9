#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# The command as a user meets it: help, mistakes, goldens, runs that are killed and go on, records that verify.
use strict;
use warnings;
use Cwd qw(abs_path getcwd);
use File::Temp qw(tempdir);
use JSON::PP;
use Test::More;
use Time::HiRes qw(sleep time);

my $assay = abs_path($ENV{ASSAY} // './assay');
my $source = abs_path($ENV{ASSAY_SRCDIR} // getcwd());
my $quick = $ENV{ASSAY_QUICK};
my $scratch = tempdir('command-t-XXXXXX', TMPDIR => 1, CLEANUP => 1);
-x $assay or die "$assay: not there; set ASSAY\n";
chdir $scratch or die "$scratch: $!";
delete @ENV{qw(ARGP_HELP_FMT NO_COLOR)};

# Exit status and everything printed.
sub assay {
    my $output = `'$assay' @_ 2>&1`;
    return ($? & 127 ? 128 + ($? & 127) : $? >> 8, $output);
}

sub prints {
    my ($expected_status, $expected, $what, @arguments) = @_;
    my ($status, $output) = assay(@arguments);
    ok($status == $expected_status && $output =~ $expected, "assay @arguments: $what") or diag("exit status $status\n$output");
    return $output;
}

prints(0, qr/^assay \d.*\narithmetic \d/, 'the versions of program and arithmetic', '--version');
prints(0, qr/Examples:/, 'examples', '--help');
prints(0, qr/Examples:\n  assay $_/, 'examples', $_, '--help') for qw(list show check run cells verify compare cost export table plot golden);
prints(2, qr/^Usage/, 'no command: the usage', '');

prints(2, qr/did you mean list/, 'the nearest command', 'lst');
prints(2, qr/did you mean denseformer/, 'the nearest paper', 'show densformer');
prints(2, qr/did you mean listops\?/, 'the nearest task', 'run --task lisptops');
prints(2, qr/did you mean tiny\?/, 'the nearest preset', 'run --task listops --preset tyni');
prints(2, qr/did you mean dilated\?/, 'the nearest setting', 'run --task listops --variant denseformer --setting dilatd');
prints(2, qr/did you mean width\?/, 'the nearest field', 'run --task listops --set widht=3');
prints(2, qr/did you mean dilation\?/, 'the nearest hyper-parameter', 'run --task listops --variant denseformer --set dilaton=3');
prints(2, qr/did you mean rate\?/, 'the nearest field of training', 'run --task listops --set train.rte=1');
prints(2, qr/assay list/, 'nothing near: where all are listed', 'check xyzzy');
prints(2, qr/expected cpu|expected def|did you mean/, 'unknown kernels', 'golden verify --kernels cup');
prints(2, qr/did you mean latex\?/, 'unknown format', 'table --format latx .');
prints(2, qr/expected f32 or f64/, 'unknown profile', 'run --task listops --profile=f16');
prints(2, qr/name=value/, 'not a setting', 'run --task listops --set width');
prints(2, qr/multiple of heads/, 'a width that heads do not divide', 'run --task listops --set width=15');
prints(2, qr/task gives it/, "the task's fields", 'run --task listops --set vocab=99');
prints(2, qr/below 2\^53/, 'a seed that no record can hold', 'run --task listops --seed 9007199254740992');
prints(2, qr/changes only the frame/, 'a setting without hyper-parameters', 'run --task listops --variant linear_transformer --setting causal');
prints(2, qr/no.such/, 'a file that is not there', 'verify no.such.json');
prints(2, qr/./, 'a folder without records', 'table .');

my $papers = decode_json((assay('list --json'))[1]);
my %paper = map { $_->{id} => $_ } @$papers;
ok($paper{reference} && $paper{denseformer}, 'list --json: the reference and the papers');
for my $id (sort keys %paper) {
    my $page = decode_json((assay("show $id --json"))[1]);
    my $bare = $page->{kind} =~ /^(?:cost|survey)$/;    # computes no tensors of its own
    ok($page->{id} eq $id && $page->{settled_by} && $bare == !@{ $page->{settings} }, "show $id --json: a whole page");
    prints(0, qr/^\Q$page->{title}\E.*\Q$page->{paper}\E/, 'title and paper', 'show', $id);
}
is(decode_json((assay('show listops --json'))[1])->{classes}, 10, 'show listops --json: a task');
is(scalar(grep { $_->{family} ne 'norm' } @{ decode_json((assay('list --family norm --json'))[1]) }), 0, 'list --family');
is(scalar(grep { $_->{id} eq 'listops' } @{ decode_json((assay('list --tasks --json'))[1]) }), 1, 'list --tasks --json');

# Goldens: those of this tree, then a folder that is spoilt in three ways.
prints(0, qr/ 0 different, 0 refused\n/, 'as computed now', "golden verify --quiet --dir '$source/golden'");
prints(0, qr/MANIFEST/, 'written', 'golden write denseformer --dir golden');
prints(0, qr/^3 as computed now/m, 'all settings, and the manifest', 'golden verify');
is(system('cd golden && sha256sum --quiet -c MANIFEST'), 0, 'sha256sum -c takes the manifest');
prints(0, qr/^3 as/m, 'one profile, one table', '--profile=f64 golden verify --kernels def');

sub change_file {
    my ($path, $change) = @_;
    open my $in, '<:raw', $path or die "$path: $!";
    local $/;
    my $bytes = <$in>;
    $change->() for $bytes;
    open my $out, '>:raw', $path or die "$path: $!";
    print $out $bytes;
    close $out or die "$path: $!";
}

prints(0, qr/^mine\.safetensors  \d+ bytes, seed \d/, 'a configuration of my own',
    'golden write denseformer --setting dilated --set length=9 --set layers=3 -o mine.safetensors');
prints(0, qr/^1 as computed now/m, 'which verifies', 'golden verify mine.safetensors');
my $own = do { open my $in, '<:raw', 'mine.safetensors' or die "mine.safetensors: $!"; local $/; <$in> };
like($own, qr/"setting":"dilated length=9 layers=3".*"configuration":"[^"]* length=9 [^"]* layers=3 /, 'and says which it is');
prints(2, qr/lenght.*did you mean length/s, 'a field that is none', 'golden write denseformer --set lenght=9 -o none.safetensors');
prints(2, qr/expected at most 262144 bytes, found over \d+: make the setting smaller/, 'too large',
    'golden write denseformer --set width=65536 -o none.safetensors');
prints(2, qr/expected at most 262144 bytes, found over \d+/, 'too long',
    'golden write denseformer --set length=1048576 -o none.safetensors');
prints(2, qr/expected the id of one paper/, 'two papers', 'golden write denseformer mamba -o none.safetensors');
prints(2, qr/are of --output/, 'no file', 'golden write denseformer --set length=9');
ok(!-e 'none.safetensors', 'and no file is left');
my $victim = 'golden/denseformer.dilated.safetensors';
change_file($victim, sub { substr($_, -9, 1) ^= "\x01" });
prints(1, qr/DIFFERS .*: expected 0x\w+ .* found 0x.*with def/s, 'one bit: tensor, element, both values', "golden verify $victim");
prints(1, qr/MANIFEST .*denseformer\.dilated/, 'and the manifest', 'golden verify');
change_file($victim, sub { $_ = substr($_, 0, 5000) });
prints(2, qr/REFUSED .*expected/, 'cut short', "golden verify $victim");
change_file($victim, sub { substr($_, 0, 8) = "\xff" x 8 });
prints(2, qr/REFUSED .*expected/, 'a hostile header', "golden verify $victim");
mkdir 'empty';
prints(2, qr/./, 'a folder without goldens', 'golden verify --dir empty');

# Claims, with and without outside vectors.
prints(0, qr/claims hold\n\z/, 'all hold', "check denseformer --dir '$source/golden'");
prints(1, qr/FAILS.*outside vectors have/, 'without outside vectors those claims fail', 'check denseformer --dir empty');

# Runs. The same final state for any number of workers and any kernels.
my $cell = '--task listops --variant denseformer --set "width=16 heads=2 hidden=16 layers=1 head_hidden=16 train.batch=8 train.curve=7"';
sub final_of {
    my ($output) = @_;
    return $output =~ /final +(\w{64})/ ? $1 : "none in: $output";
}
my @ways = map { "--threads $_" } 1, 2, 3, 8;
push @ways, '--kernels def', '--kernels base --threads 2';
my %final;
$final{final_of(prints(0, qr/final/, 'a record', "run $cell --steps 25 -q --results ways $_"))}++ for @ways;
is(scalar(keys %final), 1, 'one final state for ' . join(', ', @ways)) or diag(explain(\%final));
my ($record) = glob 'ways/*.json';
my @left = grep { !/\.json$/ } glob 'ways/* ways/.[!.]*';
is("@left", '', 'nothing but the record is left');
prints(0, qr/is there already/, 'a run that was done', "run $cell --steps 25 --results ways --resume");
my $output = prints(0, qr/data .*same\n.*initial .*same\n.*final .*same\n.*metrics .*same/s, 'the same again', "verify -q --kernels def $record");
like($output, qr/recorded (\w{64})\n +computed \1/, 'verify prints both hashes');

# What a change of the record does; it is put back afterwards.
sub changed_record {
    my ($change, @expected) = @_;
    my $kept;
    change_file($record, sub { $kept = $_; $change->() });
    prints(@expected, "verify -q $record");
    change_file($record, sub { $_ = $kept });
}
changed_record(sub { s/("final_sha256": ")./$1x/ }, 2, qr/final_sha256/, 'no hash: refused');
changed_record(sub { s/("final_sha256": ")(.)/$1 . ($2 eq '0' ? 1 : 0)/e }, 1, qr/initial .*same\n.*final .*DIFFERS/s, 'another hash differs');
changed_record(sub { s/ *"(target_length|position_deviation|train\.lag)": 0,\n//g }, 0, qr/final .*same/s, 'fields that are younger than a record had their defaults');
changed_record(sub { s/ *"frame": "\w+",\n// }, 2, qr/config: expected frame=encoder/, 'no other field may be missing');
changed_record(sub { s/"seed": 1/"seed": 2/ }, 1, qr/initial .*DIFFERS\n.*final .*DIFFERS/s, 'another seed differs');
changed_record(sub { s/"variant": "denseformer"/"variant": "reference"/ }, 2, qr/unknown field|config/, 'fields of another variant: refused');

# Ctrl-C, then kill -9 at random moments: every time it goes on, and ends in the same state.
my $steps = $quick ? 300 : 1500;
my $long = "run $cell --steps $steps --checkpoint 0.05 --threads 2";
my $whole = final_of((assay("$long -q --results whole"))[1]);

sub start {
    my ($arguments) = @_;
    my $child = fork // die "fork: $!";
    return $child if $child;
    open STDOUT, '>', 'child.out';
    open STDERR, '>&', \*STDOUT;
    exec "exec '$assay' $arguments" or die "$assay: $!";
}

sub wait_for_checkpoint {
    my ($folder) = @_;
    for (1 .. 600) {
        return 1 if glob "$folder/*.checkpoint";
        sleep 0.05;
    }
    return 0;
}

my $child = start("$long --results stopped");
ok(wait_for_checkpoint('stopped'), 'a run leaves checkpoints');
kill INT => $child;
waitpid $child, 0;
is($?, 130 << 8, 'Ctrl-C: exit status 130');
open my $said, '<', 'child.out';
my $message = do { local $/; <$said> };
like($message, qr/to go on: assay run .*--resume/, 'and the line that goes on');
prints(2, qr/--resume goes on, --restart begins anew/, 'a run that was begun is not thrown away', "$long --results stopped");
$output = prints(0, qr/resumed at step [1-9]/, 'goes on', "$long --results stopped --resume");
is(final_of($output), $whole, 'to the same final state');

my ($kills, $wanted) = (0, $quick ? 4 : 20);
for (1 .. 10 * $wanted) {
    last if $kills == $wanted;
    $child = start("$long --results killed --resume -q");
    sleep 0.1 + rand 0.5;
    kill KILL => $child;
    waitpid $child, 0;
    $kills++ if $? == 9;
    unlink glob 'killed/*.json' if $? == 0;
}
is($kills, $wanted, "kill -9 at $wanted random moments");
is(final_of((assay("$long --results killed --resume"))[1]), $whole, 'and the same final state');

# A paper's optimizer has states of its own.
my $paper = "$long --variant adan";
my $undisturbed = final_of((assay("$paper -q --results paper"))[1]);
$child = start("$paper --results halted");
ok(wait_for_checkpoint('halted'), "a run with a paper's optimizer leaves checkpoints");
kill KILL => $child;
waitpid $child, 0;
$output = prints(0, qr/resumed at step [1-9]/, 'goes on', "$paper --results halted --resume");
is(final_of($output), $undisturbed, 'to the same final state');

# A checkpoint of something else.
my $other = $long =~ s/--steps \d+/--steps 9/r;
prints(0, qr/final/, 'a run', "$other -q --results other");
open my $fake, '>', (glob 'other/*.json')[0] =~ s/json$/checkpoint/r;
print $fake 'not a checkpoint';
close $fake;
unlink glob 'other/*.json';
prints(2, qr/checkpoint: expected/, 'a checkpoint that is none', "$other -q --results other --resume");
prints(0, qr/final/, '--restart throws it away', "$other -q --results other --restart");

# Tables from what was made here.
prints(0, qr/denseformer.*\n.*commonest class/s, 'a table with baselines', 'table whole');
prints(0, qr/^\S*,/m, 'CSV', 'table whole --format csv');
ok(decode_json((assay('table whole --format json'))[1])->{format}, 'table --format json: JSON');
prints(0, qr/^\z/, 'into a file', 'table whole --format latex --output table.tex');
ok(-s 'table.tex', 'which is there');

# Costs.
my $costs = decode_json((assay('cost denseformer --json'))[1]);
ok(abs($costs->{rows}[0]{exponents}{mixing_multiply_adds}{exponent} - 2) < 0.05, 'cost --json: the exponent of attention is 2');
is(scalar @{ $costs->{rows}[0]{costs} }, 8, 'eight lengths');
my @rows = map { $_->{model} } @{ decode_json((assay('cost reformer --json'))[1])->{rows} };
is(scalar(grep { $_ eq 'reformer (recomputed)' } @rows), 1, 'a form that is a setting, too, has one row');
prints(0, qr/^\z/, 'into a folder', 'cost denseformer --decode --output costs');
is((-s 'costs/table.md' && -s 'costs/decode.csv' ? `grep -c '^"denseformer' costs/costs.csv` : ''), "24\n", 'which has a line for every setting and length');
prints(2, qr/did you mean denseformer/, 'the nearest paper', 'cost densformer');
prints(2, qr/did you mean width\?/, 'the nearest field', 'cost denseformer --set widht=3');
prints(2, qr/positive number of seconds/, 'a time that is none', 'cost --time=never');

done_testing();
