/** L-12: scripts of a split route below the root of static files are never sent, by no name and no link. */
import { closeSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { FileTree } from '../../src/static/locate.js'
import { tempRoot } from '../support/temp-root.js'

t.test('sources are not found, what lies beside them is', async t => {
  const { path, public: root } = tempRoot(
    t,
    {},
    {
      'wiki/index.php': '<?php secret',
      'wiki/OLD.PHP': '<?php secret',
      'wiki/inc/db.php': '<?php secret',
      'wiki/logo.png': 'png',
      'wiki/index.php.txt': 'text',
      'wiki/aphp': 'text',
      'other/page.php': 'no route runs it',
      'plain.php': 'no route runs it',
    },
  )
  symlinkSync('index.php', join(root, 'wiki/link.txt'))
  symlinkSync('wiki/inc/db.php', join(root, 'db.txt'))
  symlinkSync('logo.png', join(root, 'wiki/logo.php'))
  symlinkSync('wiki', join(root, 'alias'))
  const outside = join(path, 'wiki-by-link')
  symlinkSync(join(root, 'wiki'), outside)

  const verdict = async (tree: FileTree, file: string): Promise<string> => {
    try {
      const found = await tree.find(`/${file}`)
      if (found === 'directory') return found
      closeSync(found.fd)
      return 'sent'
    } catch (error) {
      return error instanceof Error && 'code' in error ? String(error.code) : String(error)
    }
  }
  for (const directory of [join(root, 'wiki'), outside, `${join(root, 'wiki')}/`]) {
    const tree = new FileTree({
      ...{ root, index: [], hiddenDirectories: [], hiddenFiles: [] },
      hiddenSources: [{ directory, suffix: '.php' }],
    })
    for (const [file, expected] of [
      ['wiki/index.php', 'NOT_FOUND'],
      ['wiki//index.php', 'NOT_FOUND'],
      ['wiki/OLD.PHP', 'NOT_FOUND'],
      ['wiki/inc/db.php', 'NOT_FOUND'],
      ['wiki/link.txt', 'NOT_FOUND'],
      ['db.txt', 'NOT_FOUND'],
      ['wiki/logo.php', 'NOT_FOUND'],
      ['alias/index.php', 'NOT_FOUND'],
      ['wiki/logo.png', 'sent'],
      ['wiki/index.php.txt', 'sent'],
      ['wiki/aphp', 'sent'],
      ['other/page.php', 'sent'],
      ['plain.php', 'sent'],
    ] as const) {
      t.equal(await verdict(tree, file), expected, `${file} with ${directory}`)
    }
  }
})
