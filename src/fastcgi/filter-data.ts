/**
 * The file that a filter works on: FCGI_DATA_LAST_MOD, FCGI_DATA_LENGTH and the DATA stream (FastCGI §6.4,
 * conventions G-23).
 *
 * The file is opened once, and what is told of it is of what was opened. Holds one descriptor until the stream
 * is read or destroyed; reads as fast as the stream is read.
 */
import { constants, open as openCallback } from 'node:fs'
import { open } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { toPath } from '../cgi/script.js'
import { GatewayError } from '../errors.js'
import type { ByteString } from '../gateway.js'
