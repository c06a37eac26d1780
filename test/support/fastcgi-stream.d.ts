/** The part of `fastcgi-stream` 1.0.0 that the second opinion and the codec benchmark use; it has no types. */
declare module 'fastcgi-stream' {
  import type { EventEmitter } from 'node:events'

  /** A pair whose value is empty is read as its name alone. */
  type Pairs = (string | [name: string, value: string])[]
  type Content = Buffer | string

  interface FastCGIRecord {
    readonly TYPE: number
  }

  interface Wire extends EventEmitter {
    write(bytes: Buffer): unknown
  }

  class FastCGIStream extends EventEmitter {
    constructor(wire: Wire)
    writeRecord(requestId: number, record: FastCGIRecord): void
  }

  type Of<Fields> = FastCGIRecord & Fields

  const records: {
    BeginRequest: {
      new (role?: number, flags?: number): Of<{ role: number; flags: number }>
      roles: Record<string, number>
      flags: Record<string, number>
    }
    AbortRequest: new () => FastCGIRecord
    EndRequest: new (
      appStatus?: number,
      protocolStatus?: number,
    ) => Of<{ appStatus: number; protocolStatus: number }>
    Params: new (params?: Pairs) => Of<{ params: Pairs }>
    StdIn: new (data?: Content) => Of<{ data: Content }>
    StdOut: new (data?: Content) => Of<{ data: Content }>
    StdErr: new (data?: Content) => Of<{ data: Content }>
    Data: new (data?: Content) => Of<{ data: Content }>
    GetValues: new (values?: Pairs) => Of<{ values: Pairs }>
    GetValuesResult: new (values?: Pairs) => Of<{ values: Pairs }>
    UnknownType: new (type?: number) => Of<{ type: number }>
  }

  const fastcgiStream: { FastCGIStream: typeof FastCGIStream; records: typeof records }
  export = fastcgiStream
}
