/**
 * A server that could not start for a reason of the programs it needs, not of its settings.
 *
 * One class, so that whoever started it can tell this from a bug: the message is one line for the user.
 */

/** Thrown by `startServer` when workers of a route never became ready. */
export class StartFailure extends Error {
  override readonly name = 'StartFailure'
}
