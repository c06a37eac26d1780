#!/usr/bin/env perl
# A greeting; the name comes from the query string: /cgi-bin/hello.pl?name=Ada
use strict;
use warnings;

my ($name) = ($ENV{QUERY_STRING} // '') =~ /(?:^|[&;])name=([^&;]+)/;
$name //= 'stranger';
$name =~ tr/+/ /;
$name =~ s/%([0-9A-Fa-f]{2})/chr hex $1/ge;
my %escape = ('&' => '&amp;', '<' => '&lt;', '>' => '&gt;', '"' => '&quot;');
$name =~ s/([&<>"])/$escape{$1}/g;

printf <<'PAGE', $name, $^V, $$;
Content-Type: text/html; charset=utf-8

<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Hello from Perl</title>
<link rel="stylesheet" href="/style.css">
<main>
<h1>Hello, %s</h1>
<p>Perl %vd printed this page as process %d.</p>
<p><a href="/">Back to the start</a></p>
</main>
PAGE
