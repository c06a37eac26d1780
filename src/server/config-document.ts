/**
 * The text of a configuration with its places: from a path of keys to line and column.
 *
 * YAML and JSON are read by one parser, because only it remembers positions. This file knows nothing of
 * settings; whoever finds a mistake calls `fail` with the path of the value or `failAtKey` with the path
 * of the key. Bounded by the size limit of `config-file.ts` and the parser's own limit on aliases.
 */
import {
  type Document,
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  type Pair,
  parseDocument,
  visit,
} from 'yaml'
import { ConfigError, describePath, type SettingPath, type SettingPlace } from './config-error.js'

export type ConfigFormat = 'yaml' | 'json'

/** A parsed configuration text. */
export class ConfigDocument {
  /** The plain value; null for an empty text. */
  readonly value: unknown
  readonly #file: string
  readonly #document: Document
  readonly #lines = new LineCounter()

  /**
   * @param file what messages call the text
   * @throws ConfigError when the text is not one document of its format
   */
  constructor(text: string, file: string, format: ConfigFormat) {
    this.#file = file
    this.#document = parseDocument(text, {
      lineCounter: this.#lines,
      prettyErrors: false,
      logLevel: 'error',
      schema: format === 'json' ? 'json' : 'core',
    })
    const name = format === 'json' ? 'JSON' : 'YAML'
    const fault = this.#document.errors[0] ?? this.#document.warnings[0]
    if (fault !== undefined) {
      const [problem = ''] = fault.message.split('\n')
      throw new ConfigError(this.#placeAt(fault.pos[0]), problem, `correct the ${name} here`)
    }
    this.#refuseLooseAliases()
    this.value = this.#toValue(name)
  }

  /** Where the value at `path` stands, or what is left of the path that exists. */
  place(path: SettingPath): SettingPlace {
    return this.#placeAt(this.#find(path).value)
  }

  /** Where the last key of `path` stands. */
  keyPlace(path: SettingPath): SettingPlace {
    return this.#placeAt(this.#find(path).key)
  }

  /** A scalar as it was typed, so that `007` stays `007`; undefined for anything else. */
  source(path: SettingPath): string | undefined {
    const { node } = this.#find(path)
    return isScalar(node) ? (node.source ?? String(node.value)) : undefined
  }

  /** @throws ConfigError always, at the value of `path` */
  fail(path: SettingPath, problem: string, remedy: string): never {
    throw new ConfigError(this.place(path), describeProblem(path, problem), remedy)
  }

  /** @throws ConfigError always, at the last key of `path` */
  failAtKey(path: SettingPath, problem: string, remedy: string): never {
    throw new ConfigError(this.keyPlace(path), describeProblem(path, problem), remedy)
  }

  #placeAt(offset: number): SettingPlace {
    // The parser says line 0 for a text that is empty.
    const { line, col } = this.#lines.linePos(offset)
    return { file: this.#file, line: Math.max(1, line), column: Math.max(1, col) }
  }

  /** Follows `path` as far as it goes; offsets of the last key and value found. */
  #find(path: SettingPath): { node: unknown; key: number; value: number } {
    let node: unknown = this.#document.contents
    let value = startOf(node) ?? 0
    let key = value
    for (const step of path) {
      if (isAlias(node)) node = node.resolve(this.#document)
      if (isSeq(node)) {
        node = typeof step === 'number' ? node.items[step] : undefined
        const start = startOf(node)
        if (start === undefined) break
        key = value = start
        continue
      }
      const pair = isMap(node) ? node.items.find(item => keyOf(item) === String(step)) : undefined
      if (pair === undefined) break
      node = pair.value
      key = startOf(pair.key) ?? value
      // `queue:` with nothing behind it has no value to point at.
      value = isEmpty(node) ? key : (startOf(node) ?? key)
    }
    return { node, key, value }
  }

  #refuseLooseAliases(): void {
    visit(this.#document, {
      Alias: (_, alias) => {
        if (alias.resolve(this.#document) !== undefined) return
        const place = this.#placeAt(startOf(alias) ?? 0)
        throw new ConfigError(
          place,
          `*${alias.source} is an alias without an anchor`,
          'put text that begins with * in quotes',
        )
      },
    })
  }

  #toValue(name: string): unknown {
    try {
      return this.#document.toJS()
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error)
      throw new ConfigError({ file: this.#file }, problem, `correct the ${name}`)
    }
  }
}

function describeProblem(path: SettingPath, problem: string): string {
  return path.length === 0 ? problem : `${describePath(path)}: ${problem}`
}

function keyOf(pair: Pair): string {
  return isScalar(pair.key) ? String(pair.key.value) : String(pair.key)
}

function startOf(node: unknown): number | undefined {
  return isNode(node) ? node.range?.[0] : undefined
}

function isEmpty(node: unknown): boolean {
  return node === null || (isScalar(node) && node.value === null && (node.source ?? '') === '')
}
