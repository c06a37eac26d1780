/**
 * Ways to cut a message: the network and the pipe may cut it anywhere.
 *
 * Every incremental parser's test runs its fixtures through both.
 */

/** The bytes in two parts, cut at every place, the two ends included (one part is empty there). */
export function* everySplit(bytes: Buffer): Iterable<Buffer[]> {
  for (let at = 0; at <= bytes.length; at++) {
    yield [bytes.subarray(0, at), bytes.subarray(at)]
  }
}

/** The bytes one at a time. */
export function byteByByte(bytes: Buffer): Buffer[] {
  return Array.from(bytes, byte => Buffer.from([byte]))
}
