"""Forks a Python child for each script that Postern asks for, from an interpreter that is loaded already.

Started as `python3 fork-server.py` with a SOCK_SEQPACKET socket as descriptor 0; fork-message.ts has the messages.
The parent keeps compiled scripts and modules of the standard library and of site-packages that scripts were seen
to import, never a module of the scripts' own. Any change to one of those ends it, and Postern starts another.
"""
names_of_main = dict(globals())

import sys
import _signal
import _socket
import atexit
import builtins
import gc
import io
import os
import site
import sysconfig
from time import monotonic

MOST_BYTES = 64 * 1024
MOST_SCRIPTS = 200
LOOK_AGAIN = 1.0  # seconds between looks at the files of loaded modules
TRIAL_SECONDS = 2


def shared_folders():
    """Folders whose modules may be kept: the standard library and what is installed beside it."""
    paths = sysconfig.get_paths()
    folders = [paths[key] for key in ("stdlib", "platstdlib", "purelib", "platlib")]
    folders += site.getsitepackages() + [site.getusersitepackages()]
    return tuple({path + os.sep for folder in folders for path in (folder, os.path.realpath(folder))})


class Control:
    """The channel to Postern, as a file descriptor that no child keeps."""

    def __init__(self):
        self.socket = _socket.socket(fileno=os.dup(0))
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.close(null)
        # Notes of children, which reach it through /proc and so need no descriptor while a script runs.
        self.notes = os.memfd_create("notes", os.MFD_CLOEXEC)
        self.notes_path = "/proc/%d/fd/%d" % (os.getpid(), self.notes)

    def receive(self):
        data, ancillary, _, _ = self.socket.recvmsg(MOST_BYTES, 64)
        if not data:
            os._exit(0)
        rights = memoryview(ancillary[0][2]).cast("i").tolist() if ancillary else ()
        return data.split(b"\0"), rights

    def send(self, *words):
        self.socket.send(b"\0".join(words))

    def close(self):
        self.socket.close()
        os.close(self.notes)

    def note(self, words):
        """Leaves a note for the parent; one that cannot be left is not missed."""
        try:
            with open(self.notes_path, "ab", 0) as file:
                file.write("\0".join(words).encode("utf-8", "surrogateescape") + b"\n")
        except OSError:
            pass

    def take_notes(self):
        if os.fstat(self.notes).st_size == 0:
            return []
        data = os.pread(self.notes, 1 << 20, 0)
        os.ftruncate(self.notes, 0)
        lines = data.decode("utf-8", "surrogateescape").split("\n")[:-1]
        return [line.split("\0") for line in lines]


class Scripts:
    """Scripts by path: what the file was like, the compiled code, the path as text and its real folder."""

    def __init__(self):
        self.known = {}

    def look_up(self, path):
        """Without code for what cannot be compiled without a word: it is run fresh, and says it itself."""
        found = os.stat(path)
        mark = (found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino, found.st_dev)
        known = self.known.get(path)
        if known is not None and known[0] == mark:
            return known
        if len(self.known) >= MOST_SCRIPTS:
            self.known.clear()
        text = os.fsdecode(path)
        folder = os.path.dirname(os.path.realpath(text))
        known = (mark, compile_quietly(path), text, folder)
        self.known[path] = known
        return known


def compile_quietly(path):
    import warnings

    with open(path, "rb") as file:
        source = file.read()
    with warnings.catch_warnings(record=True) as said:
        try:
            code = compile(source, os.fsdecode(path), "exec", dont_inherit=True)
        except Exception:
            return None
    return None if said else code


class Modules:
    """What the parent has loaded for the children, and what they are to be loaded with next."""

    def __init__(self, folders):
        self.folders = folders
        self.tried = set(sys.modules)
        self.loaded = frozenset()
        self.trial = None
        self.wanted = []
        self.marks = {}
        self.looked = 0.0
        # Extensions from outside the standard library may have ends of their own: their children end slowly.
        self.foreign = False
        self.keep()

    def keep(self):
        """Whatever is loaded now is watched for changes, and left alone by the children's collector."""
        for module in list(sys.modules.values()):
            file = getattr(module, "__file__", None)
            if file is not None and file not in self.marks:
                self.marks[file] = mark_of(file)
                if is_foreign(file):
                    self.foreign = True
        self.loaded = frozenset(sys.modules)
        self.tried |= self.loaded
        gc.collect()
        gc.freeze()

    def changed(self):
        now = monotonic()
        if now - self.looked < LOOK_AGAIN:
            return False
        self.looked = now
        return any(mark_of(file) != mark for file, mark in self.marks.items())

    def shareable(self, path):
        """Names that a script has loaded and the parent might: inner ones first."""
        new = sys.modules.keys() - self.tried
        if not new:
            return []
        folder = os.path.dirname(path) + os.sep
        names = []
        for name, module in list(sys.modules.items()):
            if name not in new:
                continue
            spec = getattr(module, "__spec__", None)
            if spec is None or spec.name != name:
                continue
            origin = spec.origin or ""
            if origin in ("built-in", "frozen") or (
                origin.startswith(self.folders) and not origin.startswith(folder)
            ):
                names.append(name)
        names.reverse()
        return names


def mark_of(file):
    try:
        found = os.stat(file)
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino)


def is_foreign(file):
    return file.endswith(".so") and "lib-dynload" not in file


def surroundings():
    """What importing a module must not change for others."""
    handlers = [_signal.getsignal(number) for number in _signal.valid_signals()]
    streams = (sys.stdin, sys.stdout, sys.stderr, sys.excepthook, sys.displayhook)
    paths = (list(sys.path), list(sys.meta_path), list(sys.path_hooks), list(sys.argv))
    umask = os.umask(0o22)
    os.umask(umask)
    return (dict(os.environ), os.getcwd(), umask, handlers, streams, paths, set(vars(builtins)))


def threads_and_descriptors():
    # The listing has a descriptor of its own, which is gone by now.
    return len(os.listdir("/proc/self/task")), sorted(os.listdir("/proc/self/fd"))


def try_modules(names, script, control):
    """In a throw-away child: which of the modules can be loaded for everybody."""
    import warnings

    out = os.memfd_create("out", os.MFD_CLOEXEC)
    os.dup2(out, 1)
    os.dup2(out, 2)
    _signal.alarm(TRIAL_SECONDS)
    before = threads_and_descriptors()
    good = []
    for name in names:
        loaded = set(sys.modules)
        around = surroundings()
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            try:
                __import__(name)
            except Exception:
                continue
        if threads_and_descriptors() != before:
            reason = "importing %s starts a thread or opens a descriptor" % name
            control.note(["refused", os.fsdecode(script), reason])
            os._exit(1)
        sys.stdout.flush()
        sys.stderr.flush()
        if said or os.fstat(out).st_size > 0 or surroundings() != around:
            # Whoever imports it next must see the same once more, and not be loaded either.
            os.ftruncate(out, 0)
            for new in set(sys.modules) - loaded:
                del sys.modules[new]
            continue
        good.append(name)
    control.note(["good", *good])
    os._exit(0)


class Job:
    """A script to run: what the child knows when it leaves the loop."""

    def __init__(self, slot, path, folder, cwd, kind, arguments, variables, rights, code):
        self.slot = slot
        self.path = path
        self.folder = folder
        self.cwd = cwd
        self.input = kind
        self.arguments = arguments
        self.variables = variables
        self.rights = rights
        self.code = code


class Server:
    def __init__(self):
        self.control = Control()
        self.scripts = Scripts()
        self.streams = Streams()
        self.modules = Modules(shared_folders())
        self.safe_path = getattr(sys.flags, "safe_path", False) or sys.flags.isolated

    def serve(self):
        """Returns in each child, with its job; never in the parent."""
        self.control.send(b"ready")
        while True:
            words, rights = self.control.receive()
            if words[0] == b"reap":
                self.reap(words[1], int(words[2]))
                continue
            job = self.start(words, rights)
            if job is not None:
                return job

    def start(self, words, rights):
        """Forks; the job in the child, None in the parent."""
        slot, script, cwd, kind = words[1:5]
        # Split here: in the child every page that is written to is copied first.
        count = 6 + int(words[5])
        arguments = words[6:count]
        variables = [variable.partition(b"=")[::2] for variable in words[count:]]
        if self.modules.changed():
            os._exit(0)
        try:
            _, code, path, folder = self.scripts.look_up(script)
            pid = -1 if code is None else os.fork()
        except OSError:
            pid = -1
        if pid == 0:
            return Job(slot, path, folder, cwd, kind, arguments, variables, rights, code)
        for descriptor in rights:
            os.close(descriptor)
        if pid < 0:
            self.control.send(b"fresh", slot)
        return None

    def reap(self, slot, pid):
        try:
            waited, status, usage = os.wait4(pid, os.WNOHANG)
        except ChildProcessError:
            self.control.send(b"exited", slot, b"-1")
            return
        if waited == 0:
            self.control.send(b"running", slot)
            return
        figures = (status, usage.ru_utime * 1e6, usage.ru_stime * 1e6, usage.ru_maxrss)
        self.control.send(b"exited", slot, *(b"%d" % figure for figure in figures))
        self.heed_notes()

    def heed_notes(self):
        """Loads what children have missed, once a throw-away child has tried it."""
        if self.modules.trial is not None:
            waited, status = os.waitpid(self.modules.trial, os.WNOHANG)
            if waited == 0:
                return
            self.modules.trial = None
            # One that hung or crashed has said nothing: its modules are not asked for again.
        for what, *rest in self.control.take_notes():
            if what == "good":
                self.load(rest)
            elif what == "refused":
                self.control.send(b"refused", os.fsencode(rest[0]), os.fsencode(rest[1]))
            elif what == "missed" and self.modules.trial is None:
                names = [name for name in rest[1:] if name not in self.modules.tried]
                self.modules.tried.update(names)
                if names:
                    self.try_out(names, os.fsencode(rest[0]))

    def try_out(self, names, script):
        pid = os.fork()
        if pid == 0:
            try:
                # The socket alone: its end must be seen when the parent dies.
                self.control.socket.close()
                try_modules(names, script, self.control)
            finally:
                os._exit(2)
        self.modules.trial = pid

    def load(self, names):
        before = threads_and_descriptors()
        for name in names:
            __import__(name)
        if threads_and_descriptors() != before:
            os._exit(1)
        self.modules.keep()

    def become(self, job):
        """Makes this process what a fresh interpreter is when its script begins. Returns the names of __main__."""
        control = self.control
        try:
            os.setsid()
            os.chdir(job.cwd)
        except OSError:
            control.send(b"fresh", job.slot)
            os._exit(0)
        for number, descriptor in enumerate(job.rights):
            os.dup2(descriptor, number)
        for descriptor in job.rights:
            os.close(descriptor)
        control.send(b"started", job.slot, b"%d" % os.getpid())
        control.close()

        known = os.environ._data
        known.update(job.variables)
        for name, value in job.variables:
            os.putenv(name, value)
        path, folder = job.path, job.folder
        words = [path, *map(os.fsdecode, job.arguments)]
        sys.argv[:] = words
        if hasattr(sys, "orig_argv"):
            sys.orig_argv[-1:] = words
        if not self.safe_path:
            sys.path_importer_cache.pop(sys.path[0], None)
            sys.path[0] = folder
        self.streams.open(job.input)
        if "numpy.random" in sys.modules:
            sys.modules["numpy.random"].seed()
        main = type(sys)("__main__")
        names = vars(main)
        names.clear()
        names.update(names_of_main)
        names["__file__"] = path
        names["__doc__"] = None
        loader = names["__loader__"]
        if loader is not None:
            names["__loader__"] = type(loader)("__main__", path)
        sys.modules["__main__"] = main
        return names


class Streams:
    """The standard streams as the interpreter makes them for the kinds of descriptors that a child gets."""

    def __init__(self):
        # stdout and stderr are pipes here as there. stdin has become /dev/null; a pipe is the other usual kind.
        self.null = open_stream(sys.__stdin__, 0, "r")
        spare = os.dup(0)
        read, write = os.pipe()
        os.dup2(read, 0)
        self.pipe = open_stream(sys.__stdin__, 0, "r")
        os.dup2(spare, 0)
        for descriptor in (spare, read, write):
            os.close(descriptor)

    def open(self, kind):
        """`none` for /dev/null, `pipe`, or anything else."""
        if kind == b"none":
            stream = self.null
        elif kind == b"pipe":
            stream = self.pipe
        else:
            stream = open_stream(sys.__stdin__, 0, "r")
        sys.stdin = sys.__stdin__ = stream


def open_stream(old, descriptor, mode):
    binary = open(descriptor, mode + "b", -1, closefd=False)
    binary.raw.name = old.name
    stream = io.TextIOWrapper(
        binary, old.encoding, old.errors, "\n", old.line_buffering, old.write_through
    )
    stream.mode = mode
    return stream


def report(error):
    """Prints an uncaught exception as the interpreter does, without the frame of this file."""
    error.__traceback__ = error.__traceback__.tb_next
    sys.last_type, sys.last_value, sys.last_traceback = type(error), error, error.__traceback__
    if sys.version_info >= (3, 12):
        sys.last_exc = error
    hook = sys.excepthook
    try:
        hook(type(error), error, error.__traceback__)
    except SystemExit:
        raise
    except BaseException as failure:
        failure.__traceback__ = failure.__traceback__.tb_next
        print("Error in sys.excepthook:", file=sys.stderr)
        sys.__excepthook__(type(failure), failure, failure.__traceback__)
        print("\nOriginal exception was:", file=sys.stderr)
        sys.__excepthook__(type(error), error, error.__traceback__)


def leave(server, job, status):
    """Ends the process: at once where nobody can tell, else returns, and the interpreter ends in its own way."""
    if "threading" in sys.modules:
        sys.modules["threading"]._shutdown()
    try:
        atexit._run_exitfuncs()
    except BaseException:
        # Before Python 3.10 the last failure is raised once more after it has been said.
        pass
    modules = server.modules
    missed = modules.shareable(job.path)
    if missed:
        server.control.note(["missed", job.path, *missed])
    if is_simple(modules) and flush_all() and clear_main(modules):
        os._exit(status)
    gc.unfreeze()


def is_simple(modules):
    """Neither threads, nor libraries that may have something to do at exit."""
    if modules.foreign or "ctypes" in sys.modules or len(sys._current_frames()) > 1:
        return False
    new = sys.modules.keys() - modules.loaded
    return not any(is_foreign(getattr(sys.modules[name], "__file__", None) or "") for name in new)


def flush_all():
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None and not stream.closed:
                stream.flush()
    except BaseException:
        # It fails once more at the end of the interpreter, which has its own words for it.
        return False
    return True


def clear_main(modules):
    """Lets go of what the script has made, so that its files are written and its finalizers run."""
    # Twice, as the interpreter does: the first time brings a file before the buffers that it writes to.
    gc.collect()
    streams = [sys.__stdin__, sys.__stdout__, sys.__stderr__]
    sys.stdin, sys.stdout, sys.stderr = streams
    for name in set(sys.modules) - modules.loaded:
        sys.modules[name] = None
    sys.modules["__main__"] = None
    for name in ("last_type", "last_value", "last_traceback", "last_exc"):
        if hasattr(sys, name):
            setattr(sys, name, None)
    gc.collect()
    kept = {id(part) for stream in streams for part in parts_of(stream)}
    for thing in gc.get_objects():
        if id(thing) not in kept and hasattr(type(thing), "__del__"):
            return False
    return flush_all()


def parts_of(stream):
    if stream is None:
        return ()
    binary = stream.buffer
    return (stream, binary, getattr(binary, "raw", binary))


def status_of(end):
    """Exit status of a SystemExit, as far as it is a plain one."""
    if end.code is None:
        return 0
    return end.code & 0xFF if type(end.code) is int else None


server = Server()
job = server.serve()
# Only this frame is below those of the script.
status = 0
failure = None
try:
    exec(job.code, server.become(job))
except SystemExit as end:
    status = status_of(end)
    if status is None:
        raise
    end.__traceback__ = None
except BaseException as error:
    failure = error
if failure is not None:
    # Outside of the handler: what the hook raises has no context.
    report(failure)
    status = 1
    if isinstance(failure, KeyboardInterrupt):
        # It has been said; the interpreter ends itself by the signal.
        sys.excepthook = lambda *_: None
        raise failure
    failure.__traceback__ = failure = None
leave(server, job, status)
raise SystemExit(status)
