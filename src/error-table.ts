/**
 * Every way a request can fail: code, HTTP status, what is wrong in one sentence, what to do about it.
 *
 * Data only. A new failure is a new row, and a section in `docs/errors.md`, which a test compares with
 * this table. Grouped by the part that fails.
 */

/**
 * Every way a request can fail: one class, one table from code to status, sentence and remedy.
 *
 * `docs/errors.md` has a section per code, and a test that both agree. A new failure is a new row here
 * and a new section there; the status is never chosen anywhere else.
 */

interface ErrorRow {
  /** HTTP status; 499 exists only in the log. */
  readonly status: number
  /** One plain sentence: what happened. */
  readonly sentence: string
  /** What to do about it. */
  readonly remedy: string
}

const row = (status: number, sentence: string, remedy: string): ErrorRow => ({
  status,
  sentence,
  remedy,
})

/** Code → status, sentence, remedy. */
export const errorTable = {
  // The request itself.
  BAD_REQUEST: row(400, 'The request is not valid HTTP.', 'Correct the client.'),
  BAD_TARGET: row(
    400,
    'The request target is not a valid path.',
    'Send an absolute path with valid percent-encoding.',
  ),
  PATH_NUL: row(400, 'The path holds a NUL byte.', 'Remove %00 from the URL.'),
  PATH_ESCAPES_ROOT: row(
    400,
    'The path climbs above the root.',
    'Remove the ".." segments that leave the site.',
  ),
  ENCODED_SLASH: row(
    404,
    'The path holds an encoded slash (%2F).',
    'Set encodedSlash: decode or keep on the route if its programs expect one.',
  ),
  BAD_HEADER: row(
    400,
    'A header field is repeated, malformed or ambiguous.',
    'Send the named field once and well formed.',
  ),
  URI_TOO_LONG: row(
    414,
    'The request line is too long.',
    'Shorten the URL, or raise limits.requestLine.',
  ),
  HEAD_TOO_LARGE: row(
    431,
    'The request head is too large.',
    'Send fewer or shorter headers, or raise limits.head.',
  ),
  ENVIRONMENT_TOO_LARGE: row(
    431,
    'The environment for the program is larger than the system allows.',
    'Send fewer or shorter headers, or shorten env.set.',
  ),
  HEAD_TIMEOUT: row(
    408,
    'The client did not finish its request head in time.',
    'Check the client, or raise timeouts.head.',
  ),
  BODY_TOO_LARGE: row(
    413,
    'The request body is larger than allowed.',
    'Send less, or raise limits.body on the route.',
  ),
  BODY_TIMEOUT: row(
    408,
    'The client stopped sending its body.',
    'Check the client, or raise timeouts.body.',
  ),
  CLIENT_LEFT: row(
    499,
    'The client closed the connection before the answer.',
    'Nothing, unless it happens often: then the answers may be too slow.',
  ),
  METHOD_NOT_ALLOWED: row(
    405,
    'The method is not allowed on this route.',
    'Use one from the Allow header, or add it to methods on the route.',
  ),
  METHOD_NOT_SUPPORTED: row(
    501,
    'Postern is not a forward proxy: CONNECT is not supported.',
    'Send the request to the server it is meant for.',
  ),
  NOT_FOUND: row(404, 'There is nothing at this URL.', 'Check the path and the routes.'),
  FORBIDDEN: row(
    403,
    'This URL may not be read.',
    'Check the permissions of the file and of the folders above it.',
  ),

  // Finding the script.
  SCRIPT_NOT_FOUND: row(
    404,
    'There is no script at this path.',
    'Check the file name below the cgi directory.',
  ),
  SCRIPT_IS_DIRECTORY: row(
    403,
    'The path names a directory of scripts, not a script.',
    'Name a script, or set index on the route.',
  ),
  SCRIPT_NOT_EXECUTABLE: row(
    403,
    'The script is not executable.',
    'chmod +x the file, or map its extension under interpreters.',
  ),
  SCRIPT_OUTSIDE: row(
    403,
    'The script is a symbolic link that the route does not follow.',
    'Move the file inside, or set symlinks: follow on the route.',
  ),

  // Starting it.
  INTERPRETER_NOT_FOUND: row(
    500,
    'The interpreter was not found.',
    'Install it, correct the first line of the script, or remove the carriage return at its end.',
  ),
  NO_INTERPRETER_LINE: row(
    500,
    'The script has no #! line and is not a program.',
    'Begin the script with #! and its interpreter, for example #!/bin/sh.',
  ),
  EXEC_DENIED: row(
    500,
    'The system refused to execute the program.',
    'Check the mode of the file and its folders, its interpreter, and whether the file system is mounted noexec.',
  ),
  SPAWN_FAILED: row(
    500,
    'The program could not be started.',
    'See the system error in the log line.',
  ),
  SPAWN_EXHAUSTED: row(
    503,
    'The system has no room for another process.',
    'Lower processes on the route, or raise the limits of processes and memory.',
  ),

  // What it printed.
  NO_OUTPUT: row(
    500,
    'The program ended without printing anything.',
    'See its exit status and stderr in the log.',
  ),
  HEAD_INCOMPLETE: row(
    500,
    'The program ended before the blank line that closes its headers.',
    'Print an empty line after the headers.',
  ),
  BAD_HEAD: row(
    500,
    'The program printed something that is not a CGI header.',
    'Print headers first ("Content-Type: text/html"), then an empty line; or set plainOutput: true.',
  ),
  BAD_STATUS: row(
    500,
    'The program printed a Status that is not a three-digit code from 100 to 999.',
    'Print for example "Status: 404 Not Found".',
  ),
  RESPONSE_HEAD_TOO_LARGE: row(
    500,
    'The headers that the program printed are too large.',
    'Print fewer or shorter headers, or raise limits.responseHead.',
  ),
  RESPONSE_TRANSFER_ENCODING: row(
    500,
    'The program printed a Transfer-Encoding.',
    'Let the server frame the body, or set decodeChunked: true on the route.',
  ),
  TRUNCATED: row(
    502,
    'The answer broke off before its end.',
    'See the exit status and stderr of the program in the log.',
  ),
  SENDFILE_DENIED: row(
    403,
    'The program asked for a file outside the folders it may send.',
    'List the folder under sendfile on the route.',
  ),
  REDIRECT_LOOP: row(
    500,
    'Local redirects went round too often.',
    'Print a Status with the Location, or break the circle.',
  ),

  // Behind a gateway protocol.
  UPSTREAM_UNREACHABLE: row(
    502,
    'The program behind this route cannot be reached.',
    'Start it, or correct its address; check who may connect to its socket.',
  ),
  UPSTREAM_CONNECT_TIMEOUT: row(
    504,
    'The program behind this route did not accept a connection in time.',
    'See whether it is overloaded or stopped, or raise timeouts.connect.',
  ),
  UPSTREAM_CLOSED: row(
    502,
    'The program behind this route closed the connection before it had answered.',
    'See its own log: it may have crashed, or been restarted.',
  ),
  UPSTREAM_NO_OUTPUT: row(
    502,
    'The program behind this route ended the request without an answer.',
    'See its stderr in the log, and its own log.',
  ),
  UPSTREAM_BAD_HEAD: row(
    502,
    'The program behind this route answered with something that is not a response head.',
    'See the line in the detail; check that the address is the right one and speaks the protocol of the route.',
  ),
  UPSTREAM_HEAD_TOO_LARGE: row(
    502,
    'The headers of the program behind this route are too large.',
    'Print fewer or shorter headers, or raise limits.responseHead.',
  ),
  UPSTREAM_OVERLOADED: row(
    503,
    'The program behind this route says that it is overloaded.',
    'Try again; start more workers, or lower capacity.',
  ),
  UPSTREAM_ROLE: row(
    502,
    'The program behind this route does not serve requests of this role.',
    'Configure it as what it is: a responder, an authorizer or a filter.',
  ),
  UPSTREAMS_EJECTED: row(
    503,
    'No program behind this route answers at present.',
    'Try again in a moment; see in the log why each of them was left out.',
  ),
  PROTOCOL_ERROR: row(
    502,
    'The other side broke the protocol.',
    'Check that it speaks the protocol of the route; report it to its authors if it does.',
  ),

  // Room and time.
  QUEUE_FULL: row(
    503,
    'Too many requests are waiting for this route.',
    'Try again; raise processes or queue.length if the machine has room.',
  ),
  QUEUE_TIMEOUT: row(
    503,
    'No place became free in time.',
    'Try again; raise processes or queue.wait, or make the programs faster.',
  ),
  DRAINING: row(503, 'The server is shutting down.', 'Try again on the next instance.'),
  FIRST_BYTE_TIMEOUT: row(
    504,
    'The program printed nothing in time.',
    'Make it answer sooner, or raise timeouts.firstByte.',
  ),
  IDLE_TIMEOUT: row(
    504,
    'The program stopped reading and writing for too long.',
    'Make it go on, or raise timeouts.idle.',
  ),
  TOTAL_TIMEOUT: row(
    504,
    'The program took longer than allowed.',
    'Make it faster, or raise timeouts.total.',
  ),
  STORAGE_FAILED: row(
    500,
    'A file could not be written or read.',
    'Make room on the disk of TMPDIR, or see the system error in the log line.',
  ),
  INTERNAL: row(500, 'Postern itself failed; this is a bug.', 'Report it with the log line.'),
} as const satisfies Record<string, ErrorRow>
