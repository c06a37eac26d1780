/**
 * The C library calls that starting and watching processes takes, bound once through koffi.
 *
 * Linux with glibc on a 64-bit machine; anything else gets a sentence saying what is missing, and
 * `choose.ts` takes the other spawner. Each binding says its C signature; structures are laid out where
 * they are used. Nothing here knows what the calls are for.
 */
import { constants } from 'node:os'
import type { KoffiFunc, LibraryHandle } from 'koffi'

/** O_CLOEXEC and O_NONBLOCK, for pipe2, eventfd, epoll_create1 and F_SETFL. */
export const closeOnExec = 0o2000000
export const nonBlocking = 0o4000
/** F_SETFL and F_SETPIPE_SZ of fcntl. */
export const setStatusFlags = 4
export const setPipeSize = 1031

/** An unsigned byte buffer handed to C as a pointer. */
export type Memory = Buffer | Int32Array

/** The calls; each returns what C returns, -1 with `errno()` set on failure, except posix_spawn (the error number). */
export interface Libc {
  readonly errno: () => number
  readonly pipe2: (ends: Int32Array, flags: number) => number
  readonly close: (fd: number) => number
  readonly read: (fd: number, into: Buffer, bytes: number) => number
  readonly write: (fd: number, from: Buffer, bytes: number) => number
  readonly fcntl: (fd: number, command: number, value: number) => number
  readonly kill: (pid: number, signal: number) => number
  readonly wait4: (pid: number, status: Int32Array, options: number, usage: Buffer) => number
  readonly pidfdOpen: (pid: number) => number
  readonly socketpair: (family: number, type: number, protocol: number, ends: Int32Array) => number
  /** `message` is a struct msghdr. */
  readonly sendmsg: (fd: number, message: Buffer, flags: number) => number
  readonly eventfd: (initial: number, flags: number) => number
  readonly epollCreate: (flags: number) => number
  readonly epollCtl: (epoll: number, operation: number, fd: number, event: Buffer) => number
  readonly epollWait: (epoll: number, events: Buffer, count: number, timeoutMs: number) => number
  /** The same on a thread of the pool, so that it may block. */
  readonly epollWaitAsync: (
    epoll: number,
    events: Buffer,
    count: number,
    timeoutMs: number,
    done: (error: Error | null, ready: number) => void,
  ) => void
  readonly actionsInit: (actions: Buffer) => number
  readonly actionsDup2: (actions: Buffer, from: number, to: number) => number
  readonly actionsChdir: (actions: Buffer, path: Buffer) => number
  readonly actionsCloseFrom: (actions: Buffer, from: number) => number
  readonly actionsDestroy: (actions: Buffer) => number
  readonly attributesInit: (attributes: Buffer) => number
  readonly attributesSetFlags: (attributes: Buffer, flags: number) => number
  readonly attributesSetMask: (attributes: Buffer, mask: Buffer) => number
  readonly attributesSetDefault: (attributes: Buffer, mask: Buffer) => number
  /** posix_spawn on a thread of the pool: it blocks until the program is executing. */
  readonly posixSpawnAsync: (
    pid: Int32Array,
    file: Buffer,
    actions: Buffer,
    attributes: Buffer,
    argv: Buffer,
    env: Buffer,
    done: (error: Error | null, errno: number) => void,
  ) => void
  /** Address of a buffer's memory. */
  readonly address: (memory: Memory) => bigint
}

const names = new Map(Object.entries(constants.errno).map(([name, number]) => [number, name]))

/** `ENOENT` for 2; `E` and the number where it has no name. */
export function errnoName(number: number): string {
  return names.get(number) ?? `E${number}`
}

/** The calls that opening a listening socket takes; each returns -1 with `errno()` set on failure. */
export interface SocketCalls {
  readonly errno: () => number
  readonly socket: (family: number, type: number, protocol: number) => number
  readonly setsockopt: (
    fd: number,
    level: number,
    option: number,
    value: Int32Array,
    bytes: number,
  ) => number
  readonly bind: (fd: number, address: Buffer, bytes: number) => number
  readonly listen: (fd: number, backlog: number) => number
  readonly getsockname: (fd: number, address: Buffer, bytes: Int32Array) => number
  /** 1 when `into` has got the address, 0 when the text is none. */
  readonly inetPton: (family: number, text: string, into: Buffer) => number
  /** One struct pollfd; never waits when `timeoutMs` is 0. */
  readonly poll: (descriptors: Buffer, count: number, timeoutMs: number) => number
  readonly close: (fd: number) => number
}

/**
 * Binds the calls for sockets.
 * @throws Error as `loadLibc` does
 */
export async function loadSocketCalls(): Promise<SocketCalls> {
  const { koffi, library } = await openLibrary()
  const bind = binderOf(library)
  return {
    errno: () => koffi.errno(),
    socket: bind('int socket(int, int, int)'),
    setsockopt: bind('int setsockopt(int, int, int, void *, uint32)'),
    bind: bind('int bind(int, void *, uint32)'),
    listen: bind('int listen(int, int)'),
    getsockname: bind('int getsockname(int, void *, void *)'),
    inetPton: bind('int inet_pton(int, const char *, void *)'),
    poll: bind('int poll(void *, unsigned long, int)'),
    close: bind('int close(int)'),
  }
}

/** Calls at once that keep their memory: one start and one wait per slot. */
const residentCalls = 12

/** koffi and the C library of this process. */
async function openLibrary() {
  if (process.platform !== 'linux') throw new Error(`not written for ${process.platform}`)
  if (!['x64', 'arm64', 'riscv64', 'loong64'].includes(process.arch)) {
    throw new Error(`not written for ${process.arch}`)
  }
  const { default: koffi } = await import('koffi')
  // koffi takes settings only before its first library; whoever comes second finds them made.
  if (koffi.config().resident_async_pools !== residentCalls) {
    koffi.config({
      resident_async_pools: residentCalls,
      async_stack_size: 64 * 1024,
      async_heap_size: 32 * 1024,
    })
  }
  return { koffi, library: koffi.load(null) }
}

/** `as` once, here: koffi cannot know the types behind a C prototype. */
function binderOf(library: LibraryHandle): <F>(prototype: string) => F {
  return <F>(prototype: string): F => library.func(prototype) as unknown as F
}

/**
 * Binds the calls.
 * @throws Error with a sentence for the banner where koffi or a call is missing.
 */
export async function loadLibc(): Promise<Libc> {
  const { koffi, library } = await openLibrary()
  const bind = binderOf(library)
  const bindAsync = <F>(prototype: string): F => {
    const call = library.func(prototype) as unknown as KoffiFunc<(...args: unknown[]) => unknown>
    return call.async as unknown as F
  }
  const epollWait = 'int epoll_wait(int, void *, int, int)'
  return {
    errno: () => koffi.errno(),
    pipe2: bind('int pipe2(void *, int)'),
    close: bind('int close(int)'),
    read: bind('int64 read(int, void *, size_t)'),
    write: bind('int64 write(int, const void *, size_t)'),
    fcntl: bind('int fcntl(int, int, long)'),
    kill: bind('int kill(int, int)'),
    wait4: bind('int wait4(int, void *, int, void *)'),
    pidfdOpen: bindPidfdOpen(bind),
    socketpair: bind('int socketpair(int, int, int, void *)'),
    sendmsg: bind('int64 sendmsg(int, void *, int)'),
    eventfd: bind('int eventfd(unsigned int, int)'),
    epollCreate: bind('int epoll_create1(int)'),
    epollCtl: bind('int epoll_ctl(int, int, int, void *)'),
    epollWait: bind(epollWait),
    epollWaitAsync: bindAsync(epollWait),
    actionsInit: bind('int posix_spawn_file_actions_init(void *)'),
    actionsDup2: bind('int posix_spawn_file_actions_adddup2(void *, int, int)'),
    actionsChdir: bind('int posix_spawn_file_actions_addchdir_np(void *, const void *)'),
    actionsCloseFrom: bind('int posix_spawn_file_actions_addclosefrom_np(void *, int)'),
    actionsDestroy: bind('int posix_spawn_file_actions_destroy(void *)'),
    attributesInit: bind('int posix_spawnattr_init(void *)'),
    attributesSetFlags: bind('int posix_spawnattr_setflags(void *, short)'),
    attributesSetMask: bind('int posix_spawnattr_setsigmask(void *, void *)'),
    attributesSetDefault: bind('int posix_spawnattr_setsigdefault(void *, void *)'),
    posixSpawnAsync: bindAsync(
      'int posix_spawn(void *, const void *, void *, void *, void *, void *)',
    ),
    address: memory => koffi.address(memory),
  }
}

/** glibc has a wrapper since 2.36 only; the number is the same on every machine we bind on. */
function bindPidfdOpen(bind: <F>(prototype: string) => F): (pid: number) => number {
  const pidfdOpenNumber = 434
  const syscall = bind<(number: number, pid: number, flags: number) => number>(
    'long syscall(long, long, long)',
  )
  return pid => syscall(pidfdOpenNumber, pid, 0)
}
