// Checks spec/vectors/*.json with code of its own: no line is shared with qbix_node, and nothing
// beyond what Node.js brings is used. Each file NAME.json needs a module NAME.mjs here; a vector
// file that nobody checks is a failure. One JSON line a file, exit status 1 if anything is wrong.

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const here = path.dirname(fileURLToPath(import.meta.url))
const folder = process.argv[2]

/** Counts what held and keeps what did not. */
class Checks {
  passed = 0
  failures = []

  that(holds, what) {
    if (holds) this.passed++
    else this.failures.push(what)
  }

  equal(actual, expected, what) {
    this.that(actual === expected, `${what}: ${brief(actual)} is not ${brief(expected)}`)
  }

  refused(attempt, what) {
    try {
      attempt()
    } catch {
      this.passed++
      return
    }
    this.failures.push(`${what}: was not refused`)
  }
}

const brief = (value) => (String(value).length > 80 ? String(value).slice(0, 80) + '...' : String(value))

async function verify(file) {
  const checks = new Checks()
  const verifier = path.join(here, path.basename(file, '.json') + '.mjs')
  try {
    if (!existsSync(verifier)) throw new Error('no verifier for this file')
    const { verify } = await import(pathToFileURL(verifier))
    await verify(JSON.parse(readFileSync(path.join(folder, file), 'utf8')), checks)
    if (!checks.passed) checks.failures.push('nothing was checked')
  } catch (error) {
    checks.failures.push(error.stack)
  }
  console.log(JSON.stringify({ file, passed: checks.passed, failures: checks.failures }))
  return checks.failures.length === 0
}

const files = readdirSync(folder).filter((file) => file.endsWith('.json')).sort()
const verdicts = []
for (const file of files) verdicts.push(await verify(file))
process.exitCode = verdicts.length && verdicts.every(Boolean) ? 0 : 1
