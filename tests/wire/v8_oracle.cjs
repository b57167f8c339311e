// What V8 makes of JSON texts: one in base64 a line, one answer a line (false: it is no JSON).
const { createHash } = require('node:crypto')
const lines = require('node:fs').readFileSync(0, 'latin1').trim().split('\n')
const answers = lines.map((line) => {
  let value
  try {
    value = JSON.parse(Buffer.from(line, 'base64').toString('utf8'))
  } catch {
    return 'false'
  }
  const indented = JSON.stringify(value, null, 2)
  return JSON.stringify({
    indented: Buffer.from(indented).toString('base64'),
    compact: Buffer.from(JSON.stringify(value)).toString('base64'),
    units: indented.length,
    sha256: createHash('sha256').update(indented, 'latin1').digest('hex'),
  })
})
process.stdout.write(answers.join('\n'))
