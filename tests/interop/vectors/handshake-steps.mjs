// The secret handshake, both roles computed from their secrets (Tarr, "Designing a Secret Handshake").

import { auth, curvePublic, curveSecret, hex, publicOf, scalarmult, seal, sha256, sign } from './primitives.mjs'

const ZERO_NONCE = Buffer.alloc(24)
const join = (...parts) => Buffer.concat(parts)

function steps(vector) {
  const network = hex(vector.network_key)
  const client = { seed: hex(vector.client_seed), secret: hex(vector.client_ephemeral_secret) }
  const server = { seed: hex(vector.server_seed), secret: hex(vector.server_ephemeral_secret) }
  for (const side of [client, server]) {
    side.public = publicOf(side.seed)
    side.ephemeral = publicOf(side.secret, 'x25519')
    side.proof = auth(network, side.ephemeral)
  }
  const ab = scalarmult(client.secret, server.ephemeral)
  const aB = scalarmult(client.secret, curvePublic(server.public))
  const Ab = scalarmult(curveSecret(client.seed), server.ephemeral)
  const clientSignature = sign(client.seed, join(network, server.public, sha256(ab)))
  const serverSignature = sign(server.seed, join(network, clientSignature, client.public, sha256(ab)))
  const secret = sha256(join(network, ab, aB, Ab))
  return {
    client_public: client.public,
    server_public: server.public,
    client_hello: join(client.proof, client.ephemeral),
    server_hello: join(server.proof, server.ephemeral),
    client_proof: seal(sha256(join(network, ab, aB)), ZERO_NONCE, join(clientSignature, client.public)),
    server_accept: seal(secret, ZERO_NONCE, serverSignature),
    to_server_key: sha256(join(sha256(secret), server.public)),
    to_server_nonce: server.proof.subarray(0, 24),
    to_client_key: sha256(join(sha256(secret), client.public)),
    to_client_nonce: client.proof.subarray(0, 24),
  }
}

export function verify({ handshakes }, checks) {
  for (const vector of handshakes) {
    for (const [name, bytes] of Object.entries(steps(vector))) {
      checks.equal(bytes.toString('hex'), vector[name], `${vector.what}: ${name}`)
    }
  }
}
