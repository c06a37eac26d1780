/**
 * Debian's Chromium, driven by playwright-core: one browser per call, closed in teardown.
 *
 * Without a sandbox, since tests may run as root; it only sees servers of the test.
 */
import type { Browser } from 'playwright-core'
import type { Test } from 'tap'
import { missing, peer } from './peers.js'

/** A browser, or undefined after the test was told to skip (or to fail, under REQUIRE_PEERS=1). */
export async function startBrowser(t: Test): Promise<Browser | undefined> {
  const executablePath = peer(t, 'chromium', ['/usr/bin/chromium-browser'])
  if (executablePath === undefined) return undefined
  const { chromium } = await import('playwright-core')
  try {
    const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] })
    t.teardown(() => browser.close())
    return browser
  } catch (error) {
    t.comment(String(error))
    missing(t, 'a chromium that starts')
    return undefined
  }
}
