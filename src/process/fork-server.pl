# Forks a Perl child for each script that Postern asks for, from an interpreter that is loaded already.
# Started as `perl fork-server.pl` with a SOCK_SEQPACKET socket as descriptor 0; fork-message.ts has the messages.
#
# Perl reads its main program as it goes. This one is a BEGIN block that serves; in a child the block returns when the
# descriptor that perl reads from has become the script's. So the script is the main program, with its own #! line,
# __FILE__, DATA and END, and no eval around it. Nothing may follow the block: perl would have read it by then.
# What grows: modules that scripts were seen to load from perl's own folders; never a script or a module of its own.
BEGIN {
    package Postern::ForkServer;
    use strict;
    use warnings;

    # x86-64 has numbers of its own, the other machines share theirs.
    require Config;
    my $wide = $Config::Config{archname} =~ /^(?:x86_64|amd64)/;
    my %call = $wide
        ? (recvmsg => 47, wait4 => 61, dup3 => 292, setsid => 112, memfd => 319, exit => 231, close => 3)
        : (recvmsg => 212, wait4 => 260, dup3 => 24, setsid => 157, memfd => 279, exit => 94, close => 57);
    my $close_on_exec = 02000000;
    my $most_bytes = 64 * 1024;
    my $trial_seconds = 2;

    my ($control, $program, $notes, $notes_path, $server);
    my (%loaded, %tried, %marks, $trial, $looked, @folders);
    my ($script_handle, $script, $skipped);

    sub leave { syscall($call{exit}, $_[0]) }
    sub put_in_place { syscall($call{dup3}, $_[0] + 0, $_[1] + 0, $_[2] + 0) >= 0 or die "dup3: $!\n" }
    sub say_to_postern { send($control, join("\0", @_), 0) }

    # A descriptor of memory without a name, as a handle.
    sub memory_file {
        my $name = "notes\0";
        my $descriptor = syscall($call{memfd}, $name, 1);
        die "memfd_create: $!\n" if $descriptor < 0;
        open(my $handle, '+<&=', $descriptor) or die "$!\n";
        return $handle;
    }

    # The words of a message, and its descriptors; ends the process when Postern has gone.
    my $buffer = '';
    vec($buffer, $most_bytes - 1, 8) = 0;
    my $ancillary = '';
    vec($ancillary, 63, 8) = 0;
    sub receive {
        my $vector = pack('PQ', $buffer, $most_bytes);
        my $header = pack('QLx4PQPQlx4', 0, 0, $vector, 1, $ancillary, 64, 0);
        my $bytes;
        do { $bytes = syscall($call{recvmsg}, fileno($control), $header, 0) } while $bytes < 0 && $! == 4;
        leave(0) if $bytes <= 0;
        my $length = unpack('x40Q', $header);
        my @descriptors = $length >= 28 ? unpack('x16l3', $ancillary) : ();
        return ([split(/\0/, substr($buffer, 0, $bytes), -1)], \@descriptors);
    }

    sub mark_of { my @found = stat($_[0]); return join(' ', @found[1, 7, 9]) if @found; return '' }

    # Whatever is loaded now is watched for changes.
    sub keep {
        %loaded = %INC;
        $tried{$_} = 1 for keys %INC;
        for my $file (values %INC) { $marks{$file} //= mark_of($file) if defined $file && !ref $file }
    }

    sub changed {
        my $now = time;
        return 0 if defined $looked && $now == $looked;
        $looked = $now;
        for my $file (keys %marks) { return 1 if mark_of($file) ne $marks{$file} }
        return 0;
    }

    sub descriptors {
        opendir(my $folder, '/proc/self/fd') or return '';
        my $own = fileno($folder) // -1;
        return join(' ', sort grep { /\d/ && $_ ne $own } readdir($folder));
    }

    # What loading a module must not change for others.
    sub surroundings {
        no warnings 'uninitialized';
        my @signals = map { "$_=" . ($SIG{$_} // '') } sort keys %SIG;
        my @environment = map { "$_=$ENV{$_}" } sort keys %ENV;
        my @overridden = sort keys %CORE::GLOBAL::;
        my @special = ($0, $/, $\, $,, $|, $^W, umask, readlink('/proc/self/cwd'), select);
        return join("\0", @signals, @environment, @overridden, @special, @INC);
    }

    # In a throw-away child: 'good', 'bad' or 'refused'.
    sub try_module {
        my ($name) = @_;
        my $out = memory_file();
        put_in_place(fileno($out), $_, 0) for 1, 2;
        my ($descriptors, $around) = (descriptors(), surroundings());
        eval { require $name; 1 } or return 'bad';
        return 'refused' if descriptors() ne $descriptors || threads() > 1;
        { local $| = 1; print STDOUT '' }
        return 'bad' if -s $out || surroundings() ne $around;
        return 'good';
    }

    sub threads { opendir(my $folder, '/proc/self/task') or return 1; return scalar grep { /\d/ } readdir($folder) }

    # One child for all, and in it one for each: a module is tried without what another has loaded.
    sub try_modules {
        my ($path, @names) = @_;
        my @verdicts;
        alarm $trial_seconds;
        for my $name (@names) {
            my $pid = fork;
            next unless defined $pid;
            if (!$pid) {
                alarm $trial_seconds;
                my $verdict = try_module($name);
                leave($verdict eq 'good' ? 0 : $verdict eq 'bad' ? 1 : 2);
            }
            waitpid($pid, 0);
            note('refused', $path, "loading $name starts a thread or opens a descriptor") if $? == 2 << 8;
            push @verdicts, $name if $? == 0;
        }
        note('good', @verdicts);
        leave(0);
    }

    sub note {
        open(my $file, '>>', $notes_path) or return;
        syswrite($file, join("\0", @_) . "\n");
    }

    sub take_notes {
        my $bytes = -s $notes or return;
        sysseek($notes, 0, 0);
        sysread($notes, my $text, $bytes);
        truncate($notes, 0);
        return map { [split /\0/] } split /\n/, $text;
    }

    # Modules that a script has loaded from perl's own folders and the parent has not.
    sub missed {
        my @names;
        for my $name (keys %INC) {
            next if $tried{$name} || $name eq 'FindBin.pm';
            my $file = $INC{$name};
            next if !defined $file || ref $file || $name !~ /\.p[ml]$/;
            push @names, $name if grep { index($file, $_) == 0 } @folders;
        }
        return sort @names;
    }

    sub heed_notes {
        if (defined $trial) {
            return if waitpid($trial, 1) == 0;
            undef $trial;
        }
        for my $note (take_notes()) {
            my ($what, @rest) = @$note;
            if ($what eq 'good') { load(@rest) }
            elsif ($what eq 'refused') { say_to_postern('refused', @rest) }
            elsif ($what eq 'missed' && !defined $trial) { try_out(@rest) }
        }
    }

    sub try_out {
        my ($path, @names) = @_;
        @names = grep { !$tried{$_}++ } @names;
        return unless @names;
        my $pid = fork;
        return unless defined $pid;
        if (!$pid) {
            close $control;
            try_modules($path, @names);
        }
        $trial = $pid;
    }

    sub load {
        my $before = descriptors();
        for my $name (@_) { eval { require $name; 1 } or leave(1) }
        leave(1) if descriptors() ne $before || threads() > 1;
        keep();
    }

    sub reap {
        my ($slot, $pid) = @_;
        my $status = pack('l', 0);
        my $usage = "\0" x 144;
        my $waited = syscall($call{wait4}, $pid + 0, $status, 1, $usage);
        return say_to_postern('exited', $slot, -1) if $waited < 0;
        return say_to_postern('running', $slot) if $waited == 0;
        my ($user, $user_us, $system, $system_us, $peak) = unpack('q5', $usage);
        my @figures = (unpack('l', $status), $user * 1e6 + $user_us, $system * 1e6 + $system_us, $peak);
        say_to_postern('exited', $slot, @figures);
        heed_notes();
    }

    # True in a child that is to run the script.
    sub start {
        my ($words, $descriptors) = @_;
        my (undef, $slot, $path, $cwd, undef, $count, @variables) = @$words;
        my @arguments = splice @variables, 0, $count;
        leave(0) if changed();
        # A path that a #line comment cannot hold.
        my $pid = $path =~ /["\n]/ ? undef : fork;
        if (defined $pid && $pid == 0) {
            return 1 if become($slot, $path, $cwd, \@arguments, \@variables, $descriptors);
            say_to_postern('fresh', $slot);
            leave(0);
        }
        syscall($call{close}, $_ + 0) for @$descriptors;
        say_to_postern('fresh', $slot) unless defined $pid;
        return 0;
    }

    # Makes this process what a fresh perl is when it reads the first line of the script.
    sub become {
        my ($slot, $path, $cwd, $arguments, $variables, $descriptors) = @_;
        chdir $cwd or return 0;
        open($script_handle, '<', $path) or return 0;
        return 0 if -d $script_handle;
        syscall($call{setsid});
        put_in_place($descriptors->[$_], $_, 0) for 0 .. 2;
        syscall($call{close}, $_ + 0) for @$descriptors;
        say_to_postern('started', $slot, $$);
        close $control;
        close $notes;
        for my $variable (@$variables) {
            my ($name, $value) = split /=/, $variable, 2;
            $ENV{$name} = $value;
        }
        $script = $path;
        $0 = $path;
        $^T = time;
        @ARGV = @$arguments;
        srand;
        # Read next, in place of what would follow in this file; then the script itself.
        my $text = qq(BEGIN { Postern::ForkServer::swap() } INIT { Postern::ForkServer::settle() }\n# line 1 "$path"\n);
        $skipped = (-s $program) + length $text;
        pipe(my $from, my $to) or leave(1);
        syswrite($to, $text);
        put_in_place(fileno($from), fileno($program), $close_on_exec);
        return 1;
    }

    # Called while perl reads the text above: what it reads next is the script.
    sub swap {
        put_in_place(fileno($script_handle), fileno($program), $close_on_exec);
        close $script_handle;
        undef $program;
    }

    # The position of DATA is counted from the script's first byte.
    sub settle {
        # Looked up without naming it: perl would warn of a name that is used once.
        my $glob = $main::{DATA};
        my $data = ref \$glob eq 'GLOB' ? *{$glob}{IO} : undef;
        seek($data, tell($data) - $skipped, 0) if $data && defined fileno($data);
    }

    # The first END block is the last to run: what the script has loaded is known by then.
    END {
        if (defined $script) {
            local ($?, $!, $@);
            my @names = missed();
            note('missed', $script, @names) if @names;
        }
    }

    sub serve {
        open($program, '<&=', 3) or die "descriptor 3: $!\n";
        open($control, '+<&', 0) or die "descriptor 0: $!\n";
        open(my $null, '<', '/dev/null') or die "/dev/null: $!\n";
        put_in_place(fileno($null), 0, 0);
        close $null;
        $notes = memory_file();
        $notes_path = "/proc/$$/fd/" . fileno($notes);
        my %foreign = map { $_ => 1 } split /:/, $ENV{PERL5LIB} // '';
        @folders = map { "$_/" } grep { m{^/} && !$foreign{$_} } @INC;
        keep();
        say_to_postern('ready');
        for (;;) {
            my ($words, $descriptors) = receive();
            if ($words->[0] eq 'reap') { reap(@$words[1, 2]) }
            elsif (start($words, $descriptors)) { return }
        }
    }

    serve();
}
