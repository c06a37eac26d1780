/**
 * What can be compared: each suite has its rows, the servers that take part, and the site they are given.
 *
 * A suite joins when its servers or its programs are others; a kind of work joins as a row.
 */
import { CEILING, contenders } from './contenders.js'
import { fastcgiContenders } from './fastcgi-contenders.js'
import { growthContenders } from './growth-contenders.js'
import { proxyContenders } from './proxy-contenders.js'
import { fastcgiRows, growthRows, proxyRows, type Row, rows, socketRows, wsgiRows } from './rows.js'
import type { Contender } from './server.js'
import { fillCgiRoot, fillFastcgiRoot, fillProxyRoot, fillWsgiRoot } from './site.js'
import { socketContenders } from './socket-contenders.js'
import { wsgiContenders } from './wsgi-contenders.js'

export interface Suite {
  readonly rows: readonly Row[]
  readonly contenders: readonly Contender[]
  /** Name of what is measured beside the servers and is none. */
  readonly ceiling: string | undefined
  /** Puts the programs below the document root; see `buildSite`. */
  readonly fillRoot: (root: string) => void
}

export const suites: Readonly<Record<string, Suite>> = {
  cgi: { rows, contenders, ceiling: CEILING, fillRoot: fillCgiRoot },
  fastcgi: {
    rows: fastcgiRows,
    contenders: fastcgiContenders,
    ceiling: undefined,
    fillRoot: fillFastcgiRoot,
  },
  sockets: {
    rows: socketRows,
    contenders: socketContenders,
    ceiling: undefined,
    fillRoot: fillWsgiRoot,
  },
  wsgi: {
    rows: wsgiRows,
    contenders: wsgiContenders,
    ceiling: undefined,
    fillRoot: fillWsgiRoot,
  },
  growth: {
    rows: growthRows,
    contenders: growthContenders,
    ceiling: undefined,
    fillRoot: fillFastcgiRoot,
  },
  proxy: {
    rows: proxyRows,
    contenders: proxyContenders,
    ceiling: undefined,
    fillRoot: fillProxyRoot,
  },
}
