/**
 * Django's admin in a real browser: the login works, the pages have their style, and the console is silent.
 */
import t from 'tap'
import { startBrowser } from '../support/browser.js'
import { djangoSite } from '../support/django.js'
import { startTestServer } from '../support/serve.js'
import { testWsgiRoute } from '../support/wsgi-route.js'

t.test('the Django admin in Chromium', async t => {
  const site = djangoSite(t)
  if (site === undefined) return
  const { python, application, directory, env, root } = site
  const server = await startTestServer(t, {
    routes: () => [
      testWsgiRoute('/site/', python, application, {
        ...{ directory, env: { set: env, pass: [] }, count: 2 },
      }),
    ],
    config: { root },
  })
  // A test of its own, so that the browser is gone before the server is looked at.
  await t.test('login', async t => {
    const browser = await startBrowser(t)
    if (browser === undefined) return
    const page = await browser.newPage()
    const complaints: string[] = []
    page.on('console', message => {
      if (['error', 'warning'].includes(message.type())) complaints.push(message.text())
    })
    page.on('pageerror', error => void complaints.push(String(error)))
    page.on('requestfailed', request => void complaints.push(`${request.url()} failed`))
    page.on('response', response => {
      const { pathname } = new URL(response.url())
      // Every browser asks for it, and no site has to have it.
      if (response.status() >= 400 && pathname !== '/favicon.ico') complaints.push(pathname)
    })
    // Here rather than from the network: the console would complain of it.
    await page.route('**/favicon.ico', route => route.fulfill({ status: 204 }))

    await page.goto(`${server.origin}/site/admin/`)
    t.match(page.url(), '/site/admin/login/?next=/site/admin/')
    await page.fill('#id_username', 'admin')
    await page.fill('#id_password', 'secret')
    await page.click('input[type=submit]')
    await page.waitForSelector('#user-tools')
    t.equal(new URL(page.url()).pathname, '/site/admin/')
    t.match(await page.textContent('#content h1'), 'Site administration')
    const color = await page.$eval(
      '#header',
      header => header.ownerDocument.defaultView?.getComputedStyle(header).backgroundColor,
    )
    t.notMatch(color, /rgba\(0, 0, 0, 0\)/, 'the style sheets were loaded')

    await page.click('a[href="/site/admin/auth/user/"]')
    await page.waitForSelector('#result_list')
    t.match(await page.textContent('#result_list'), 'admin@example.test')
    t.strictSame(complaints, [])
  })
})
