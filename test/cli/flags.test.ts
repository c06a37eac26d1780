/** The words of the command line → what `serve` is asked for, or the message. */
import t from 'tap'
import { readFlags } from '../../src/cli/flags.js'

t.test('what is read', async t => {
  const nothing = { directory: undefined, config: undefined, overrides: {} }
  for (const [words, flags] of [
    [['serve'], nothing],
    [['.'], { ...nothing, directory: '.' }],
    [['serve', '.'], { ...nothing, directory: '.' }],
    [['serve', '-p', '0', '.'], { ...nothing, directory: '.', overrides: { port: 0 } }],
    [['-p8001'], { ...nothing, overrides: { port: 8001 } }],
    [['--port=8001'], { ...nothing, overrides: { port: 8001 } }],
    [['-H', '[::1]'], { ...nothing, overrides: { host: '::1' } }],
    [['-c', 'a b.yaml'], { ...nothing, config: 'a b.yaml' }],
    [['--config', '2024'], { ...nothing, config: '2024' }],
    [['--root', 'r', '--cgi-bin', 'c'], { ...nothing, overrides: { root: 'r', cgiBin: 'c' } }],
    [['--dev=true'], { ...nothing, overrides: { dev: true } }],
    [['--dev=false'], { ...nothing, overrides: { dev: false } }],
    [['--dev', '.'], { ...nothing, directory: '.', overrides: { dev: true } }],
    [
      ['--fastcgi', '/app=unix:run/a=b.sock', '--fastcgi=/b/c/=tcp:[::1]:9000'],
      {
        ...nothing,
        overrides: {
          mounts: [
            { kind: 'fastcgi', path: '/app/', address: { kind: 'unix', path: 'run/a=b.sock' } },
            { kind: 'fastcgi', path: '/b/c/', address: { kind: 'tcp', host: '::1', port: 9000 } },
          ],
        },
      },
    ],
    [['--processes', '2'], { ...nothing, overrides: { processes: 2 } }],
    [
      ['--log-access', 'off', '--log-level', 'debug'],
      { ...nothing, overrides: { access: 'off', level: 'debug' } },
    ],
  ] as const) {
    t.same(readFlags(words, '1.2.3'), flags, words.join(' '))
  }
})

const mountExamples =
  'write for example --fastcgi /app/=unix:/run/app.sock or --fastcgi /app/=127.0.0.1:9000'

const mountMistakes = [
  [['--fastcgi', ''], `--fastcgi: expected /prefix/=ADDRESS, got nothing; ${mountExamples}`],
  [['--fastcgi', '/a'], `--fastcgi: expected /prefix/=ADDRESS, got "/a"; ${mountExamples}`],
  [
    ['--fastcgi', '/a/=./worker'],
    `--fastcgi: expected /prefix/=ADDRESS, got "/a/=./worker"; ${mountExamples}`,
  ],
  [
    ['--fastcgi', '/a/=localhost:0'],
    `--fastcgi: expected /prefix/=ADDRESS, got "/a/=localhost:0"; ${mountExamples}`,
  ],
  [
    ['--fastcgi', 'a=h:1'],
    '--fastcgi: expected a path that begins with /, got "a"; write for example /app/',
  ],
  [
    ['--fastcgi', '/a%20=h:1'],
    '--fastcgi: expected a path without ?, # and %, got "/a%20"; write the path decoded and without a query',
  ],
  [
    ['--fastcgi', '/a/..=h:1'],
    '--fastcgi: expected a path without empty, . and .. segments, got "/a/.."; write for example /cgi-bin/',
  ],
  [
    ['--fastcgi', '/a=h:1', '--fastcgi', '/a/=h:2'],
    '--fastcgi: /a/ is there twice; remove one of the two',
  ],
] as const

t.test('what is refused', async t => {
  for (const [words, message] of [
    [['--prot', '1'], '--prot: unknown flag; did you mean --port?'],
    [['--log-acces=json'], '--log-acces: unknown flag; did you mean --log-access?'],
    [['--dev=xx'], '--dev: expected true or false, got "xx"; write for example --dev'],
    [['-x'], '-x: unknown flag; see postern --help'],
    [['serve', '--nonsense'], '--nonsense: unknown flag; see postern --help'],
    [['.', '--nonsense'], '--nonsense: unknown flag; see postern --help'],
    [['--no-dev'], '--no-dev: unknown flag; see postern --help'],
    [
      ['-p', 'http'],
      '--port: expected a port from 0 to 65535, got "http"; write for example -p 8001',
    ],
    [
      ['-p', '65536'],
      '--port: expected a port from 0 to 65535, got "65536"; write for example -p 8001',
    ],
    [
      ['-p', '0x50'],
      '--port: expected a port from 0 to 65535, got "0x50"; write for example -p 8001',
    ],
    [
      ['--port='],
      '--port: expected a port from 0 to 65535, got nothing; write for example -p 8001',
    ],
    [['-p'], '--port: expected a port from 0 to 65535, got nothing; write for example -p 8001'],
    [
      ['-p', '--dev'],
      '--port: expected a port from 0 to 65535, got nothing; write for example -p 8001',
    ],
    [['-p', '1', '-p', '2'], '--port: given more than once; give it once'],
    [
      ['-H', 'a:80'],
      '--host: expected a host name or address, got "a:80"; write for example --host 0.0.0.0',
    ],
    [
      ['--processes', '0'],
      '--processes: expected a number from 1 to 256, got "0"; write for example --processes 2',
    ],
    [
      ['--log-level', 'loud'],
      '--log-level: expected debug or info or warn or error or silent, got "loud"; write for example --log-level warn',
    ],
    [['-c', ''], '--config: expected a path, got nothing; write for example --config PATH'],
    [['.', '..'], '..: one folder at a time; see postern --help, or write a configuration'],
    [
      ['serve', '.', '..'],
      '..: one folder at a time; see postern --help, or write a configuration',
    ],
    [['./nowhere'], './nowhere: there is no such folder; create it, or correct the path'],
    [['srve'], 'srve: neither a folder nor a command; did you mean serve?'],
    [['explane', 'x'], 'x: one folder at a time; see postern --help, or write a configuration'],
    [
      ['run', 'x.cgi'],
      'run: the command run is not built yet; postern serve is; for a folder of this name write ./run',
    ],
    ...mountMistakes,
    [
      ['--proxy', '/x/=ftp://a'],
      '--proxy: expected /prefix/=URL, got "/x/=ftp://a"; write for example --proxy /app/=http://127.0.0.1:9000',
    ],
    [
      ['--wsgi', '/x/=app'],
      '--wsgi: expected /prefix/=module:callable, got "/x/=app"; write for example --wsgi /app/=app:application',
    ],
    [
      ['--scgi', '/x/=h:1', '--uwsgi', '/x/=h:1'],
      '--uwsgi: /x/ is there twice; remove one of the two',
    ],
  ] as const) {
    t.throws(() => readFlags(words, '1.2.3'), { name: 'ConfigError', message }, words.join(' '))
  }
})
