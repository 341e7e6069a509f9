#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# The order of the tape. C leaves the order in which a call's arguments are evaluated to the compiler, and the order on the
# tape is that of the gradients' sums: so no call, and no initialiser, has two parts that make tensors.
# The rule is first tried on lines that it must find and on lines that it must pass.
use strict;
use warnings;
use Test::More;

my $source = $ENV{ASSAY_SRCDIR} // $ENV{srcdir} // '.';

sub text_of {
    my ($path) = @_;
    open my $in, '<', $path or die "$path: $!";
    local $/;
    return scalar <$in>;
}

# Functions that put something on the tape or into the registry.
sub makers {
    my ($text) = @_;
    my %makes;
    $makes{$1} = 1 while $text =~ /^(?:static )?(?:inline )?tensor (\w+)\(/mg;
    $makes{$1} = 1 while $text =~ /^(?:static )?struct (?:heads|rotation|claim_pass) \*?(\w+)\(/mg;
    delete $makes{stream_get};
    return \%makes;
}

sub without_comments {
    my ($text) = @_;
    $text =~ s{/\*.*?\*/}{(my $gap = $&) =~ s/[^\n]/ /g; $gap}gse;
    $text =~ s{"(?:[^"\\]|\\.)*"}{'"' . 'x' x (length($&) - 2) . '"'}ge;
    return $text;
}

# "line: name" for each call or initialiser with more than one part that makes tensors.
sub open_orders {
    my ($text, $makes) = @_;
    my (@stack, @found);
    my $line = 1;
    $text = without_comments($text);
    while ($text =~ /(\n)|([A-Za-z_]\w*)?\s*([({])|([)}])|(,)|(;)/g) {
        if (defined $1) {
            $line++;
        } elsif (defined $3) {
            my $name = $2 // '';
            $stack[-1]{parts}[-1] = 1 if @stack && $3 eq '(' && $makes->{$name};
            push @stack, { open => $3, name => $name, parts => [0], line => $line };
        } elsif (defined $4) {
            my $inner = pop @stack or next;
            my $making = grep { $_ } @{ $inner->{parts} };
            my $call = $inner->{open} eq '(' && $inner->{name} !~ /^(?:if|for|while|switch|return|)$/;
            push @found, "$inner->{line}: $inner->{name}"
                if $making > 1 && ($call || $inner->{open} eq '{' && !$inner->{block});
            $stack[-1]{parts}[-1] = 1 if @stack && $making && $inner->{open} eq '(';
        } elsif (defined $5) {
            push @{ $stack[-1]{parts} }, 0 if @stack;
        } elsif (@stack) {
            $stack[-1]{block} = 1;
            $stack[-1]{parts} = [0];
        }
    }
    return @found;
}

my $shared = join '', (map { text_of("$source/$_") } qw(ref/tape.h ref/ops.h ref/model.h ref/model/internal.h ref/claim.h variants/outside.h)), map { text_of($_) } glob "$source/ref/parts/*.h";
my $known = makers($shared);

for my $bad ('y = add(t, relu(t, x), gelu(t, x));', 'struct heads h = {scale(t, x, 2), scale(t, x, 3)};',
             'f(g(relu(t, x)), 1, h(gelu(t, x)));') {
    ok(scalar(open_orders($bad, $known)), "found: $bad");
}
for my $good ('y = add(t, relu(t, x), z);', 'y = relu(t, scale(t, gelu(t, x), 2)); z = relu(t, y);',
              'if (a) { y = relu(t, x); } else { y = gelu(t, x); }', 'n = f(dim_of(x, 0), width_of(y));') {
    ok(!open_orders($good, $known), "passed: $good");
}

for my $file (sort(glob("$source/ref/model/*.c $source/ref/parts/*.c $source/ref/claims/*.c $source/ref/tape/*.c $source/variants/*.c $source/variants/outside/*.c")), "$source/harness/templates/variant.c.in") {
    my $text = text_of($file);
    my @found = open_orders($text, { %$known, %{ makers($text) } });
    (my $name = $file) =~ s{^\Q$source\E/}{};
    ok(!@found, "$name: no order is left to the compiler") or diag(map { "$name:$_\n" } @found);
}
done_testing();
