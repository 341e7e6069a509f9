#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Tables that papers reason about: every format, files, the figure; claims as JSON; the tables of all kinds; mistakes.
use strict;
use warnings;
use Cwd qw(abs_path getcwd);
use File::Temp qw(tempdir);
use JSON::PP;
use Test::More;

my $assay = abs_path($ENV{ASSAY} // './assay');
my $source = abs_path($ENV{ASSAY_SRCDIR} // getcwd());
my $scratch = tempdir('measure-t-XXXXXX', TMPDIR => 1, CLEANUP => 1);
-x $assay or die "$assay: not there; set ASSAY\n";
chdir $source or die "$source: $!";    # where harness/plot.py and golden/ are
delete @ENV{qw(ARGP_HELP_FMT NO_COLOR)};

sub prints {
    my ($expected_status, $expected, $what, $command) = @_;
    my $output = `$command 2>&1`;
    (my $shown = $command) =~ s/\Q$scratch\E/DIR/g;
    ok($? >> 8 == $expected_status && $output =~ $expected, "$shown: $what") or diag('exit status ' . ($? >> 8) . "\n$output");
    return $output;
}
sub content { open my $file, '<:raw', $_[0] or return ''; local $/; return <$file> }

my $one = "'$assay' measure survey_ai_accelerators";
prints(0, qr/Examples:\n  assay measure/, 'examples', "'$assay' measure --help");
prints(2, qr/expected the id of a paper/, 'no paper', "'$assay' measure");
prints(2, qr/did you mean denseformer/, 'the nearest paper', "'$assay' measure densformer");
prints(2, qr/it has none.*--measured/, 'a paper without', "'$assay' measure denseformer");
prints(2, qr/did you mean speculation/, 'the nearest table', "$one speculatoin");
prints(2, qr/did you mean markdown/, 'the nearest format', "$one --format markdwn");
prints(2, qr/can't make the folder/, 'a folder that cannot be made', "$one -o /dev/null/x");
like(`'$assay' list --measured`, qr/^survey_ai_accelerators /m, 'list --measured has it');
unlike(`'$assay' list --measured`, qr/^denseformer /m, 'and not one without');
like(`'$assay' show survey_ai_accelerators`, qr/measured  speculation .*assay measure survey_ai_accelerators speculation/, 'show lists it');
prints(2, qr/expected a paper that trains; found one of kind survey/, 'a survey does not train',
       "'$assay' run --task listops --variant survey_ai_accelerators");

# With 1 draft kept at rate 0.5: 1 + 0.5 tokens.
prints(0, qr/^drafts +drafts a call +tokens a call\nkept 0\.5 +1 +1\.5\n/m, 'as text', $one);
my $csv = prints(0, qr/^drafts,drafts a call,tokens a call\nkept 0\.5,1,1\.5\n/, 'as CSV', "$one --format csv");
my $table = decode_json(prints(0, qr/^\{/, 'as JSON', "$one --format json"));
is($table->{format}, 'assay measurement 1', 'with its format');
is(scalar @{ $table->{rows} }, scalar(split /\n/, $csv) - 1, 'and all rows');
prints(0, qr/\.md\n.*\.csv\n.*\.json\n/, 'as files', "$one --output '$scratch/out'");
is(content("$scratch/out/survey_ai_accelerators.speculation.csv"), $csv, 'with the same numbers');
like(content("$scratch/out/survey_ai_accelerators.speculation.md"), qr/\| kept 0\.5 \| 1 \| 1\.5 \|/, 'and a table in Markdown');

my $claims = decode_json(prints(0, qr/^\[/, 'claims as JSON', "'$assay' check --json denseformer survey_ai_accelerators"));
is(join(' ', map { "$_->{id} $_->{hold} $_->{of}" } @$claims),
   join(' ', map { "$_->{id} " . join(' ', (scalar @{ $_->{claims} }) x 2) } @$claims), 'that all hold');
ok(!(grep { !$_->{holds} } map { @{ $_->{statements} } } map { @{ $_->{claims} } } @$claims), 'with every statement');

$ENV{ASSAY} = $assay;
$ENV{ASSAY_SRCDIR} = $source;
my $papers = "'$^X' harness/papers --results '$scratch/results'";
prints(2, qr/'nothing' is no paper/, 'an unknown paper', "$papers nothing");
prints(0, qr/survey\.md\n.*variant\.md\n.*papers\.json\n/, 'a table for each kind', "$papers denseformer survey_ai_accelerators");
like(content("$scratch/results/papers/survey.md"), qr/\| survey\\_ai\\_accelerators \(arXiv:2407\.09111\) \|.*\| 9 of 9 \|/, 'with the claims that hold');
SKIP: {
    skip 'no Python with matplotlib', 2 unless $ENV{PYTHON};
    prints(0, qr/speculation\.svg/, 'tables and figures', "$papers --measure survey_ai_accelerators denseformer");
    like(content("$scratch/results/measured/survey_ai_accelerators.speculation.svg"), qr/<svg/, 'as SVG');
}
done_testing;
